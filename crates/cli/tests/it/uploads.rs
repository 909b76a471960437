//! What is unfinished here: shown, and ended.

use std::time::{Duration, SystemTime};

use insta::assert_snapshot;
use partwise_testkit::scripted::{Answer, Scripted};

use crate::{
    sandbox::{Ran, Sandbox},
    scene::{KEY, Scene, plain},
};

#[test]
fn a_checkpoint_that_cannot_be_read_is_told_of() {
    let scene = Scene::new();
    scene.killed();
    std::fs::write(scene.checkpoint(), r#"{"version":7,"from":"the future"}"#).unwrap();
    assert_snapshot!(scene.upload(&[]).refused(1), @"
    error: cannot go on with the upload that an earlier run began: the checkpoint has version 7, and this release reads versions 1 to 3; start over or use the release that wrote it
    hint: --no-resume starts over
    ");
    let table = scene.sandbox.run(&["uploads", "list"]).done();
    assert!(table.contains("unreadable"), "{table}");
    let id = scene.listed().unwrap()["id"].as_str().unwrap().to_owned();
    // Neither a service nor a key is needed for it.
    let ran = scene.sandbox.run(&["uploads", "cancel", &id]);
    assert_snapshot!(ran.stderr.replace(&id, "ID"), @"ID is forgotten here; what it may have left on the service expires there");
    scene.assert_nothing_left();
}

#[test]
fn an_upload_that_was_begun_can_be_cancelled() {
    let scene = Scene::new();
    let listed = scene.killed();
    let id = listed["id"].as_str().unwrap();
    let cancel = |id: &str, more: &[&str]| {
        scene.sandbox.run_with(&[&["uploads", "cancel", id], more].concat(), &[KEY])
    };
    let there = ["--endpoint", &scene.server.origin];
    assert_snapshot!(plain(&cancel(id, &["--local"]).refused(1), &scene, &listed), @"
    error: UPLOAD is at ORIGIN/v1 (OpenAI), and this command speaks to file://FOLDER/data/partwise/store (OpenAI)
    hint: name that service: --provider, --endpoint and --api-version, or --local with its --store
    ");
    let azure = [&there[..], &["--provider", "azure"]].concat();
    let ran = scene
        .sandbox
        .run_with(&[&["uploads", "cancel", id], &azure[..]].concat(), &[("AZURE_OPENAI_API_KEY", "key")]);
    assert!(ran.refused(1).contains("and this command speaks to"));
    assert!(cancel("upload_0", &there).refused(1).contains("there is no upload `upload_0`"));
    assert!(cancel("local-0", &[]).refused(1).contains("nothing here is called local-0"));
    assert_snapshot!(plain(&cancel(id, &there).done(), &scene, &listed), @"
    id       UPLOAD
    status   cancelled
    ");
    scene.assert_nothing_left();
    assert!(
        cancel(id, &[&there[..], &["--json"]].concat()).json()["status"] == "cancelled",
        "it may be repeated"
    );
}

#[test]
fn one_that_has_expired_on_the_service_is_forgotten_instead() {
    let scene = Scene::new();
    let listed = scene.killed();
    scene.expire();
    let cancel = ["uploads", "cancel", listed["id"].as_str().unwrap(), "--endpoint", &scene.server.origin];
    let ran = scene.sandbox.run_with(&cancel, &[KEY]);
    assert_snapshot!(plain(&ran.stderr, &scene, &listed), @"UPLOAD is forgotten here; the service does not have it any more");
    ran.done();
    scene.assert_nothing_left();
}

fn now() -> SystemTime {
    SystemTime::now()
}

/// The cancel of an upload that expired a minute ago by our clock, on a service that answers this to it; and how many
/// uploads are unfinished then.
fn cancel_of_expired(answer: impl Fn() -> Answer + Send + Sync + 'static) -> (Ran, usize) {
    let seconds = now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (expires, expired) = (seconds + 3600, seconds - 60);
    let service = Scripted::new(move |request| match &request.line[..] {
        "POST /v1/uploads" => Answer::json(
            "200 OK",
            &format!(r#"{{"id":"upload_1","status":"pending","bytes":1,"expires_at":{expires}}}"#),
        ),
        "POST /v1/uploads/upload_1/cancel" => answer(),
        _ => Answer::json("401 Unauthorized", "{}"),
    });
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "x");
    let there = ["--endpoint", &service.origin];
    let upload = ["upload", "a.txt", "--purpose", "assistants", "--route", "parts"];
    sandbox.run_with(&[&upload[..], &there].concat(), &[KEY]).refused(1);
    let checkpoint = sandbox.checkpoint();
    let saved = std::fs::read_to_string(&checkpoint).unwrap();
    std::fs::write(&checkpoint, saved.replace(&expires.to_string(), &expired.to_string())).unwrap();
    let cancel = [&["uploads", "cancel", "upload_1"][..], &there].concat();
    let mut ran = sandbox.run_with(&cancel, &[KEY]);
    ran.stderr = ran.stderr.replace(&service.origin, "ORIGIN");
    (ran, sandbox.run(&["uploads", "list", "--json"]).done().lines().count())
}

fn rejection(status: &str, date: Option<SystemTime>, message: &str) -> Answer {
    let date = date.map(|date| format!("Date: {}\r\n", httpdate::fmt_http_date(date))).unwrap_or_default();
    Answer::with(status, &date, format!(r#"{{"error":{{"message":"{message}"}}}}"#))
}

#[test]
fn our_clock_alone_does_not_say_that_an_upload_has_expired() {
    let cancelled = r#"{"id":"upload_1","status":"cancelled"}"#;
    let (ran, left) = cancel_of_expired(|| Answer::json("200 OK", cancelled));
    assert!(ran.done().contains("cancelled"));
    assert_eq!(left, 0);

    for date in [None, Some(now() - Duration::from_secs(3600))] {
        let (ran, left) = cancel_of_expired(move || rejection("404 Not Found", date, "no such upload"));
        insta::allow_duplicates! {
            assert_snapshot!(ran.refused(1), @"
            error: cannot cancel upload_1 at ORIGIN/v1: the service refused: 404 Not Found: no such upload
            hint: the upload may belong to another key, project or tenant: use the key that it was begun with; when it has expired, the same command forgets it here
            ");
        }
        assert_eq!(left, 1);
    }
}

#[test]
fn a_rejection_that_does_not_say_that_the_upload_is_over_forgets_nothing() {
    let (ran, left) = cancel_of_expired(|| rejection("400 Bad Request", Some(now()), "no"));
    assert_snapshot!(ran.refused(1), @"error: cannot cancel upload_1 at ORIGIN/v1: the service refused: 400 Bad Request: no");
    assert_eq!(left, 1);
}

#[test]
fn an_upload_that_is_over_as_the_service_says_is_forgotten() {
    let says = |status: &'static str, date, message: &'static str| {
        let (ran, left) = cancel_of_expired(move || rejection(status, date, message));
        assert_eq!((ran.status, left), (0, 0), "{status} {message}: {ran:?}");
    };
    says("400 Bad Request", None, "The upload is expired.");
    says("404 Not Found", None, "Upload upload_1 was cancelled");
    // The service's clock is past the expiry that the service named.
    says("404 Not Found", Some(now()), "no such upload");
}

#[test]
fn a_cancel_whose_answer_was_lost_is_sent_again() {
    let service = Scripted::new(|request| match request.number {
        0 => Answer::raw(""),
        _ => rejection("400 Bad Request", None, "the upload `upload_1` is cancelled"),
    });
    let cancel = ["uploads", "cancel", "upload_1", "--json", "--endpoint", &service.origin];
    let ran = Sandbox::new().run_with(&cancel, &[KEY]);
    assert_eq!(service.lines(), ["POST /v1/uploads/upload_1/cancel"; 2]);
    assert_snapshot!(ran.stderr, @"the connection was interrupted: trying again");
    assert_eq!(ran.json(), serde_json::json!({ "id": "upload_1", "status": "cancelled" }));
}

#[test]
fn where_nothing_can_be_remembered_nothing_is_begun() {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", "x");
    let upload = ["upload", "a.txt", "--purpose", "assistants", "--local", "--state", "a.txt"];
    assert_snapshot!(sandbox.run(&upload).refused(1), @"
    error: a.txt is not a folder
    hint: --state DIR keeps what is unfinished somewhere else
    ");
    assert_snapshot!(sandbox.run(&["uploads", "list", "--state", "a.txt"]).refused(1), @"
    error: a.txt is not a folder
    hint: --state DIR keeps what is unfinished somewhere else
    ");
    assert_eq!(sandbox.run(&["files", "list", "--local", "--json"]).done(), "");
    std::fs::create_dir_all(sandbox.path("odd/0123.checkpoint")).unwrap();
    assert!(sandbox.run(&["uploads", "list", "--state", "odd"]).done().contains("unreadable"));
    let listed = sandbox.run(&["uploads", "list", "--state", "nowhere", "--json"]);
    assert_eq!(listed.done(), "");
    assert!(!sandbox.path("nowhere").exists());
}
