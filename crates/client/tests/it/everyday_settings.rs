//! What a client is told once for everything that it does: against the server, in process.

use std::time::Duration;

use http::StatusCode;
use partwise::{
    Client, ErrorKind, FileTarget, Purpose,
    protocol::{
        download::DownloadPlan, error::ApiError, operations::OperationId, retry::RetryPolicy, upload::Plan,
    },
};
use partwise_server::testing::{Fault, Faults};

use crate::everyday::{client_with, content, server};

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
