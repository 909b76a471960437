//! The embedded server: what goes in comes out again.

use std::process::Stdio;

use insta::assert_snapshot;
use partwise_testkit::content::noise;

use crate::sandbox::{Ran, Sandbox};

const MIB: usize = 1 << 20;

#[test]
fn a_file_goes_up_and_comes_back_identical() {
    let sandbox = Sandbox::new();
    let content = noise(300_000);
    sandbox.write("notes.md", &content);

    let stored = sandbox.run(&["upload", "--local", "notes.md", "--purpose", "assistants", "--json"]).json();
    assert_eq!(stored["object"], "file");
    assert_eq!(stored["bytes"], 300_000);
    assert_eq!(stored["filename"], "notes.md");
    assert_eq!(stored["purpose"], "assistants");

    let id = stored["id"].as_str().unwrap();
    let ran = sandbox.run(&["files", "download", "--local", id, "-o", "copy.md"]);
    assert_eq!(ran.done(), "");
    assert_eq!(sandbox.read("copy.md"), content);
    let shown = sandbox.run(&["files", "get", "--local", id, "--json"]).json();
    assert_eq!(shown, stored);
}

#[test]
fn parts_go_up_in_parallel_and_come_back_in_order() {
    let sandbox = Sandbox::new();
    let content = noise(5 * MIB + 12_345);
    sandbox.write("train.jsonl", &content);
    for provider in ["openai", "azure", "azure-v1"] {
        let upload =
            ["upload", "train.jsonl", "--purpose", "fine-tune", "--local", "--provider", provider, "--json"];
        let parts = ["--parallel", "3", "--part-size", "1MiB", "--md5"];
        let stored = sandbox.run(&[&upload[..], &parts[..]].concat()).json();
        assert_eq!(stored["bytes"], content.len());
        let id = stored["id"].as_str().unwrap();
        let download = ["files", "download", id, "-o", "copy", "--force", "--local", "--provider", provider];
        sandbox.run(&download).done();
        assert_eq!(sandbox.read("copy"), content, "{provider}");
    }
}

#[test]
fn either_route_can_be_forced() {
    let sandbox = Sandbox::new();
    let content = noise(2 * MIB);
    sandbox.write("data.bin", &content);
    for route in ["parts", "single"] {
        let upload = ["upload", "data.bin", "--purpose", "assistants", "--local", "--route", route, "--json"];
        let id = sandbox.run(&upload).json()["id"].as_str().unwrap().to_owned();
        sandbox.run(&["files", "download", "--local", &id, "-o", route]).done();
        assert_eq!(sandbox.read(route), content, "{route}");
    }
}

#[test]
fn the_url_of_a_store_is_decoded() {
    let sandbox = Sandbox::new();
    let url = format!("file://{}/my%20store", sandbox.path("").display());
    sandbox.run(&["files", "list", "--local", "--store", &url]).done();
    assert!(sandbox.path("my store").is_dir() && !sandbox.path("my%20store").exists());
}

#[test]
fn the_store_is_where_it_is_said_to_be_and_stays_there() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "here");
    let stored = sandbox
        .run(&["--local", "--store", "shelf", "upload", "a.txt", "--purpose", "assistants", "--json"])
        .json();
    let id = stored["id"].as_str().unwrap();
    assert!(sandbox.path("shelf").is_dir());
    assert!(!sandbox.path("data").exists());
    sandbox.run(&["files", "get", id, "--store", "shelf", "--local"]).done();
    let elsewhere = sandbox.run(&["files", "get", id, "--local"]);
    assert!(elsewhere.refused(1).contains("404"));
    assert!(sandbox.path("data").is_dir(), "without --store it is in the platform's data folder");
}

#[test]
fn people_get_a_summary() {
    let sandbox = Sandbox::new();
    sandbox.write("notes.md", "x".repeat(2048));
    let summary = sandbox.run(&["upload", "--local", "notes.md", "--purpose", "assistants"]).done();
    let id = summary.lines().next().unwrap().strip_prefix("id       ").unwrap().to_owned();
    assert_eq!(
        summary,
        format!(
            "id       {id}\nname     notes.md\nsize     2 KiB (2048 bytes)\npurpose  assistants\nstatus   processed\n"
        )
    );
    let table = sandbox.run(&["files", "list", "--local"]).done();
    let [heading, row] = table.lines().collect::<Vec<_>>()[..] else { panic!("{table}") };
    assert_eq!(heading.split_whitespace().collect::<Vec<_>>(), ["ID", "NAME", "SIZE", "PURPOSE", "STATUS"]);
    assert!(row.starts_with(&id));
    assert!(row.ends_with("notes.md  2 KiB  assistants  processed"), "{row}");
}

