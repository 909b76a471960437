//! The machine against answers that may be something else than the file.

use std::time::Duration;

use http::StatusCode;
use partwise_models::{File, UnixSeconds};

use super::{DownloadError, DownloadMachine, DownloadPlan, DownloadTask, DownloadWarning};
use crate::{
    Api, Operation as _,
    error::{ApiError, ResponseError},
    machine::{Action, Machine as _, Now, RequestId},
    operations::{ContentRange, DownloadHead, RetrieveFile},
    retry::RetryPolicy,
    transport::{Failure, FailureKind},
};

const NOW: Now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
const ENTROPY: [u8; 32] = [7; 32];
const PAGE: &str = "<html><title>Sign in to the guest network</title></html>";
const ERROR: &str =
    r#"{"error": {"message": "The file is not ready", "type": "server_error", "param": null, "code": null}}"#;

fn at(monotonic: Duration) -> Now {
    Now { monotonic, ..NOW }
}

fn typed(content_type: &str, length: Option<usize>) -> DownloadHead {
    let content_type = Some(content_type.to_owned()).filter(|content_type| !content_type.is_empty());
    DownloadHead { length: length.map(|length| length as u64), content_type, ..DownloadHead::default() }
}

fn named(filename: &str, bytes: Option<u64>) -> Result<File, ResponseError> {
    let mut file = File::new("file-1");
    (file.filename, file.bytes) = (Some(filename.into()), bytes);
    Ok(file)
}

fn refused(status: u16) -> Result<File, ResponseError> {
    Err(ResponseError::Rejected(ApiError::new(StatusCode::from_u16(status).unwrap(), "no").into()))
}

/// A download that is over, and whether the file's object was asked for.
struct Ran {
    result: Result<(), DownloadError>,
    warning: Option<DownloadWarning>,
    has_looked: bool,
}

/// Gives the machine one answer with all of this content, and the object when it asks for it.
fn ran(head: DownloadHead, content: &str, object: impl Fn() -> Result<File, ResponseError>) -> Ran {
    let mut plan = DownloadPlan::new("file-1");
    plan.retry.get_or_insert_default().max_failures = 2;
    let mut machine = DownloadMachine::new(&Api::openai(), plan, ENTROPY);
    let mut answer = Some(head);
    let (mut now, mut has_looked) = (NOW, false);
    let result = loop {
        match machine.poll(now) {
            Action::Start { id, task: DownloadTask::Send { .. } } => {
                let head = answer.take().expect("it asks once");
                if machine.handle_answer(id, Ok(head), now).is_some() {
                    machine.handle_beginning(id, content.as_bytes());
                    machine.handle_moved(id, content.len() as u64);
                    machine.handle_end(id, now);
                }
            }
            Action::Start { id, task: DownloadTask::Retrieve { operation, .. } } => {
                assert_eq!(operation.file_id, "file-1");
                has_looked = true;
                machine.handle_retrieved(id, object(), now);
            }
            Action::Save(_) => machine.handle_saved(Ok(())),
            Action::Abandon(_) => {}
            Action::Wait { until } => now.monotonic = until.expect("nothing is under way"),
            Action::Done(result) => break result,
        }
    };
    Ran { result, warning: machine.progress().warning, has_looked }
}

#[track_caller]
fn wrong(ran: Ran) -> String {
    let error = ran.result.expect_err("it is not the file");
    assert!(matches!(error, DownloadError::WrongContent(_)) && !error.is_resumable(), "{error:?}");
    error.to_string()
}

#[test]
fn an_answer_that_tells_its_length_is_compared_with_the_object_too() {
    for head in [typed("", Some(5)), typed("application/jsonl", Some(5)), typed("text/plain", Some(5))] {
        let whole = ran(head.clone(), "abcde", || named("a.jsonl", Some(5)));
        assert!(whole.result.is_ok() && whole.has_looked && whole.warning.is_none());
        insta::allow_duplicates! {
            insta::assert_snapshot!(wrong(ran(head.clone(), "abcde", || named("a.jsonl", Some(51_200)))), @"5 bytes came, and the file has 51200");
        }
        let mut in_a_range = head;
        in_a_range.range = Some(ContentRange { first: 0, last: 4, total: Some(5) });
        insta::allow_duplicates! {
            insta::assert_snapshot!(wrong(ran(in_a_range, "abcde", || named("a.jsonl", Some(51_200)))), @"5 bytes came, and the file has 51200");
        }
    }
}

