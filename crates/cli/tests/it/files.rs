//! `partwise files`: what it does, and what it says when the service refuses.

use insta::assert_snapshot;
use partwise_testkit::scripted::{Answer, Scripted};

use crate::sandbox::Sandbox;

/// The service names every request differently.
fn stable(said: &str) -> String {
    let Some((before, rest)) = said.split_once("request ") else { return said.to_owned() };
    let end = rest.find(')').unwrap_or(rest.len());
    format!("{before}request …{}", &rest[end..])
}

#[test]
fn a_list_goes_through_all_pages_unless_it_is_limited() {
    let sandbox = Sandbox::new();
    let mut ids: Vec<_> = (0..5).map(|n| sandbox.stored(&format!("{n}.txt"), "x")).collect();
    let listed = |arguments: &[&str]| -> Vec<String> {
        let ran = sandbox.run(&[&["files", "list", "--local", "--json"], arguments].concat());
        let object = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        ran.done().lines().map(|line| object(line)["id"].as_str().unwrap().to_owned()).collect()
    };
    let oldest_first = listed(&["--order", "asc"]);
    let newest_first = listed(&["--order", "desc"]);
    assert_eq!(newest_first.iter().rev().collect::<Vec<_>>(), oldest_first.iter().collect::<Vec<_>>());
    assert_eq!(listed(&["--limit", "2", "--order", "asc"]), oldest_first[..2]);
    assert_eq!(listed(&["--limit", "9"]), newest_first);
    ids.sort();
    let mut all = oldest_first;
    all.sort();
    assert_eq!(all, ids);
    assert_eq!(listed(&["--purpose", "fine-tune"]), Vec::<String>::new());
    assert_eq!(listed(&["--purpose", "assistants"]).len(), 5);
}

#[test]
fn an_empty_list_is_no_failure() {
    let ran = Sandbox::new().run(&["files", "list", "--local"]);
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", "no files\n"));
    let ran = Sandbox::new().run(&["files", "list", "--local", "--json"]);
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
}

#[test]
fn what_is_deleted_is_gone() {
    let sandbox = Sandbox::new();
    for provider in ["openai", "azure", "azure-v1"] {
        let id = sandbox.stored("a.txt", "x");
        let global = ["--local", "--provider", provider];
        let deleted = sandbox.run(&[&["files", "delete", &id, "--json"][..], &global].concat()).json();
        assert_eq!(deleted["deleted"], true, "{provider}");
        assert_eq!(deleted["id"], *id);
        for command in
            [&["files", "get", &id][..], &["files", "delete", &id], &["files", "download", &id, "-o", "copy"]]
        {
            let said = sandbox.run(&[command, &global].concat()).refused(1);
            assert!(said.starts_with("error: ") && said.contains("404"), "{said}");
        }
        assert!(!sandbox.path("copy").exists());
    }
}

#[test]
fn people_are_told_what_was_deleted() {
    let sandbox = Sandbox::new();
    let id = sandbox.stored("a.txt", "x");
    assert_eq!(sandbox.run(&["files", "delete", "--local", &id]).done(), format!("deleted {id}\n"));
}

#[test]
fn a_deletion_whose_answer_was_lost_is_sent_again() {
    let gone = ("404 Not Found", r#"{"error":{"message":"No such File object: file-1"}}"#);
    let gone_on_azure = ("200 OK", r#"{"id":"file-1","deleted":false}"#);
    for (status, body) in [gone, gone_on_azure] {
        let service = Scripted::new(move |request| match request.number {
            0 => Answer::raw(""),
            _ => Answer::json(status, body),
        });
        let delete = ["files", "delete", "file-1", "--json", "--endpoint", &service.origin];
        let ran = Sandbox::new().run_with(&delete, &[("OPENAI_API_KEY", "key")]);
        assert_eq!(service.lines(), ["DELETE /v1/files/file-1"; 2]);
        assert_eq!(ran.stderr, "the connection was interrupted: trying again\n");
        assert_eq!(ran.json(), serde_json::json!({ "id": "file-1", "deleted": true }));
    }
}

#[test]
fn an_unknown_id_is_refused_by_name() {
    let sandbox = Sandbox::new();
    let files = |arguments: &[&str]| {
        let ran = sandbox.run(&[&["files", "--local"], arguments].concat());
        let status = ran.status;
        stable(&ran.refused(status)) + &format!("status {status}")
    };
    assert_snapshot!(files(&["get", "file-unknown"]), @"
    error: cannot get file-unknown: the service refused: 404 Not Found: there is no file `file-unknown` (about id, request …)
    status 1
    ");
    assert_snapshot!(files(&["delete", "file-unknown"]), @"
    error: cannot delete file-unknown: the service refused: 404 Not Found: there is no file `file-unknown` (about id, request …)
    status 1
    ");
    assert_snapshot!(files(&["download", "file-unknown", "-o", "copy"]), @"
    error: cannot download file-unknown: the service refused: 404 Not Found: there is no file `file-unknown` (about id, request …)
    status 1
    ");
    assert_snapshot!(files(&["get", "../../etc/passwd"]), @"
    error: cannot get ../../etc/passwd: the service refused: 404 Not Found: there is no file `../../etc/passwd` (about id, request …)
    status 1
    ");
    assert_snapshot!(files(&["get", ""]), @"
    error: `` is not an identifier of a file or an upload
    status 2
    ");
}

#[test]
fn an_import_is_refused_where_there_is_none() {
    let sandbox = Sandbox::new();
    let import = [
        "files",
        "import",
        "--url",
        "https://example.com/a.jsonl",
        "--filename",
        "a.jsonl",
        "--purpose",
        "fine-tune",
    ];
    assert_snapshot!(sandbox.run(&[&import[..], &["--local"]].concat()).refused(2), @"
    error: OpenAI has no POST /files/import
    hint: only Azure's dated api-versions have it: --provider azure
    ");
    let refused = sandbox.run(&[&import[..], &["--local", "--provider", "azure"]].concat()).refused(1);
    assert_snapshot!(stable(&refused), @"error: cannot import https://example.com/a.jsonl: the service refused: 400 Bad Request: this server fetches nothing from other hosts: send the file itself with POST /files (code fileImportFailed, request …)");
}
