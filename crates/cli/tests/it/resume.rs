//! Going on with an upload that an earlier run began.

use std::process::Stdio;

use insta::assert_snapshot;
use partwise_testkit::content::noise;
use serde_json::Value;

use crate::{
    sandbox::{Ran, Sandbox},
    scene::{KEY, LENGTH, Scene, plain, until},
};

#[test]
fn a_killed_upload_is_gone_on_with_by_the_same_command() {
    let scene = Scene::new();
    let listed = scene.killed();
    assert_eq!((&listed["running"], &listed["bytes"]), (&false.into(), &LENGTH.into()));
    let ran = scene.upload(&[]);
    assert_snapshot!(plain(&ran.stderr, &scene, &listed), @"resuming UPLOAD: SOME of 24 MiB are stored");
    let id = ran.json()["id"].as_str().unwrap().to_owned();
    scene.assert_done(&id);
    assert_snapshot!(scene.sandbox.run(&["uploads", "list"]).stderr, @"nothing is unfinished");
}

#[cfg(unix)]
#[test]
fn what_is_remembered_of_an_upload_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let scene = Scene::new();
    scene.killed();
    let folder = scene.sandbox.path(".local/state/partwise/uploads");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in std::fs::read_dir(folder).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn an_upload_that_is_over_on_the_service_begins_anew() {
    let scene = Scene::new();
    let listed = scene.killed();
    let id = listed["id"].as_str().unwrap();
    let path = format!("/v1/uploads/{id}/cancel");
    assert!(scene.post(&path, "").contains("cancelled"));
    let ran = scene.upload(&[]);
    assert_snapshot!(plain(&ran.stderr, &scene, &listed), @"
    resuming UPLOAD: SOME of 24 MiB are stored
    that upload has expired or was cancelled on the service: starting over
    ");
    let id = ran.json()["id"].as_str().unwrap().to_owned();
    scene.assert_done(&id);
}

#[test]
fn another_tenants_key_resumes_nothing_and_loses_nothing() {
    let scene = Scene::with_keys(&[("PARTWISE_API_KEYS", "one:key,two:other-key")]);
    let listed = scene.killed();
    let checkpoint = std::fs::read(scene.checkpoint()).unwrap();
    let other = [("OPENAI_API_KEY", "other-key")];
    let said = |ran: Ran| {
        let said = plain(&ran.refused(1), &scene, &listed);
        let (before, request) = said.split_once(", request req_").unwrap();
        format!("{before}{}", request.trim_start_matches(|character: char| character.is_ascii_hexdigit()))
    };
    let ran = scene.sandbox.run_with(&scene.arguments(&[]), &other);
    assert_snapshot!(said(ran), @"
    resuming UPLOAD: SOME of 24 MiB are stored
    error: cannot upload big.bin at ORIGIN/v1: sending a part was refused: 404 Not Found: there is no upload `UPLOAD` (about id)
    hint: the upload may belong to another key, project or tenant: use the key that it was begun with; --no-resume starts over
    ");
    let cancel = ["uploads", "cancel", listed["id"].as_str().unwrap(), "--endpoint", &scene.server.origin];
    let ran = scene.sandbox.run_with(&cancel, &other);
    assert_snapshot!(said(ran), @"
    error: cannot cancel UPLOAD at ORIGIN/v1: the service refused: 404 Not Found: there is no upload `UPLOAD` (about id)
    hint: the upload may belong to another key, project or tenant: use the key that it was begun with; when it has expired, the same command forgets it here
    ");
    assert_eq!(std::fs::read(scene.checkpoint()).unwrap(), checkpoint);
    let files = ["files", "list", "--json", "--endpoint", &scene.server.origin];
    assert_eq!(scene.sandbox.run_with(&files, &other).done(), "", "nothing was sent to the wrong tenant");
    let id = scene.upload(&[]).json()["id"].as_str().unwrap().to_owned();
    scene.assert_done(&id);
}

#[test]
fn another_tenants_key_may_start_over_on_request() {
    let scene = Scene::with_keys(&[("PARTWISE_API_KEYS", "one:key,two:other-key")]);
    scene.killed();
    let other = [("OPENAI_API_KEY", "other-key")];
    scene.sandbox.run_with(&scene.arguments(&["--no-resume"]), &other).done();
    scene.assert_nothing_left();
}

#[test]
fn an_upload_that_has_expired_begins_anew() {
    let scene = Scene::new();
    scene.killed();
    scene.expire();
    let ran = scene.upload(&[]);
    assert!(
        ran.stderr.ends_with("has expired or was cancelled on the service: starting over\n"),
        "{}",
        ran.stderr
    );
    let id = ran.json()["id"].as_str().unwrap().to_owned();
    scene.assert_done(&id);
}

#[test]
fn an_upload_that_expires_under_the_run_that_sends_it_is_not_begun_anew() {
    let scene = Scene::new();
    let child = scene.stalled();
    scene.expire();
    scene.server.signal(&["CONT"]);
    let said = Ran::of(child.wait_with_output().unwrap()).refused(1);
    assert!(said.contains("the upload expired before it was complete"), "{said}");
    assert!(said.contains("\nhint: "), "{said}");
    scene.assert_nothing_left();
    let id = scene.upload(&[]).json()["id"].as_str().unwrap().to_owned();
    scene.assert_done(&id);
}

#[test]
fn an_upload_that_has_expired_by_our_clock_alone_is_gone_on_with() {
    let scene = Scene::new();
    let listed = scene.killed();
    let checkpoint = scene.checkpoint();
    let saved = std::fs::read_to_string(&checkpoint).unwrap();
    let expires = listed["expires_at"].as_u64().unwrap();
    std::fs::write(&checkpoint, saved.replace(&expires.to_string(), &(expires - 3601).to_string())).unwrap();
    let ran = scene.upload(&[]);
    assert_snapshot!(plain(&ran.stderr, &scene, &listed), @"
    resuming UPLOAD: SOME of 24 MiB are stored
    warning: by this machine's clock the upload has expired; the service decides whether it has
    ");
    let id = ran.json()["id"].as_str().unwrap().to_owned();
    scene.assert_done(&id);
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_nobody_was_told_of_is_found_again() {
    let scene = Scene::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = scene.sandbox.command(&scene.arguments(&[]));
    let ran = Ran::of(command.envs([KEY]).stdout(full).output().unwrap());
    assert!(ran.refused(1).contains("standard output"));
    let id = scene.upload(&[]).json()["id"].as_str().unwrap().to_owned();
    scene.assert_done(&id);
    let list = ["files", "list", "--json", "--endpoint", &scene.server.origin];
    assert_eq!(scene.sandbox.run_with(&list, &[KEY]).done().lines().count(), 1);
}

#[test]
fn of_several_runs_that_start_together_one_uploads() {
    let scene = Scene::new();
    let start = || {
        let mut command = scene.sandbox.command(&scene.arguments(&["--part-size", "64KiB"]));
        command.envs([KEY]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let all: Vec<_> = (0..4).map(|_| start()).collect();
    let ran: Vec<_> = all.into_iter().map(|child| Ran::of(child.wait_with_output().unwrap())).collect();
    let refused = ran.iter().filter(|ran| ran.stderr.contains("another run of partwise")).count();
    assert_eq!((refused, ran.iter().filter(|ran| ran.status == 0).count()), (3, 1));
}

#[test]
fn on_request_it_begins_anew() {
    let scene = Scene::new();
    let listed = scene.killed();
    // What is asked for must be possible before anything is given up for it.
    scene.upload(&["--no-resume", "--md5", "--route", "single"]).refused(2);
    assert_eq!(scene.listed().unwrap(), listed);
    let ran = scene.upload(&["--no-resume"]);
    assert_snapshot!(plain(&ran.stderr, &scene, &listed), @"UPLOAD, which an earlier run began, is left to expire on the service");
    let id = ran.json()["id"].as_str().unwrap().to_owned();
    scene.assert_done(&id);
}

#[test]
fn a_file_that_has_changed_since_begins_anew_and_is_told_of() {
    let mut scene = Scene::new();
    let listed = scene.killed();
    scene.content.truncate(LENGTH / 2);
    scene.sandbox.write("big.bin", &scene.content);
    let ran = scene.upload(&[]);
    assert_snapshot!(plain(&ran.stderr, &scene, &listed), @"
    the file has changed since an earlier run began to upload it (its length was 25165824 bytes and is 12582912): starting over
    UPLOAD, which an earlier run began, is left to expire on the service
    ");
    let id = ran.json()["id"].as_str().unwrap().to_owned();
    scene.assert_done(&id);
}

#[test]
fn flags_that_an_earlier_run_contradicts_are_not_ignored() {
    let scene = Scene::new();
    scene.killed();
    assert_snapshot!(scene.upload(&["--route", "single"]).refused(1), @"
    error: an earlier run began to upload this file in parts, not as --route single
    hint: without that flag it is gone on with; --no-resume starts over
    ");
    scene.upload(&["--part-size", "64KiB", "--route", "parts", "--md5"]).done();
}

#[test]
fn what_is_left_is_cut_as_this_run_wants_it() {
    for size in [&["--part-size", "100KiB"][..], &["--part-size", "1MiB"], &[]] {
        let scene = Scene::new();
        scene.killed();
        let id = scene.upload(size).json()["id"].as_str().unwrap().to_owned();
        scene.assert_done(&id);
    }
}

#[test]
fn what_a_release_with_checkpoints_of_version_2_began_is_gone_on_with() {
    let scene = Scene::new();
    scene.killed();
    let mut saved = scene.saved();
    saved["version"] = 2.into();
    let parts = saved["route"]["parts"].as_object_mut().unwrap();
    let there = parts.remove("acknowledged").unwrap();
    let id = |start: u64| there.as_array().unwrap().iter().find(|part| part["start"] == start);
    let count = (LENGTH as u64).div_ceil(65_536);
    let ids: Vec<_> =
        (0..count).map(|part| id(part * 65_536).map_or(Value::Null, |part| part["id"].clone())).collect();
    assert!(ids.contains(&Value::Null) && !ids.iter().all(Value::is_null), "{ids:?}");
    parts.insert("part_size".into(), 65_536.into());
    parts.insert("part_ids".into(), ids.into());
    std::fs::write(scene.checkpoint(), saved.to_string()).unwrap();
    let id = scene.upload(&[]).json()["id"].as_str().unwrap().to_owned();
    scene.assert_done(&id);
}

#[test]
fn the_embedded_server_is_known_by_its_folder_however_that_is_written() {
    let sandbox = Sandbox::new();
    let content = noise(LENGTH);
    sandbox.write("big.bin", &content);
    std::fs::create_dir(sandbox.path("deep")).unwrap();
    let upload = |store: &str, more: &[&str]| {
        let arguments =
            ["upload", "big.bin", "--purpose", "assistants", "--json", "--local", "--store", store];
        sandbox.command(&[&arguments[..], more].concat())
    };
    let mut child = upload("shelf", &["--part-size", "64KiB"]).stdout(Stdio::null()).spawn().unwrap();
    until(|| sandbox.run(&["uploads", "list"]).done().contains("running"));
    child.kill().unwrap();
    child.wait().unwrap();
    let ran = Ran::of(upload("deep/../shelf", &[]).output().unwrap());
    assert!(ran.stderr.starts_with("resuming upload_"), "{}", ran.stderr);
    let id = ran.json()["id"].as_str().unwrap().to_owned();
    sandbox.run(&["files", "download", &id, "-o", "copy", "--local", "--store", "shelf"]).done();
    assert!(sandbox.read("copy") == content);
}

#[test]
fn a_store_in_memory_leaves_nothing_to_go_on_from() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "x");
    sandbox.run(&["upload", "a.txt", "--purpose", "assistants", "--local", "--store", "memory://"]).done();
    assert!(!sandbox.path(".local").exists());
}