#[test]
fn an_answer_that_tells_its_length_is_taken_when_the_object_cannot_be_had() {
    let garbled = || Err(RetrieveFile::decode_response(http::Response::new(PAGE.into())).unwrap_err());
    let objects: [fn() -> Result<File, ResponseError>; 5] =
        [|| named("a.jsonl", None), || refused(404), || refused(403), || refused(503), garbled];
    for object in objects {
        let ran = ran(typed("", Some(5)), "abcde", object);
        assert!(ran.result.is_ok() && ran.has_looked && ran.warning.is_none(), "{:?}", ran.result);
    }
}

#[test]
fn the_object_is_asked_for_together_with_the_content() {
    let mut machine = DownloadMachine::new(&Api::openai(), DownloadPlan::new("file-1"), ENTROPY);
    let Action::Start { id, task: DownloadTask::Send { .. } } = machine.poll(at(Duration::ZERO)) else {
        panic!("it asks")
    };
    let Action::Start { id: look, task: DownloadTask::Retrieve { .. } } = machine.poll(at(Duration::ZERO))
    else {
        panic!("it looks")
    };
    assert!(matches!(machine.poll(at(Duration::ZERO)), Action::Wait { until: None }));
    assert_eq!(machine.handle_answer(id, Ok(typed("", Some(5))), NOW), Some(0));
    machine.handle_moved(id, 5);
    machine.handle_end(id, NOW);
    // One that does not come is not waited for without end.
    let Action::Wait { until: Some(until) } = machine.poll(at(Duration::ZERO)) else { panic!("it ends") };
    let Action::Abandon(abandoned) = machine.poll(at(until)) else { panic!("it waits") };
    assert_eq!(abandoned, look);
    assert!(matches!(machine.poll(at(until)), Action::Done(Ok(()))));
}

#[test]
fn an_answer_without_a_length_is_compared_with_the_object() {
    let whole = ran(typed("", None), "abcde", || named("a.jsonl", Some(5)));
    assert!(whole.result.is_ok() && whole.has_looked && whole.warning.is_none());
    insta::assert_snapshot!(wrong(ran(typed("", None), "abcde", || named("a.jsonl", Some(51_200)))), @"5 bytes came, and the file has 51200");
    insta::assert_snapshot!(wrong(ran(typed("", None), "abcde", || named("a.jsonl", Some(4)))), @"5 bytes came, and the file has 4");
    insta::assert_snapshot!(wrong(ran(typed("", Some(0)), "", || named("a.jsonl", Some(4)))), @"0 bytes came, and the file has 4");
}

#[test]
fn that_nothing_could_be_compared_is_a_warning() {
    let objects: [fn() -> Result<File, ResponseError>; 3] =
        [|| named("a.jsonl", None), || refused(404), || refused(403)];
    for object in objects {
        let ran = ran(typed("", None), "abcde", object);
        assert!(ran.result.is_ok(), "{:?}", ran.result);
        assert_eq!(ran.warning, Some(DownloadWarning::LengthUnknown));
    }
}

#[test]
fn an_object_that_cannot_be_had_now_ends_the_download() {
    let ended = ran(typed("", None), "abcde", || refused(503));
    assert!(matches!(ended.result, Err(DownloadError::Rejected(_))));
    let garbled = || Err(RetrieveFile::decode_response(http::Response::new(PAGE.into())).unwrap_err());
    assert!(matches!(ran(typed("", None), "abcde", garbled).result, Err(DownloadError::Garbled(_))));
}

