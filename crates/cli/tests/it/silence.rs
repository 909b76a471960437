//! What is said while nothing seems to happen: the first failed attempt, and each long wait.

use insta::assert_snapshot;
use partwise_testkit::{
    content::noise,
    scripted::{Answer, Request, Scripted},
};

use crate::sandbox::Sandbox;

const KEY: (&str, &str) = ("OPENAI_API_KEY", "k");
const FILE: &str = r#"{"id": "file-1", "object": "file", "data": []}"#;

fn unavailable() -> Answer {
    Answer::json("503 Service Unavailable", r#"{"error": {"message": "busy", "type": "server_error"}}"#)
}

fn asking_for(status: &str, seconds: u32) -> Answer {
    let headers = format!("Retry-After: {seconds}\r\nContent-Type: application/json\r\n");
    Answer::with(status, &headers, r#"{"error": {"message": "later"}}"#)
}

/// What standard error has of a command that succeeds once the service does.
fn said(arguments: &[&str], answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> String {
    let (sandbox, service) = (Sandbox::new(), Scripted::new(answer));
    sandbox.write("a.jsonl", "{}\n");
    sandbox.write("big.bin", noise(3 << 20));
    let ran = sandbox.run_with(&[arguments, &["--endpoint", &service.origin]].concat(), &[KEY]);
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.stderr
}

#[test]
fn a_single_operation_says_its_first_failed_attempt() {
    let twice =
        |request: &Request| if request.number < 2 { unavailable() } else { Answer::json("200 OK", FILE) };
    for arguments in [&["files", "get", "file-1"][..], &["files", "list", "--json"]] {
        insta::allow_duplicates! {
            assert_snapshot!(said(arguments, twice), @"the service answered 503 Service Unavailable: trying again");
        }
    }
}

#[test]
fn a_wait_that_the_service_asks_for_is_told_with_its_status() {
    let list = r#"{"object": "list", "data": [], "has_more": false}"#;
    let once = |request: &Request| match request.number {
        0 => asking_for("429 Too Many Requests", 6),
        _ => Answer::json("200 OK", list),
    };
    assert_snapshot!(said(&["files", "list", "--json"], once), @"the service asks to wait 6 s (429 Too Many Requests)");
}

#[test]
fn an_upload_says_that_it_looks_for_a_file_that_may_have_been_made() {
    let sandbox = Sandbox::new();
    sandbox.write("a.jsonl", "{}\n");
    let service = Scripted::new(|request| match &*request.line {
        "POST /v1/files" => unavailable(),
        // The list need not be searched for long.
        _ => Answer::json("401 Unauthorized", "{}"),
    });
    let upload = ["upload", "a.jsonl", "--purpose", "batch", "--endpoint", &service.origin];
    let said = sandbox.run_with(&upload, &[KEY]).refused(1);
    assert_snapshot!(said.lines().next().unwrap(), @"the service answered 503 Service Unavailable: looking whether it made the file, then trying again");
}

#[test]
fn parts_that_fail_together_are_told_once() {
    let answer = |request: &Request| {
        let parts = |from| request.line.ends_with("/parts") && request.number < from;
        match &*request.line {
            _ if parts(4) => unavailable(),
            "POST /v1/uploads" => Answer::json("200 OK", r#"{"id": "upload_1", "status": "pending"}"#),
            line if line.ends_with("/parts") => {
                Answer::json("200 OK", &format!(r#"{{"id": "part_{}"}}"#, request.number))
            }
            _ => Answer::json(
                "200 OK",
                r#"{"id": "upload_1", "status": "completed", "file": {"id": "file-1", "bytes": 3145728}}"#,
            ),
        }
    };
    let upload = ["upload", "big.bin", "--purpose", "assistants", "--part-size", "1MiB", "--route", "parts"];
    assert_snapshot!(said(&upload, answer), @"the service answered 503 Service Unavailable: trying again");
}

#[test]
fn a_download_says_its_first_failed_attempt() {
    let answer = |request: &Request| match (&*request.line, request.number) {
        (_, 0..2) => unavailable(),
        _ => Answer::with("200 OK", "", "abc"),
    };
    for to in ["out", "-"] {
        insta::allow_duplicates! {
            assert_snapshot!(said(&["files", "download", "file-1", "-o", to], answer), @"the service answered 503 Service Unavailable: trying again");
        }
    }
}

#[test]
fn a_wait_beyond_what_is_waited_for_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("a.jsonl", "{}\n");
    let service = Scripted::new(|_| asking_for("429 Too Many Requests", 600));
    let upload = ["upload", "a.jsonl", "--purpose", "batch", "--endpoint", &service.origin];
    let said = sandbox.run_with(&upload, &[KEY]).refused(1);
    assert_snapshot!(said.replace(&service.origin, "ORIGIN"), @"
    error: cannot upload a.jsonl at ORIGIN/v1: POST /files was refused: 429 Too Many Requests: later
    hint: the service asks to wait 600 s before the next attempt
    ");
}
