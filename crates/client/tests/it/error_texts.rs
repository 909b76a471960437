//! What errors say: the service's answer in `Display`, everything else in `source()`, and nothing twice.

use std::{error::Error as _, io};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use partwise::{CheckpointDirError, Error, models::File};
use partwise_models::{ErrorCode, FileState};
use partwise_protocol::{
    Operation as _,
    download::DownloadError,
    error::{ApiError, ResponseError},
    operations::{ListFiles, OperationId},
    transport::{Failure, FailureKind, SourceError},
    upload::{PlanError, UploadError},
};
use partwise_testkit::errors::line;

fn rejection() -> Box<ApiError> {
    let mut rejection = ApiError::new(StatusCode::NOT_FOUND, "No such File object: file-1");
    rejection.request_id = Some("req_1".to_owned());
    Box::new(rejection.with_code(ErrorCode::from("file_not_found")).with_param("id"))
}

fn failure() -> Failure {
    let reset = io::Error::from(io::ErrorKind::ConnectionReset);
    Failure::with_cause(FailureKind::Interrupted, reset)
}

fn upload(error: UploadError) -> Error {
    error.into()
}

fn download(error: DownloadError) -> Error {
    Error::Download(error.into())
}

fn garbled(body: &'static str) -> Error {
    match ListFiles::decode_response(Response::new(Bytes::from_static(body.as_bytes()))) {
        Err(ResponseError::Garbled(garbled)) => Error::Garbled(garbled),
        other => panic!("{other:?}"),
    }
}

/// The text of the error, and that of the chain behind it; nothing may stand in both.
fn texts(error: &Error) -> String {
    let (own, mut causes) = (error.to_string(), Vec::new());
    let mut cause = error.source();
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    for (at, text) in causes.iter().enumerate() {
        assert!(!own.contains(text), "{}", line(error));
        assert!(!causes[..at].iter().any(|before| before.contains(text)), "{}", line(error));
    }
    [own].into_iter().chain(causes).collect::<Vec<_>>().join("\n  ")
}

