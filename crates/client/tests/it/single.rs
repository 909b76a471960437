//! Single operations under short names, and how often they are tried: a service whose answers are written here, in paused time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use partwise::{
    Client, Credential, Error, ErrorKind, RequestBody,
    models::{DeletedFile, TypeDiscriminator, UploadStatus},
};
use partwise_protocol::{
    operations::{DeleteFile, OperationId, RetrieveFile},
    retry::RetryPolicy,
    transport::{Failure, FailureKind},
};
use partwise_server::testing::{Fault, Faults};
use tokio::time::Instant;

use crate::{
    everyday::{api, client_with, server},
    peer::A_FILE,
};

const PROCESSED: &str = r#"{"id":"file-1","object":"file","bytes":4,"status":"processed"}"#;
const UNKNOWN: Answer =
    Ok((404, r#"{"error":{"message":"No such File object: file-1","type":"invalid_request_error"}}"#));
const DELETED: Answer = Ok((200, r#"{"id":"file-1","object":"file","deleted":true}"#));
const NOT_DELETED: Answer = Ok((200, r#"{"id":"file-1","object":"file","deleted":false}"#));
const CANCELLED: Answer = Ok((200, r#"{"id":"upload_1","object":"upload","status":"cancelled"}"#));
const CANCELLED_BEFORE: Answer = Ok((400, r#"{"error":{"message":"the upload `upload_1` is cancelled"}}"#));
const COMPLETED_BEFORE: Answer = Ok((400, r#"{"error":{"message":"the upload `upload_1` is completed"}}"#));
const PAGE: Answer = Ok((404, "<html>not here</html>"));
const BUSY: Answer = Ok((429, r#"{"error":{"message":"slow down","type":"requests"}}"#));
const OVERLOADED: Answer = Ok((503, r#"{"error":{"message":"overloaded","type":"server_error"}}"#));
const BROKEN: Answer = Ok((500, r#"{"error":{"message":"it broke","type":"server_error"}}"#));
const GATEWAY: Answer = Ok((502, "<html>bad gateway</html>"));
const RESET: Answer = Err(FailureKind::Interrupted);
const NOBODY: Answer = Err(FailureKind::Connect);

/// A status and a body, or how the request fails.
type Answer = Result<(u16, &'static str), FailureKind>;

/// A client of a service that gives these answers, the last of them for ever; and how many it gave.
fn answering(answers: &'static [Answer], retry: RetryPolicy) -> (Client, Arc<AtomicU64>) {
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    let service = tower::service_fn(move |_: Request<RequestBody>| {
        let number = count.fetch_add(1, Relaxed) as usize;
        let answer = answers.get(number).or(answers.last()).copied().unwrap();
        async move {
            let (status, body) = answer.map_err(Failure::new)?;
            let body = Full::new(Bytes::from_static(body.as_bytes()));
            Ok::<_, Failure>(Response::builder().status(status).body(body).unwrap())
        }
    });
    let client =
        Client::builder(api(), Credential::key("key").unwrap()).transport(service).retry(retry).build();
    (client, asked)
}

#[tokio::test(start_paused = true)]
async fn a_file_whose_deletion_was_not_answered_is_deleted_all_the_same() {
    for fault in [Fault::LoseAnswer, Fault::Drop] {
        let (faults, server) = (Faults::new(), server().await);
        let client = client_with(&faults, server);
        let id = client.upload("a.txt", "text", partwise::Purpose::Assistants).await.unwrap().id;
        faults.on(OperationId::DeleteFile).nth(1, fault.clone());
        assert!(client.delete_file(&id).await.unwrap(), "{fault:?}");
        assert_eq!(client.file(&id).await.unwrap_err().kind(), ErrorKind::NotFound, "{fault:?}");
        let again = client.delete_file(&id).await.unwrap_err();
        assert_eq!((again.kind(), again.status()), (ErrorKind::NotFound, Some(StatusCode::NOT_FOUND)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_gone_was_deleted_by_this_call_where_an_earlier_attempt_may_have_arrived() {
    let cases: [(&[Answer], Result<bool, ErrorKind>); 12] = [
        (&[DELETED], Ok(true)),
        (&[NOT_DELETED], Ok(false)),
        (&[Ok((204, ""))], Ok(true)),
        (&[UNKNOWN], Err(ErrorKind::NotFound)),
        (&[RESET, UNKNOWN], Ok(true)),
        (&[RESET, NOT_DELETED], Ok(true)),
        (&[GATEWAY, UNKNOWN], Ok(true)),
        // Nothing was executed.
        (&[NOBODY, UNKNOWN], Err(ErrorKind::NotFound)),
        (&[BUSY, UNKNOWN], Err(ErrorKind::NotFound)),
        (&[OVERLOADED, UNKNOWN], Err(ErrorKind::NotFound)),
        (&[BROKEN, UNKNOWN], Ok(true)),
        // Nobody who knows the files says so.
        (&[RESET, PAGE], Err(ErrorKind::NotFound)),
    ];
    for (answers, expected) in cases {
        let (client, asked) = answering(answers, RetryPolicy::default());
        let deleted = client.delete_file("file-1").await;
        assert_eq!(deleted.map_err(|error| error.kind()), expected, "{answers:?}");
        assert_eq!(asked.load(Relaxed), answers.len() as u64, "{answers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_deletion_says_whether_the_file_is_deleted_by_this_call() {
    let cases: [(&[Answer], DeletedFile); 5] = [
        (&[DELETED], DeletedFile::new("file-1").object(TypeDiscriminator::File).deleted(true)),
        (&[NOT_DELETED], DeletedFile::new("file-1").object(TypeDiscriminator::File).deleted(false)),
        (&[Ok((204, ""))], DeletedFile::new("file-1").deleted(true)),
        (&[RESET, UNKNOWN], DeletedFile::new("file-1").deleted(true)),
        (&[RESET, NOT_DELETED], DeletedFile::new("file-1").object(TypeDiscriminator::File).deleted(true)),
    ];
    for (answers, expected) in cases {
        let (client, _) = answering(answers, RetryPolicy::default());
        assert_eq!(client.delete_file_with_answer("file-1").await.unwrap(), expected, "{answers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_whose_cancel_was_not_answered_is_cancelled_again() {
    let cases: [(&[Answer], Result<(), ErrorKind>); 9] = [
        (&[CANCELLED], Ok(())),
        (&[RESET, CANCELLED], Ok(())),
        (&[RESET, CANCELLED_BEFORE], Ok(())),
        (&[GATEWAY, CANCELLED_BEFORE], Ok(())),
        // Nothing was executed.
        (&[CANCELLED_BEFORE], Err(ErrorKind::Rejected)),
        (&[NOBODY, CANCELLED_BEFORE], Err(ErrorKind::Rejected)),
        (&[BUSY, CANCELLED_BEFORE], Err(ErrorKind::Rejected)),
        (&[RESET, COMPLETED_BEFORE], Err(ErrorKind::Rejected)),
        // It may be another key's.
        (&[RESET, UNKNOWN], Err(ErrorKind::NotFound)),
    ];
    for (answers, expected) in cases {
        let (client, asked) = answering(answers, RetryPolicy::default());
        let cancelled = client.cancel_upload("upload_1").await;
        let cancelled = cancelled.map(|upload| assert_eq!(upload.status, Some(UploadStatus::Cancelled)));
        assert_eq!(cancelled.map_err(|error| error.kind()), expected, "{answers:?}");
        assert_eq!(asked.load(Relaxed), answers.len() as u64, "{answers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_operation_that_deletes_a_file_is_sent_once_and_says_that_its_answer_was_lost() {
    let (client, asked) = answering(&[RESET, UNKNOWN], RetryPolicy::default());
    let error = client.call(&DeleteFile::new("file-1")).await.unwrap_err();
    assert_eq!((error.kind(), asked.load(Relaxed)), (ErrorKind::Interrupted, 1));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_names_no_status_is_not_waited_for() {
    let (client, asked) = answering(&[Ok((200, A_FILE))], RetryPolicy::default());
    let began = Instant::now();
    let error = client.wait_until_processed("file-1").await.unwrap_err();
    assert!(matches!(error, Error::NotProcessed { .. }));
    assert_eq!(error.to_string(), "the service does not say whether it has processed file-1");
    assert_eq!(asked.load(Relaxed), 4);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());

    let late = &[Ok((200, A_FILE)), Ok((200, A_FILE)), Ok((200, A_FILE)), Ok((200, PROCESSED))];
    let (client, asked) = answering(late, RetryPolicy::default());
    assert_eq!(client.wait_until_processed("file-1").await.unwrap().id, "file-1");
    assert_eq!(asked.load(Relaxed), 4);
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_sent_before_it_is_given_up_because_of_what_another_has_met() {
    // Waits are drawn, so it is tried often.
    for _ in 0..100 {
        let (client, _) = answering(&[NOBODY, Ok((200, A_FILE))], RetryPolicy::default());
        let retrieve = RetrieveFile::new("file-1");
        let (first, second) = tokio::join!(client.call(&retrieve), client.call(&retrieve));
        assert!(first.is_ok() && second.is_ok(), "{first:?}, {second:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_was_answered_is_not_given_up_sooner_because_of_what_another_meets_then() {
    let policy = RetryPolicy::default().give_up_before_contact(Duration::from_millis(500));
    // Waits are drawn, so it is tried often.
    for _ in 0..100 {
        let (client, _) = answering(&[GATEWAY, NOBODY, Ok((200, A_FILE))], policy.clone());
        let retrieve = RetrieveFile::new("file-1");
        let (answered, _) = tokio::join!(client.call(&retrieve), client.call(&retrieve));
        assert!(answered.is_ok(), "{answered:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_made_sense_is_given_up_sooner() {
    let policy = RetryPolicy::default();
    let (few, many) = (u64::from(policy.max_failures_before_contact) + 1, u64::from(policy.max_failures) + 1);
    let cases: [(&[Answer], u64); 4] =
        [(&[NOBODY], few), (&[RESET], few), (&[GATEWAY], few), (&[BUSY], many)];
    for (answers, expected) in cases {
        let (client, asked) = answering(answers, policy.clone());
        let began = Instant::now();
        client.call(&RetrieveFile::new("file-1")).await.unwrap_err();
        assert_eq!(asked.load(Relaxed), expected, "{answers:?}");
        assert!(expected == many || began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
    for known in [Ok((200, A_FILE)), UNKNOWN] {
        for then in [NOBODY, RESET, GATEWAY] {
            let (client, asked) = answering(vec![known, then].leak(), policy.clone());
            drop(client.call(&RetrieveFile::new("file-1")).await);
            client.call(&RetrieveFile::new("file-1")).await.unwrap_err();
            assert_eq!(asked.load(Relaxed), 1 + many, "{known:?}, {then:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_made_sense_to_an_upload_or_a_download_is_there_for_operations_too() {
    let many = u64::from(RetryPolicy::default().max_failures) + 1;
    for is_upload in [true, false] {
        // Of a download, the content and the object.
        let answers: &[Answer] = if is_upload { &[UNKNOWN, NOBODY] } else { &[UNKNOWN, UNKNOWN, NOBODY] };
        let (client, asked) = answering(answers.to_vec().leak(), RetryPolicy::default());
        let target = tempfile::NamedTempFile::new().unwrap();
        let error = match is_upload {
            true => client.upload("a.txt", "text", partwise::Purpose::Assistants).await.unwrap_err(),
            false => client.download_file("file-1", target.path()).replace().await.unwrap_err(),
        };
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let before = asked.load(Relaxed);
        client.call(&RetrieveFile::new("file-1")).await.unwrap_err();
        assert_eq!(asked.load(Relaxed) - before, many);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_answered_is_waited_for_no_longer_than_the_policy_says() {
    let mut policy = RetryPolicy::default().max_failures(1000).max_failures_before_contact(1000);
    policy.max_wait = Duration::from_secs(2);
    for limit in [Duration::from_secs(30), Duration::from_secs(5)] {
        let (client, asked) = answering(&[NOBODY], policy.clone().give_up_before_contact(limit));
        let began = Instant::now();
        let error = client.call(&RetrieveFile::new("file-1")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        let took = began.elapsed();
        assert!(took <= limit && took + policy.max_wait >= limit, "{took:?}");
        assert!(asked.load(Relaxed) > 2);
    }
    // The time counts for a service that does not answer: this one says that it is there.
    let slow = policy.give_up_before_contact(Duration::ZERO).max_failures_before_contact(3);
    let (client, asked) = answering(&[GATEWAY], slow);
    client.call(&RetrieveFile::new("file-1")).await.unwrap_err();
    assert_eq!(asked.load(Relaxed), 4);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_never_retries_sends_every_upload_and_download_once() {
    let (client, asked) = answering(&[NOBODY], RetryPolicy::never());
    for round in 0..3 {
        let upload = client.upload("a.txt", "text", partwise::Purpose::Assistants).await.unwrap_err();
        let target = tempfile::NamedTempFile::new().unwrap();
        let download = client.download_file("file-1", target.path()).replace().await.unwrap_err();
        assert_eq!((upload.kind(), download.kind()), (ErrorKind::Connect, ErrorKind::Connect));
        // A download asks for the content and for the file's object.
        assert_eq!(asked.load(Relaxed), 3 * (round + 1));
    }
}