#[test]
fn a_page_instead_of_the_file_is_told() {
    let head = |content_type: &str| typed(content_type, Some(PAGE.len()));
    for content_type in ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml", ""] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(wrong(ran(head(content_type), PAGE, || named("a.jsonl", Some(51_200)))), @"the service answered with a page with the title “Sign in to the guest network”: 56 bytes, and the file has 51200");
        }
    }
    insta::assert_snapshot!(wrong(ran(typed("text/html", Some(1)), "x", || named("a.jsonl", Some(2)))), @"the service answered with an HTML page: 1 byte, and the file has 2");
    insta::assert_snapshot!(wrong(ran(head("text/html"), PAGE, || named("a.jsonl", None))), @"the service answered with a page with the title “Sign in to the guest network”, and does not say how many bytes the file has");
    wrong(ran(head("text/html"), PAGE, || refused(404)));
    wrong(ran(typed("text/html", None), PAGE, || named("a.jsonl", None)));
}

#[test]
fn a_page_that_is_the_file_is_the_file() {
    let head = || typed("text/html", Some(PAGE.len()));
    assert!(ran(head(), PAGE, || named("a.jsonl", Some(PAGE.len() as u64))).result.is_ok());
    assert!(ran(head(), PAGE, || named("INDEX.HTM", None)).result.is_ok());
    let mut with_name = head();
    with_name.filename = Some("index.html".into());
    assert!(ran(with_name, PAGE, || refused(404)).result.is_ok());
}

#[test]
fn an_error_object_instead_of_the_file_is_told() {
    let head = |content_type: &str| typed(content_type, Some(ERROR.len()));
    for content_type in ["application/json", "application/problem+json", ""] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(wrong(ran(head(content_type), ERROR, || named("a.json", Some(51_200)))), @"the service answered with an error object (“The file is not ready”): 100 bytes, and the file has 51200");
        }
    }
    insta::assert_snapshot!(wrong(ran(head("application/json"), ERROR, || named("a.jsonl", None))), @"the service answered with an error object (“The file is not ready”), and does not say how many bytes the file has");
    let gateway = r#"{"statusCode": 429, "message": "later"}"#;
    insta::assert_snapshot!(wrong(ran(typed("application/json", None), gateway, || named("a.json", Some(2)))), @"the service answered with an error object (“later”): 39 bytes, and the file has 2");
}

