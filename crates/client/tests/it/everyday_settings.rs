//! What a client is told once for everything that it does: against the server, in process.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use partwise::{
    CheckpointDir, Client, Credential, DownloadEvent, Error, ErrorKind, FileTarget, Purpose, RequestBody,
    protocol::{
        download::DownloadPlan,
        error::ApiError,
        operations::{ListFiles, OperationId},
        retry::RetryPolicy,
        upload::Plan,
    },
};
use partwise_server::testing::{Fault, Faults};

use crate::everyday::{api, client_with, content, server};

/// A rejection that another attempt may not see.
fn busy() -> Fault {
    Fault::Answer(Box::new(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy")))
}

fn with_policy(client: &Client, policy: RetryPolicy) -> Client {
    client.to_builder().retry(policy).build()
}

#[tokio::test(start_paused = true)]
async fn the_policy_of_a_client_is_that_of_its_uploads() {
    let faults = Faults::new();
    let client = client_with(&faults, server().await);
    let never = with_policy(&client, RetryPolicy::never());
    let upload =
        |client: &Client| client.upload("a.jsonl", content(3 << 20), Purpose::Batch).part_size(1 << 20);
    let plan = || Plan::new("a.jsonl", "application/jsonl", Purpose::Batch).part_size(1 << 20);
    let fail_once = || {
        faults.clear();
        faults.on(OperationId::AddUploadPart).nth(1, busy());
    };

    fail_once();
    assert_eq!(upload(&never).await.unwrap_err().kind(), ErrorKind::Unavailable);
    fail_once();
    let error = never.upload_as(plan(), content(3 << 20)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // What is said of one upload comes before what is said of all.
    fail_once();
    upload(&never).retry(RetryPolicy::default()).await.unwrap();
    fail_once();
    never.upload_as(plan().retry(RetryPolicy::default()), content(3 << 20)).await.unwrap();
    fail_once();
    upload(&client).await.unwrap();
    fail_once();
    let error = upload(&client).retry(RetryPolicy::never()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn the_policy_of_a_client_is_that_of_its_downloads() {
    let (faults, folder) = (Faults::new(), tempfile::tempdir().unwrap());
    let client = client_with(&faults, server().await);
    let never = with_policy(&client, RetryPolicy::never());
    let id = client.upload("a.txt", "text", Purpose::Assistants).await.unwrap().id;
    let path = folder.path().join("a.txt");
    let target = || FileTarget::of(tempfile::tempfile().unwrap());
    let fail_once = || {
        faults.clear();
        faults.on(OperationId::DownloadFile).nth(1, busy());
    };

    fail_once();
    assert_eq!(never.download_file(&id, &path).await.unwrap_err().kind(), ErrorKind::Unavailable);
    fail_once();
    assert_eq!(never.download(&id).bytes(4).await.unwrap_err().kind(), ErrorKind::Unavailable);
    fail_once();
    let error = never.download_to(&id, target()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // What is said of one download comes before what is said of all.
    fail_once();
    let plan = DownloadPlan::new(&id).retry(RetryPolicy::default());
    assert_eq!(never.download_to(plan, target()).await.unwrap(), 4);
    fail_once();
    assert_eq!(never.download_file(&id, &path).retry(RetryPolicy::default()).await.unwrap(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_attempts_is_that_of_the_policy() {
    let faults = Faults::new();
    let client = client_with(&faults, server().await);
    let id = client.upload("a.txt", "text", Purpose::Assistants).await.unwrap().id;
    let patient = with_policy(&client, RetryPolicy::default().max_failures(2).base_wait(Duration::ZERO));
    for (failures, succeeds) in [(2, true), (3, false)] {
        faults.clear();
        faults.on_any().first(failures, busy());
        assert_eq!(patient.file(&id).await.is_ok(), succeeds, "{failures} failures");
    }
}

/// A limit that no attempt against the server needs.
const LIMIT: Duration = Duration::from_secs(5);

fn timed_out(error: &Error) -> Option<&Error> {
    let Error::TimedOut { limit, cause } = error else { panic!("{error:?}") };
    assert_eq!((*limit, error.kind()), (LIMIT, ErrorKind::Timeout));
    cause.as_deref()
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_a_call_covers_its_retries_and_says_how_the_latest_attempt_failed() {
    let faults = Faults::new();
    let client = client_with(&faults, server().await);
    let id = client.upload("a.txt", "text", Purpose::Assistants).await.unwrap().id;
    // Without a limit it is tried for longer.
    let patient = RetryPolicy::default().max_failures(u32::MAX);
    let client = with_policy(&client, patient).with_timeout(LIMIT);
    faults.on_any().every(busy());
    let error = client.file(&id).await.unwrap_err();
    let cause = timed_out(&error).unwrap();
    assert_eq!(cause.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
    assert!(!error.is_resumable());
    assert_eq!(error.to_string(), "there was no result within 5s");
}

#[tokio::test(start_paused = true)]
async fn each_call_has_the_limit_of_its_client() {
    let faults = Faults::new();
    let unlimited = client_with(&faults, server().await);
    let id = unlimited.upload("a.txt", "text", Purpose::Assistants).await.unwrap().id;
    let client = unlimited.with_timeout(LIMIT);
    assert_eq!(client.download(&id).bytes(4).await.unwrap(), "text");
    faults.on_any().every(Fault::Stall);
    assert!(timed_out(&client.file(&id).await.unwrap_err()).is_none());
    assert!(timed_out(&client.call_with_head(&ListFiles::new()).await.unwrap_err()).is_none());
    assert!(timed_out(&client.files().next_page().await.unwrap_err()).is_none());
    assert!(timed_out(&client.download(&id).await.unwrap_err()).is_none());
    assert!(timed_out(&client.wait_until_processed(&id).await.unwrap_err()).is_none());
    assert!(timed_out(&client.delete_file(&id).await.unwrap_err()).is_none());
    // It is that client's alone.
    let file = tokio::time::timeout(Duration::from_secs(3600), unlimited.file(&id)).await;
    assert!(file.is_err(), "{file:?}");
    // Neither has it one for uploads and downloads of files.
    faults.clear();
    faults.on(OperationId::CreateFile).every(Fault::Delay(LIMIT * 100));
    faults.on(OperationId::DownloadFile).every(Fault::Delay(LIMIT * 100));
    let folder = tempfile::tempdir().unwrap();
    let id = client.upload("b.txt", "text", Purpose::Assistants).await.unwrap().id;
    assert_eq!(client.download_file(&id, folder.path().join("b.txt")).await.unwrap(), 4);
}

/// Answers every request with this file.
fn answering(file: &'static str) -> Client {
    let service = tower::service_fn(move |_: Request<RequestBody>| async move {
        Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from_static(file.as_bytes()))))
    });
    Client::builder(api(), Credential::key("key").unwrap()).transport(service).build()
}

#[tokio::test(start_paused = true)]
async fn a_file_is_waited_for_within_the_limit() {
    let client = answering(r#"{"id":"file-1","status":"uploaded"}"#);
    let error = client.with_timeout(LIMIT).wait_until_processed("file-1").await.unwrap_err();
    let Error::StillProcessing { file, after } = &error else { panic!("{error:?}") };
    assert_eq!((file.id.as_str(), *after, error.kind()), ("file-1", LIMIT, ErrorKind::Timeout));
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_runs_out_of_time_keeps_its_checkpoint() {
    let (faults, folder) = (Faults::new(), tempfile::tempdir().unwrap());
    let client = client_with(&faults, server().await);
    let unfinished = CheckpointDir::at(folder.path().join("unfinished"));
    let path = folder.path().join("a.jsonl");
    std::fs::write(&path, content(5 << 20)).unwrap();
    let upload = || {
        let upload = client.upload_file(&path, Purpose::Batch).part_size(1 << 20).parallel(1);
        upload.resume_in(unfinished.clone()).timeout(LIMIT)
    };

    faults.on(OperationId::AddUploadPart).nth(3, Fault::Stall);
    let error = upload().await.unwrap_err();
    assert_eq!(timed_out(&error).unwrap().kind(), ErrorKind::Stopped);
    assert!(error.is_resumable());
    let found = unfinished.list().unwrap();
    assert_eq!(found[0].checkpoint.as_ref().unwrap().acknowledged(), (2 << 20, 5 << 20));

    let sent = faults.executed();
    let file = upload().await.unwrap();
    // The other three parts, and what completes them.
    assert_eq!(faults.executed() - sent, 4);
    assert_eq!(client.download(&file.id).bytes(5 << 20).await.unwrap(), content(5 << 20));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_ends_is_not_spooled_for_longer_than_the_limit() {
    let client = client_with(&Faults::new(), server().await);
    let (reader, _writer) = tokio::io::duplex(16);
    let error = client.upload_stream("a.jsonl", reader, Purpose::Batch).timeout(LIMIT).await.unwrap_err();
    assert_eq!(timed_out(&error).unwrap().kind(), ErrorKind::Stopped);
    assert!(!error.is_resumable());
}

#[tokio::test(start_paused = true)]
async fn a_download_of_a_file_that_runs_out_of_time_is_resumed() {
    let (faults, folder) = (Faults::new(), tempfile::tempdir().unwrap());
    let client = client_with(&faults, server().await);
    let id = client.upload("a.bin", content(9 << 20), Purpose::UserData).await.unwrap().id;
    let path = folder.path().join("a.bin");
    let download = || client.download_file(&id, &path).parallel(1).timeout(LIMIT);

    faults.on(OperationId::DownloadFile).nth(2, Fault::Stall);
    let error = download().await.unwrap_err();
    assert_eq!(timed_out(&error).unwrap().kind(), ErrorKind::Stopped);
    assert!(error.is_resumable());
    assert!(!path.exists());

    let resumed = Arc::<Mutex<Option<u64>>>::default();
    let log = resumed.clone();
    let again = download().on_event(move |event| {
        if let DownloadEvent::Resuming { written, .. } = event {
            *log.lock().unwrap() = Some(*written);
        }
    });
    assert_eq!(again.await.unwrap(), 9 << 20);
    // The first range of the earlier run.
    assert_eq!(*resumed.lock().unwrap(), Some(4 << 20));
    assert!(std::fs::read(&path).unwrap() == content(9 << 20));

    // So it is for a target of one's own.
    let target = FileTarget::of(tempfile::tempfile().unwrap());
    faults.on(OperationId::DownloadFile).every(Fault::Stall);
    let error = client.download_to(&id, target).timeout(LIMIT).await.unwrap_err();
    assert_eq!(timed_out(&error).unwrap().kind(), ErrorKind::Stopped);
}

#[tokio::test(start_paused = true)]
async fn content_that_does_not_come_to_its_end_runs_out_of_time() {
    let service = tower::service_fn(|request: Request<RequestBody>| async move {
        let is_content = request.uri().path().ends_with("/content");
        let body: UnsyncBoxBody<Bytes, io::Error> = match is_content {
            true => {
                let begun = stream::once(async { Ok(Frame::data(Bytes::from_static(b"te"))) });
                StreamBody::new(begun.chain(stream::pending())).boxed_unsync()
            }
            false => Full::new(Bytes::from_static(br#"{"id":"file-1","bytes":4}"#))
                .map_err(|never| match never {})
                .boxed_unsync(),
        };
        let response = match is_content {
            true => Response::builder().header("content-length", 4),
            false => Response::builder(),
        };
        response.body(body)
    });
    let client = Client::builder(api(), Credential::key("key").unwrap()).transport(service).build();
    let mut download = client.download("file-1").timeout(LIMIT).await.unwrap();
    assert_eq!(download.chunk().await.unwrap().unwrap(), "te");
    assert!(timed_out(&download.chunk().await.unwrap_err()).is_none());
    assert!(download.chunk().await.unwrap().is_none());
    // The limit of a client is for what it asks, and not for the content.
    let mut download = client.with_timeout(LIMIT).download("file-1").await.unwrap();
    assert_eq!(download.chunk().await.unwrap().unwrap(), "te");
    let next = tokio::time::timeout(LIMIT * 10, download.chunk()).await;
    assert!(next.is_err(), "{next:?}");
}
