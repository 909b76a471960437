//! Uploads that look done and are not, and those of which nobody knows: what is said, what is left, and the way out.

use std::{
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use insta::assert_snapshot;
use partwise_testkit::scripted::{Answer, Request, Scripted};

use crate::{
    sandbox::{Ran, Sandbox, signal},
    scene::until,
};

const KEY: (&str, &str) = ("OPENAI_API_KEY", "k");
const CONTENT: &str = "{\"a\":1}\n";

fn now() -> SystemTime {
    SystemTime::now()
}

fn object(id: &str, more: &str) -> String {
    let created = now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    format!(
        r#"{{"id":"{id}","object":"file","filename":"a.jsonl","purpose":"assistants","created_at":{created}{more}}}"#
    )
}

fn ok(body: &str) -> Answer {
    let date = httpdate::fmt_http_date(now());
    Answer::with("200 OK", &format!("Content-Type: application/json\r\nDate: {date}\r\n"), body)
}

struct Scene {
    sandbox: Sandbox,
    service: Scripted,
}

impl Scene {
    fn new(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("a.jsonl", CONTENT);
        Self { sandbox, service: Scripted::new(answer) }
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let upload =
            ["upload", "a.jsonl", "--purpose", "assistants", "--json", "--endpoint", &self.service.origin];
        [&upload[..], more].concat()
    }

    fn upload(&self, more: &[&str]) -> Ran {
        self.sandbox.run_with(&self.arguments(more), &[KEY])
    }

    fn refused(&self, more: &[&str]) -> String {
        self.upload(more).refused(1).replace(&self.service.origin, "ORIGIN")
    }

    fn unfinished(&self) -> usize {
        self.sandbox.run(&["uploads", "list", "--json"]).done().lines().count()
    }

    fn posts(&self) -> usize {
        self.service.lines().iter().filter(|line| line.starts_with("POST")).count()
    }
}

#[test]
fn a_file_with_other_bytes_than_were_sent_is_no_success() {
    let scene = Scene::new(|_| ok(&object("file-1", r#","bytes":3"#)));
    assert_snapshot!(scene.refused(&[]), @"
    error: cannot upload a.jsonl at ORIGIN/v1: the service made file-1 with 3 bytes, and 8 were sent
    hint: something on the way changes what is sent: `partwise files delete file-1`, then upload again
    ");
    assert_eq!((scene.posts(), scene.unfinished()), (1, 0));
}

#[test]
fn a_file_whose_content_is_rejected_is_printed_and_no_success() {
    let rejected = r#","bytes":8,"status":"error","status_details":"Validation of jsonl file failed"}"#;
    let scene = Scene::new(|_| ok(&object("file-1", rejected.trim_end_matches('}'))));
    let ran = scene.upload(&[]);
    assert!(ran.stdout.starts_with(r#"{"id":"file-1""#), "{}", ran.stdout);
    assert_eq!(ran.status, 1);
    assert_snapshot!(ran.stderr.replace(&scene.service.origin, "ORIGIN"), @"
    error: cannot upload a.jsonl at ORIGIN/v1: the service rejected the content: Validation of jsonl file failed
    hint: fix the file, then upload it again; `partwise files delete file-1` removes this one
    ");
    assert_eq!(scene.unfinished(), 0);
}

#[test]
fn an_import_whose_content_is_rejected_is_printed_and_no_success() {
    let service =
        Scripted::new(|_| ok(&object("file-1", r#","status":"error","status_details":"no such host""#)));
    let import = [
        "files",
        "import",
        "--url",
        "https://example.com/a",
        "--filename",
        "a.jsonl",
        "--purpose",
        "fine-tune",
    ];
    let azure = ["--provider", "azure", "--endpoint", &service.origin];
    let ran = Sandbox::new().run_with(&[&import[..], &azure].concat(), &[("AZURE_OPENAI_API_KEY", "k")]);
    assert!(ran.stdout.contains("file-1"), "{}", ran.stdout);
    assert_eq!(ran.status, 1);
    assert_snapshot!(ran.stderr, @"error: the service rejected the content of https://example.com/a: no such host");
}

/// A service that makes the file, loses the answer, and serves what `content` says.
fn losing(content: impl Fn() -> Answer + Send + Sync + 'static) -> Scene {
    Scene::new(move |request| match &request.line[..] {
        "POST /v1/files" => Answer::raw(""),
        "GET /v1/files/file-1/content" => content(),
        "GET /v1/files/file-1" => ok(&object("file-1", r#","bytes":8"#)),
        _ => ok(&format!(r#"{{"data":[{}],"has_more":false}}"#, object("file-1", r#","bytes":8"#))),
    })
}

fn not_served() -> Answer {
    Answer::json(
        "400 Bad Request",
        r#"{"error":{"message":"Not allowed to download files of purpose: assistants"}}"#,
    )
}

#[test]
fn a_lost_answer_is_made_up_for_by_equal_content() {
    let scene = losing(|| Answer::with("200 OK", "", CONTENT));
    let ran = scene.upload(&[]);
    assert_eq!(ran.status, 0);
    assert!(ran.stderr.ends_with(
        "the answer was lost; file-1 in the service's list has the same content, so it is the file\n"
    ));
    assert_eq!((scene.posts(), scene.unfinished()), (1, 0));
}

#[test]
fn without_a_proof_the_candidate_and_both_ways_out_are_named() {
    let scene = losing(not_served);
    let said = scene.refused(&[]);
    assert!(
        said.contains("it is not known whether the service made a file: one in its list may be it"),
        "{said}"
    );
    assert_snapshot!(said.lines().last().unwrap(), @"hint: --adopt file-1 takes that file if it is the same; --send-again uploads the file again; the same command looks for the file again");
    assert_eq!((scene.posts(), scene.unfinished()), (1, 1));
}

#[test]
fn a_candidate_is_adopted_and_the_upload_is_over() {
    let scene = losing(not_served);
    scene.refused(&[]);
    let ran = scene.upload(&["--adopt", "file-1"]);
    assert_snapshot!(ran.stderr, @"file-1 has the same name, size and purpose; the service does not serve its content, so that was not compared");
    assert_eq!(ran.json()["id"], "file-1");
    assert_eq!((scene.posts(), scene.unfinished()), (1, 0));
}

#[test]
fn a_file_that_differs_is_not_adopted() {
    let scene = losing(|| Answer::with("200 OK", "", "{\"a\":2}\n"));
    assert_snapshot!(scene.refused(&["--adopt", "file-1"]), @"error: cannot adopt file-1 for a.jsonl: its content is another");
    scene.sandbox.write("a.jsonl", "longer than before");
    assert_snapshot!(scene.refused(&["--adopt", "file-1"]), @"error: cannot adopt file-1 for a.jsonl: it has 8 bytes, and the file has 18");
    scene.upload(&["--adopt", "file-1", "--send-again"]).refused(2);
}

/// A service that loses the answer, and says nothing of the file but its identifier.
fn saying_nothing(content: impl Fn() -> Answer + Send + Sync + 'static) -> Scene {
    Scene::new(move |request| match &request.line[..] {
        "GET /v1/files/file-1/content" => content(),
        _ => ok(r#"{"id":"file-1"}"#),
    })
}

#[test]
fn only_what_was_compared_is_said_to_be_the_same() {
    let scene = saying_nothing(|| Answer::with("200 OK", "", CONTENT));
    let ran = scene.upload(&["--adopt", "file-1"]);
    assert_snapshot!(ran.stderr, @"file-1 has the same content");
    assert_eq!(ran.json(), serde_json::json!({ "id": "file-1" }));
    let scene = Scene::new(|request| match &request.line[..] {
        "GET /v1/files/file-1/content" => not_served(),
        _ => ok(r#"{"id":"file-1","filename":"a.jsonl","bytes":8}"#),
    });
    let ran = scene.upload(&["--adopt", "file-1"]);
    assert_snapshot!(ran.stderr, @"file-1 has the same name and size; the service does not serve its content, so that was not compared");
    assert_eq!(ran.status, 0);
}

#[test]
fn a_file_of_which_nothing_can_be_compared_is_not_adopted() {
    let scene = saying_nothing(not_served);
    assert_snapshot!(scene.refused(&["--adopt", "file-1"]), @"
    error: cannot adopt file-1 for a.jsonl: the service says neither its name, size nor purpose, and does not serve its content
    hint: --send-again uploads the file again instead
    ");
}

#[test]
fn an_upload_that_made_no_file_is_not_forgotten_for_another() {
    let scene = Scene::new(|request| match &request.line[..] {
        "POST /v1/uploads" => ok(r#"{"id":"upload_1","object":"upload","status":"pending","bytes":8}"#),
        "POST /v1/uploads/upload_1/parts" => Answer::json("401 Unauthorized", "{}"),
        "GET /v1/files/file-1/content" => Answer::with("200 OK", "", CONTENT),
        _ => ok(&object("file-1", r#","bytes":8"#)),
    });
    scene.refused(&["--route", "parts"]);
    let said = scene.refused(&["--adopt", "file-1"]);
    assert_snapshot!(said, @"
    error: cannot adopt file-1 for a.jsonl: an earlier run began to upload it as upload_1, and that upload has made no file
    hint: without --adopt the same command resumes it; `partwise uploads cancel upload_1` ends it, then --adopt
    ");
    assert_eq!(scene.unfinished(), 1);
}

#[test]
fn with_a_checkpoint_that_cannot_be_read_nothing_is_adopted() {
    let scene = losing(not_served);
    scene.refused(&[]);
    std::fs::write(scene.sandbox.checkpoint(), r#"{"version":7}"#).unwrap();
    let said = scene.refused(&["--adopt", "file-1"]);
    assert_snapshot!(said, @"
    error: cannot adopt file-1 for a.jsonl: its checkpoint cannot be read: the checkpoint has version 7, and this release reads versions 1 to 3; start over or use the release that wrote it
    hint: `partwise uploads list` shows its ID, and `partwise uploads cancel ID` forgets it, then --adopt
    ");
    assert_eq!(scene.unfinished(), 1);
}

#[test]
fn a_signal_stops_a_comparison_and_keeps_the_checkpoint() {
    for name in ["INT", "TERM"] {
        let times = AtomicUsize::new(0);
        let scene = losing(move || {
            if times.fetch_add(1, SeqCst) == 0 {
                return not_served();
            }
            // A command that does not listen gets the content in the end.
            thread::sleep(Duration::from_secs(5));
            Answer::with("200 OK", "", CONTENT)
        });
        scene.refused(&[]);
        let asked = || scene.service.lines().iter().filter(|line| line.ends_with("/content")).count();
        let mut command = scene.sandbox.command(&scene.arguments(&["--adopt", "file-1"]));
        let child = command.envs([KEY]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        until(|| asked() == 2);
        signal(&child, &[name]);
        let ran = Ran::of(child.wait_with_output().unwrap());
        insta::allow_duplicates! {
            assert_snapshot!(ran.refused(75), @"
            stopped: file-1 was not compared with a.jsonl to its end, and is not adopted
            hint: the same command compares them again
            ");
        }
        assert_eq!(scene.unfinished(), 1);
    }
}

#[test]
fn on_request_the_file_is_sent_again() {
    let scene = Scene::new(|request| match &request.line[..] {
        "POST /v1/files" if request.number == 0 => Answer::raw(""),
        "POST /v1/files" => ok(&object("file-2", r#","bytes":8"#)),
        "GET /v1/files/file-1/content" => not_served(),
        _ => ok(&format!(r#"{{"data":[{}],"has_more":false}}"#, object("file-1", r#","bytes":8"#))),
    });
    scene.refused(&[]);
    let ran = scene.upload(&["--send-again"]);
    assert_snapshot!(ran.stderr, @"an earlier run may have made a file already: `partwise files list` shows it");
    assert_eq!(ran.json()["id"], "file-2");
    assert_eq!((scene.posts(), scene.unfinished()), (2, 0));
}

#[test]
fn a_file_that_changed_since_an_ambiguous_request_is_sent_on_request_alone() {
    for request in ["--send-again", "--no-resume"] {
        let scene = Scene::new(|request| match &request.line[..] {
            "POST /v1/files" if request.number == 0 => Answer::raw(""),
            "POST /v1/files" => ok(&object("file-2", r#","bytes":16"#)),
            "GET /v1/files/file-1/content" => not_served(),
            _ => ok(&format!(r#"{{"data":[{}],"has_more":false}}"#, object("file-1", r#","bytes":8"#))),
        });
        scene.refused(&[]);
        scene.sandbox.write("a.jsonl", "{\"a\":1}\n{\"a\":2}\n");
        let said = scene.refused(&[]);
        insta::allow_duplicates! {
            assert_snapshot!(said, @"
            error: cannot upload a.jsonl at ORIGIN/v1: an earlier run may have made a file of it, and its checkpoint does not match the file: its length was 8 bytes and is 16
            hint: `partwise files list` shows whether that file is there; --send-again uploads the file as it is now
            ");
        }
        assert_eq!((scene.posts(), scene.unfinished()), (1, 1), "nothing is sent, and the checkpoint stays");
        let ran = scene.upload(&[request]);
        insta::allow_duplicates! {
            assert_snapshot!(ran.stderr, @"an earlier run may have made a file already: `partwise files list` shows it");
        }
        assert_eq!(ran.json()["id"], "file-2");
        assert_eq!((scene.posts(), scene.unfinished()), (2, 0));
    }
}

/// What is said of a command whose only request is answered so, without the service's address.
fn answered(arguments: &[&str], body: &'static str) -> String {
    let service = Scripted::new(move |_| ok(body));
    let arguments = [arguments, &["--endpoint", &service.origin]].concat();
    Sandbox::new().run_with(&arguments, &[KEY]).refused(1).replace(&service.origin, "ORIGIN")
}

#[test]
fn a_service_without_uploads_cancels_none() {
    let cancel = ["uploads", "cancel", "upload_1", "--provider", "azure", "--endpoint", "http://127.0.0.1:9"];
    let old = ["--api-version", "2024-06-01"];
    let said = Sandbox::new().run_with(&[&cancel[..], &old].concat(), &[("AZURE_OPENAI_API_KEY", "k")]);
    assert_snapshot!(said.refused(2), @"
    error: Azure OpenAI 2024-06-01 has no request for cancelling the upload
    hint: another --provider or --api-version may have it
    ");
}

#[test]
fn an_upload_that_was_not_cancelled_is_no_success() {
    let cancel = |body| answered(&["uploads", "cancel", "upload_1"], body);
    assert_snapshot!(cancel(r#"{"id":"upload_1","status":"completed","file":{"id":"file-1"}}"#), @"error: cannot cancel upload_1 at ORIGIN/v1: the service says otherwise in its answer with status 200: upload_1 is completed, and file-1 was made of it");
    assert_snapshot!(cancel(r#"{"id":"upload_1","status":"pending"}"#), @"error: cannot cancel upload_1 at ORIGIN/v1: the service says otherwise in its answer with status 200: upload_1 is pending");
    assert_snapshot!(cancel(r#"{"id":"upload_1"}"#), @"error: cannot cancel upload_1 at ORIGIN/v1: the service says otherwise in its answer with status 200: upload_1 has no status");
    assert_snapshot!(cancel(r#"{"id":"upload_2","status":"cancelled"}"#), @"error: cannot cancel upload_1 at ORIGIN/v1: the service says otherwise in its answer with status 200: it is about upload_2");
}

#[test]
fn an_upload_that_was_not_cancelled_is_still_unfinished_here() {
    let scene = Scene::new(|request| match &request.line[..] {
        "POST /v1/uploads" => ok(r#"{"id":"upload_1","status":"pending"}"#),
        "POST /v1/uploads/upload_1/cancel" => ok(r#"{"id":"upload_1","status":"pending"}"#),
        _ => Answer::json("403 Forbidden", r#"{"error":{"message":"no"}}"#),
    });
    scene.refused(&["--route", "parts"]);
    assert_eq!(scene.unfinished(), 1);
    let cancel = ["uploads", "cancel", "upload_1", "--json", "--endpoint", &scene.service.origin];
    scene.sandbox.run_with(&cancel, &[KEY]).refused(1);
    assert_eq!(scene.unfinished(), 1);
}

#[test]
fn an_answer_about_another_file_is_no_success() {
    let get = ["files", "get", "file-1"];
    assert_snapshot!(answered(&get, r#"{"id":"file-2","object":"file"}"#), @"error: cannot get file-1 at ORIGIN/v1: the service says otherwise in its answer with status 200: it is about file-2");
    let delete = ["files", "delete", "file-1"];
    assert_snapshot!(answered(&delete, r#"{"id":"file-2","deleted":true}"#), @"error: cannot delete file-1 at ORIGIN/v1: the service says otherwise in its answer with status 200: it is about file-2");
    assert_snapshot!(answered(&delete, r#"{"id":"file-1","deleted":false}"#), @"error: file-1 was not deleted: the service says so, and mostly it was gone before");
}
