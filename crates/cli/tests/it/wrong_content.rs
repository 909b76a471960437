//! Downloads that bring something else than the file: exit status 1, what it is, and no file under its name.

use insta::assert_snapshot;
use partwise_testkit::scripted::{Answer, Scripted};

use crate::sandbox::{Ran, Sandbox};

const OBJECT: &str = r#"{"id": "file-1", "object": "file", "filename": "a.jsonl", "bytes": 51200}"#;
const WITHOUT_BYTES: &str = r#"{"id": "file-1", "object": "file", "filename": "a.jsonl", "bytes": null}"#;

/// A service that answers so to a request for the content, and with this object.
fn service(content: impl Fn() -> Answer + Send + Sync + 'static, object: &'static str) -> Scripted {
    Scripted::new(move |request| match &*request.line {
        "GET /v1/files/file-1/content" => content(),
        "GET /v1/files/file-1" => Answer::json("200 OK", object),
        other => panic!("{other} was asked for"),
    })
}

fn chunked() -> Answer {
    let chunk = "x".repeat(1000);
    Answer::raw(format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{chunk}\r\n0\r\n\r\n",
        chunk.len()
    ))
}

fn closed() -> Answer {
    Answer::raw(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", "x".repeat(1000)))
}

fn with_length() -> Answer {
    Answer::with("200 OK", "Content-Type: application/octet-stream\r\n", "x".repeat(51_201))
}

fn short_with_length() -> Answer {
    Answer::with("200 OK", "Content-Type: text/plain\r\n", "later, please")
}

fn short_range() -> Answer {
    Answer::with("206 Partial Content", "Content-Range: bytes 0-999/1000\r\n", "x".repeat(1000))
}

fn page() -> Answer {
    Answer::page("200 OK", "Sign in to the guest network")
}

fn error() -> Answer {
    Answer::json("200 OK", r#"{"error": {"message": "The file is not ready", "type": "server_error"}}"#)
}

fn part() -> Answer {
    Answer::with("206 Partial Content", "Content-Range: bytes 0-4/51200\r\n", "abcde")
}

fn run(sandbox: &Sandbox, service: &Scripted, to: &str) -> Ran {
    let download = ["files", "download", "file-1", "-o", to, "--endpoint", &service.origin];
    sandbox.run_with(&download, &[("OPENAI_API_KEY", "k")])
}

/// What is said when it goes to a file. It leaves no file.
fn to_file(content: fn() -> Answer, object: &'static str) -> String {
    let (sandbox, service) = (Sandbox::new(), service(content, object));
    let said = run(&sandbox, &service, "out").refused(1);
    assert_eq!(std::fs::read_dir(sandbox.path("")).unwrap().count(), 0, "nothing is left");
    said.replace(&service.origin, "ORIGIN")
}

/// What is said when it goes to standard output, and how much went there.
fn to_stdout(content: fn() -> Answer, object: &'static str) -> (usize, String) {
    let (sandbox, service) = (Sandbox::new(), service(content, object));
    let ran = run(&sandbox, &service, "-");
    assert_eq!(ran.status, 1, "{ran:?}");
    (ran.stdout.len(), ran.stderr.replace(&service.origin, "ORIGIN"))
}

#[test]
fn an_answer_without_a_length_that_ends_early_is_told_with_both_numbers() {
    for content in [chunked as fn() -> Answer, closed] {
        let said = to_file(content, OBJECT);
        assert_eq!(to_stdout(content, OBJECT), (1000, said.clone()));
        insta::allow_duplicates! {
            assert_snapshot!(said, @"
            error: cannot download file-1 at ORIGIN/v1: 1000 bytes came, and the file has 51200
            hint: run the same command again: the connection may have ended early
            ");
        }
    }
}

#[test]
fn an_answer_of_another_size_is_no_file_although_it_tells_its_length() {
    let said = to_file(with_length, OBJECT);
    assert_eq!(to_stdout(with_length, OBJECT), (51_201, said.clone()));
    assert_snapshot!(said, @"error: cannot download file-1 at ORIGIN/v1: 51201 bytes came, and the file has 51200");
    for content in [short_with_length as fn() -> Answer, short_range] {
        let said = to_file(content, OBJECT);
        assert!(said.contains("bytes came, and the file has 51200"), "{said}");
        assert!(!said.contains("the connection may have ended early"), "{said}");
    }
}

#[test]
fn a_page_or_an_error_object_is_no_file_and_does_not_go_to_standard_output() {
    let said = to_file(page, OBJECT);
    assert_eq!(to_stdout(page, OBJECT), (0, said.clone()));
    assert_snapshot!(said, @"
    error: cannot download file-1 at ORIGIN/v1: the service answered with a page with the title “Sign in to the guest network”: 56 bytes, and the file has 51200
    hint: something in front of the service answered in its place: sign in to this network, or look at the proxy, firewall or gateway on the way
    ");
    assert_snapshot!(to_file(page, WITHOUT_BYTES), @"
    error: cannot download file-1 at ORIGIN/v1: the service answered with a page with the title “Sign in to the guest network”, and does not say how many bytes the file has
    hint: something in front of the service answered in its place: sign in to this network, or look at the proxy, firewall or gateway on the way
    ");
    let said = to_file(error, OBJECT);
    assert_eq!(to_stdout(error, OBJECT), (0, said.clone()));
    assert_snapshot!(said, @"
    error: cannot download file-1 at ORIGIN/v1: the service answered with an error object (“The file is not ready”): 71 bytes, and the file has 51200
    hint: run the same command again later
    ");
}

#[test]
fn a_part_that_was_not_asked_for_does_not_go_to_standard_output() {
    let (received, said) = to_stdout(part, OBJECT);
    assert_eq!(received, 0);
    assert_snapshot!(said, @r#"
    error: cannot download file-1 at ORIGIN/v1: the answer with status 206 is not what this API answers: "Content-Range: bytes 0-4/51200": a part of the content came, although all of it was asked for
    hint: something else may be answering: is ORIGIN/v1 the right endpoint?
    "#);
}

#[test]
fn that_a_length_could_be_compared_with_nothing_is_said() {
    for to in ["out", "-"] {
        let (sandbox, service) = (Sandbox::new(), service(chunked, WITHOUT_BYTES));
        let ran = run(&sandbox, &service, to);
        assert_eq!(ran.status, 0, "{ran:?}");
        insta::allow_duplicates! {
            assert_snapshot!(ran.stderr, @"warning: the service does not say how many bytes file-1 has, so it is not known whether all of them came");
        }
    }
}

#[test]
fn a_page_in_place_of_an_answer_is_told_by_its_title() {
    let service = Scripted::new(|_| Answer::page("200 OK", "Sign in to Airport Wi-Fi"));
    let sandbox = Sandbox::new();
    sandbox.write("a.jsonl", "{}\n");
    let said = |arguments: &[&str]| {
        let arguments = [arguments, &["--endpoint", &service.origin]].concat();
        sandbox.run_with(&arguments, &[("OPENAI_API_KEY", "k")]).refused(1).replace(&service.origin, "ORIGIN")
    };
    let page = "the answer with status 200 is not what this API answers: a page with the title “Sign in to Airport Wi-Fi”\nhint: something in front of the service answered in its place: sign in to this network, or look at the proxy, firewall or gateway on the way";
    for arguments in [
        &["files", "list"][..],
        &["files", "get", "file-1"],
        &["files", "delete", "file-1"],
        &["upload", "a.jsonl", "--purpose", "assistants", "--route", "parts"],
    ] {
        let said = said(arguments);
        assert!(said.contains(page), "{said}");
        assert!(!said.contains('<') && !said.contains("column"), "{said}");
    }
}

#[test]
fn what_has_come_is_kept_until_another_answer_is_accepted() {
    let sandbox = Sandbox::new();
    let checkpoint = |origin: &str| {
        format!(
            "{{\"version\":1,\"place\":\"{origin}/v1\",\"file_id\":\"file-1\",\"content\":{{\"length\":51200,\"etag\":null,\"last_modified\":null}},\"written\":[[0,1000]]}}\n"
        )
    };
    let service = Scripted::new(|request| match &*request.line {
        "GET /v1/files/file-1/content" if request.number < 2 => {
            Answer::with("200 OK", "Content-Type: application/octet-stream\r\n", "x".repeat(700))
        }
        "GET /v1/files/file-1/content" => Answer::json("404 None", "{}"),
        "GET /v1/files/file-1" => Answer::json("404 None", "{}"),
        other => panic!("{other} was asked for"),
    });
    let mut content = vec![7; 51_200];
    content[999] = 8;
    std::fs::write(sandbox.path("out.partwise"), &content).unwrap();
    let journal = checkpoint(&service.origin);
    std::fs::write(sandbox.path("out.partwise-journal"), &journal).unwrap();
    let said = run(&sandbox, &service, "out").refused(1);
    assert!(said.contains("starting over"), "{said}");
    assert!(std::fs::read(sandbox.path("out.partwise")).unwrap() == content, "{said}");
    assert_eq!(std::fs::read_to_string(sandbox.path("out.partwise-journal")).unwrap(), journal);
}

#[test]
fn a_coding_that_is_not_decoded_is_blamed_on_what_compresses() {
    for coding in ["br", "zstd", "gzip, gzip"] {
        let coded = move || Answer::with("200 OK", &format!("Content-Encoding: {coding}\r\n"), "abc");
        let (sandbox, service) = (Sandbox::new(), service(coded, OBJECT));
        let said = run(&sandbox, &service, "out").refused(1);
        assert!(said.contains("hint: a gateway or proxy compresses the answers"), "{said}");
        assert!(!said.contains("the right endpoint"), "{said}");
    }
}