#[test]
fn what_the_service_answered_is_said_at_once() {
    let operation = OperationId::CreateFile;
    insta::assert_snapshot!(texts(&Error::Rejected(rejection())), @"the service refused: 404 Not Found: No such File object: file-1 (code file_not_found, about id, request req_1)");
    insta::assert_snapshot!(texts(&upload(UploadError::Rejected { operation, source: rejection() })), @"POST /files was refused: 404 Not Found: No such File object: file-1 (code file_not_found, about id, request req_1)");
    insta::assert_snapshot!(texts(&download(DownloadError::Rejected(rejection()))), @"the service refused: 404 Not Found: No such File object: file-1 (code file_not_found, about id, request req_1)");
    let mut elsewhere = rejection();
    elsewhere.answered_by = Some("cdn.example".to_owned());
    insta::assert_snapshot!(texts(&download(DownloadError::Rejected(elsewhere))), @"the service refused: cdn.example answered 404 Not Found: No such File object: file-1 (code file_not_found, about id, request req_1)");
    let bare =
        ApiError::decode_response(&Response::builder().status(503).body(Bytes::new()).expect("an answer"));
    insta::assert_snapshot!(texts(&Error::Rejected(Box::new(bare))), @"the service refused: 503 Service Unavailable");
    let moved = Response::builder()
        .status(302)
        .header("location", HeaderValue::from_static("https://elsewhere.example/v1/files"))
        .body(Bytes::new())
        .expect("an answer");
    insta::assert_snapshot!(texts(&Error::Rejected(Box::new(ApiError::decode_response(&moved)))), @"the service refused: redirected to https://elsewhere.example/v1/files (302 Found)");
    insta::assert_snapshot!(texts(&garbled("{}")), @r#"
    the answer with status 200 is not what this API answers: "{}"
      expected a FileList: an object with `data`
    "#);
    let Error::Garbled(source) = garbled("<title>Sign in</title>") else { panic!("a page") };
    insta::assert_snapshot!(texts(&upload(UploadError::Garbled { operation, source })), @"POST /files got an answer that cannot be read: the answer with status 200 is not what this API answers: a page with the title “Sign in”");
}

#[test]
fn without_an_answer_the_causes_follow() {
    let operation = OperationId::AddUploadPart;
    insta::assert_snapshot!(texts(&Error::Failed(failure())), @"
    the connection broke
      connection reset
    ");
    let failed = || UploadError::Failed { operation, source: failure() };
    insta::assert_snapshot!(texts(&upload(failed())), @"
    POST /uploads/{upload_id}/parts failed
      the connection broke
      connection reset
    ");
    let after = std::time::Duration::from_secs(900);
    let away = UploadError::Away { after, cause: Some(Box::new(failed())) };
    insta::assert_snapshot!(texts(&upload(away)), @"
    the service could not be reached for 15 minutes
      POST /uploads/{upload_id}/parts failed
      the connection broke
      connection reset
    ");
    insta::assert_snapshot!(texts(&download(DownloadError::Failed(failure()))), @"
    the connection broke
      connection reset
    ");
    let stopped = UploadError::Rejected { operation, source: rejection() };
    let stopped = UploadError::Stopped { cause: Some(Box::new(stopped)) };
    insta::assert_snapshot!(texts(&upload(stopped)), @"
    the upload was stopped
      POST /uploads/{upload_id}/parts was refused
      404 Not Found: No such File object: file-1 (code file_not_found, about id, request req_1)
    ");
}

#[test]
fn what_went_wrong_on_this_machine_is_said_with_its_cause_behind_it() {
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    insta::assert_snapshot!(texts(&Error::Source(SourceError::new(denied()))), @"
    the source cannot be read
      permission denied
    ");
    let ambiguous = Error::AmbiguousCheckpoint { difference: "it was modified".into() };
    insta::assert_snapshot!(texts(&ambiguous), @"an earlier run may have made a file, and its checkpoint does not match the source: it was modified; look in the list of files, then start over");
    insta::assert_snapshot!(texts(&Error::Target(denied().into())), @"
    the target cannot be written
      permission denied
    ");
    insta::assert_snapshot!(texts(&Error::Checkpoint(denied())), @"
    the checkpoint of an earlier run cannot be read
      permission denied
    ");
    insta::assert_snapshot!(texts(&Error::Plan(PlanError::Empty)), @"the file is empty, and the service takes no empty files");
    insta::assert_snapshot!(texts(&Error::CheckpointDir(CheckpointDirError::InUse { file: "a.jsonl".into(), place: "api.openai.com".into() })), @"another run of partwise is uploading a.jsonl to api.openai.com");
    insta::assert_snapshot!(texts(&Error::WrongLength { announced: 7, received: 5 }), @"the download has 5 bytes instead of 7");
    insta::assert_snapshot!(texts(&Error::TooLong { limit: 1000 }), @"the content is longer than 1000 bytes");
}

#[test]
fn a_file_that_was_not_processed_is_named() {
    let after = std::time::Duration::from_secs(1800);
    let mut file = Box::new(File::new("file-1"));
    insta::assert_snapshot!(texts(&Error::StillProcessing { file: file.clone(), after }), @"the service has not processed file-1 within 1800 s");
    insta::assert_snapshot!(texts(&Error::NotProcessed { file: file.clone() }), @"the service does not say whether it has processed file-1");
    file.status = Some(FileState::Deleted);
    insta::assert_snapshot!(texts(&Error::NotProcessed { file: file.clone() }), @"the service has not processed file-1: its status is deleted");
    file.status = Some(FileState::Error);
    insta::assert_snapshot!(texts(&Error::NotProcessed { file: file.clone() }), @"the service rejected the content of file-1 and does not say why");
    file.status_details = Some("line 3 is no JSON".to_owned());
    insta::assert_snapshot!(texts(&Error::NotProcessed { file }), @"the service rejected the content of file-1: line 3 is no JSON");
}