#[test]
fn what_it_took_is_told_on_request() {
    let sandbox = Sandbox::new();
    sandbox.write("data.bin", noise(3 * MIB));
    let upload =
        ["upload", "data.bin", "--purpose", "assistants", "--local", "--part-size", "1MiB", "--stats"];
    let objects = sandbox.run(&[&upload[..], &["--json"]].concat()).done();
    let [file, stats] = objects.lines().collect::<Vec<_>>()[..] else { panic!("{objects}") };
    let (file, stats): (serde_json::Value, serde_json::Value) =
        (serde_json::from_str(file).unwrap(), serde_json::from_str(stats).unwrap());
    assert_eq!(file["object"], "file");
    assert_eq!(
        stats["attempts"],
        serde_json::json!({
            "total": 5, "create_upload": 1, "add_upload_part": 3, "complete_upload": 1,
            "cancel_upload": 0, "create_file": 0, "list_files": 0,
            "retrieve_file": 0, "download_file": 0
        })
    );
    assert_eq!((&stats["retries"]["total"], &stats["bytes_acknowledged"]), (&0.into(), &(3 * MIB).into()));
    assert!(stats["elapsed_ms"].is_u64() && stats["bytes_sent"].as_u64() > Some(3 * MIB as u64), "{stats}");

    let lines = sandbox.run(&upload).done();
    for line in ["\nwaited   0.0 s\n", " for 3 MiB of the file\n", "\nrequests 5\n", "\nretries  0\n"] {
        assert!(lines.contains(line), "{lines}");
    }
}

#[test]
fn an_unknown_purpose_is_sent_when_it_is_allowed_and_the_service_has_the_last_word() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "x");
    let ran =
        sandbox.run(&["upload", "--local", "a.txt", "--purpose", "world-peace", "--allow-unknown-purpose"]);
    assert!(ran.refused(1).contains("world-peace"));
}

#[test]
fn names_of_all_kinds_survive() {
    let sandbox = Sandbox::new();
    for name in ["naïve 文件.txt", "say \"hello\".txt", "100%25.txt", "-leading-dash.txt"] {
        sandbox.write(name, "x");
        let path = format!("./{name}");
        let stored = sandbox.run(&["upload", &path, "--local", "--purpose", "assistants", "--json"]).json();
        assert_eq!(stored["filename"], name);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let sandbox = Sandbox::new();
    for n in 0..5 {
        sandbox.stored(&format!("{n}.txt"), "x");
    }
    let mut child = sandbox
        .command(&["files", "list", "--local", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
}

#[test]
fn a_file_url_is_taken_in_every_spelling() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("store").display().to_string();
    sandbox.run(&["files", "list", "--local", "--store", &format!("file:{folder}")]).done();
    assert!(sandbox.path("store").is_dir() && !sandbox.path("file:").exists());
    sandbox.run(&["files", "list", "--local", "--store", &format!("FILE://{folder}")]).done();
    for memory in ["memory:", "memory://", "MEMORY:"] {
        sandbox.run(&["files", "list", "--local", "--store", memory]).done();
        assert!(!sandbox.path(memory).exists());
    }
    assert_snapshot!(sandbox.run(&["files", "list", "--local", "--store", ""]).refused(2), @"
    error: --store is empty
    hint: give a folder, file:///…, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX, gs://BUCKET/PREFIX or memory://
    ");
    for path in ["memory:x", "memory://x"] {
        let said = sandbox.run(&["files", "list", "--local", "--store", path]).refused(2);
        assert_eq!(
            said.lines().next().unwrap(),
            format!("error: --store: {path}: a store in memory has no path")
        );
    }
    assert_snapshot!(sandbox.run(&["files", "list", "--local", "--store", "file:x"]).refused(2), @"
    error: --store: file:x names another machine, or no whole path
    hint: such a URL looks like file:///srv/my%20files; a plain path will do as well
    ");
}

#[cfg(unix)]
#[test]
fn a_store_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let sandbox = Sandbox::new();
    sandbox.write("a.bin", noise(3 * MIB));
    let upload = ["upload", "a.bin", "--purpose", "assistants", "--local", "--part-size", "1MiB"];
    sandbox.run(&[&upload[..], &["--store", "above/store"]].concat()).done();
    let mut folders = vec![sandbox.path("above")];
    while let Some(folder) = folders.pop() {
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            }
        }
    }
}