#[test]
fn every_shape_of_an_error_object_is_read() {
    let said = |body: &str| wrong(ran(typed("", Some(body.len())), body, || named("a.json", Some(51_200))));
    insta::assert_snapshot!(said(r#"{"detail": "Not ready"}"#), @"the service answered with an error object (“Not ready”): 23 bytes, and the file has 51200");
    insta::assert_snapshot!(said(r#"{"message": "later"}"#), @"the service answered with an error object (“later”): 20 bytes, and the file has 51200");
    assert!(said(r#"{"statusCode": 429}"#).starts_with("the service answered with an error object"));
}

#[test]
fn json_that_is_the_file_is_the_file() {
    let results = format!("{ERROR}\n{{\"id\": \"b\"}}\n");
    let head = || typed("application/json", Some(results.len()));
    assert!(ran(head(), &results, || named("a.jsonl", Some(results.len() as u64))).result.is_ok());
    assert!(ran(head(), &results, || named("a.jsonl", None)).result.is_ok());
    assert!(ran(typed("application/json", Some(2)), "{}", || refused(404)).result.is_ok());
}

#[test]
fn a_line_of_a_batch_is_no_error_object() {
    let line = r#"{"id": "b", "custom_id": "a", "response": null, "error": {"code": "x", "message": "no"}}"#;
    for object in [|| named("a.jsonl", None), || refused(404)] {
        for content_type in ["application/json", ""] {
            let ran = ran(typed(content_type, Some(line.len())), line, object);
            assert!(ran.result.is_ok(), "{:?}", ran.result);
        }
    }
    let error = r#"{"error": {"message": "no"}, "request_id": "r", "statusCode": 500}"#;
    wrong(ran(typed("", Some(error.len())), error, || refused(404)));
}

#[test]
fn a_page_in_ranges_is_a_page_too() {
    let mut head = typed("text/html", Some(PAGE.len()));
    head.range = Some(ContentRange { first: 0, last: PAGE.len() as u64 - 1, total: Some(PAGE.len() as u64) });
    let ended = ran(head, PAGE, || named("a.jsonl", Some(51_200)));
    assert!(wrong(ended).contains("Sign in to the guest network"));
}

#[test]
fn a_part_that_was_not_asked_for_is_not_the_whole() {
    let mut plan = DownloadPlan::new("file-1");
    plan.ranges = false;
    for (total, is_whole) in [(10, true), (11, false)] {
        let mut machine = DownloadMachine::new(&Api::openai(), plan.clone(), ENTROPY);
        let Action::Start { id, task: DownloadTask::Send { .. } } = machine.poll(at(Duration::ZERO)) else {
            panic!("it asks")
        };
        let range = Some(ContentRange { first: 0, last: 9, total: Some(total) });
        let offset = machine.handle_answer(id, Ok(DownloadHead { range, ..DownloadHead::default() }), NOW);
        assert_eq!(offset.is_some(), is_whole);
        if is_whole {
            continue;
        }
        assert!(matches!(machine.poll(at(Duration::ZERO)), Action::Abandon(_)));
        let Action::Done(Err(DownloadError::Garbled(garbled))) = machine.poll(at(Duration::ZERO)) else {
            panic!("a part came although everything was asked for")
        };
        insta::assert_snapshot!(garbled, @r#"the answer with status 206 is not what this API answers: "Content-Range: bytes 0-9/11""#);
        insta::assert_snapshot!(std::error::Error::source(&*garbled).unwrap(), @"a part of the content came, although all of it was asked for");
    }
}

/// A download whose content came without a length, and whose object is asked for.
fn looking(retry: RetryPolicy) -> (DownloadMachine, RequestId) {
    let mut plan = DownloadPlan::new("file-1");
    plan.retry = Some(retry);
    let mut machine = DownloadMachine::new(&Api::openai(), plan, ENTROPY);
    let Action::Start { id, task: DownloadTask::Send { .. } } = machine.poll(at(Duration::ZERO)) else {
        panic!("it asks")
    };
    let Action::Start { id: look, task: DownloadTask::Retrieve { .. } } = machine.poll(at(Duration::ZERO))
    else {
        panic!("it looks")
    };
    assert_eq!(machine.handle_answer(id, Ok(DownloadHead::default()), NOW), Some(0));
    machine.handle_moved(id, 5);
    machine.handle_end(id, NOW);
    assert!(matches!(machine.poll(at(Duration::ZERO)), Action::Wait { until: None }));
    (machine, look)
}

#[test]
fn the_object_is_asked_for_again_when_its_request_fails() {
    let (mut machine, look) = looking(RetryPolicy::default());
    machine.handle_failure(look, Failure::new(FailureKind::Interrupted), NOW);
    let mut until = Duration::ZERO;
    let id = loop {
        match machine.poll(at(until)) {
            Action::Start { id, task: DownloadTask::Retrieve { .. } } => break id,
            Action::Wait { until: Some(next) } => until = next,
            other => panic!("{other:?}"),
        }
    };
    assert!(until >= Duration::from_secs(1), "{until:?}");
    machine.handle_retrieved(look, named("a", Some(6)), NOW);
    machine.handle_retrieved(id, named("a", Some(5)), NOW);
    assert!(matches!(machine.poll(at(until)), Action::Done(Ok(()))));
    assert_eq!(machine.progress().retries, 1);
    let (mut machine, look) = looking(RetryPolicy::never());
    machine.handle_failure(look, Failure::new(FailureKind::Interrupted), NOW);
    assert!(matches!(machine.poll(at(Duration::ZERO)), Action::Done(Err(DownloadError::Failed(_)))));
}

#[test]
fn a_download_that_is_stopped_does_not_wait_for_the_object() {
    let (mut machine, look) = looking(RetryPolicy::default());
    machine.stop();
    let Action::Abandon(id) = machine.poll(at(Duration::ZERO)) else { panic!("it goes on") };
    assert_eq!(id, look);
    assert!(matches!(machine.poll(at(Duration::ZERO)), Action::Done(Err(DownloadError::Stopped { .. }))));
}
