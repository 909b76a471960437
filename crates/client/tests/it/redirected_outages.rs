//! Content that another host has: what happens there says nothing of the service. In paused time.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use partwise::{Client, RequestBody, Upload};
use partwise_models::Purpose;
use partwise_protocol::{
    Api, Credential, Dialect,
    machine::TransferState,
    operations::{DownloadFile, RetrieveFile},
    retry::{Offline, RetryPolicy},
    transport::{Failure, FailureKind},
    upload::{Plan, RouteChoice},
};
use partwise_testkit::errors::line;
use tokio::time::{Instant, sleep, sleep_until};

use crate::peer::A_FILE;

/// A service that is away for some time and redirects content to another host, which answers or fails after this long.
#[derive(Clone)]
struct Service {
    away: Range<Instant>,
    elsewhere: (Duration, Result<(), FailureKind>),
}

impl Service {
    fn client(&self) -> Client {
        let service = self.clone();
        let service = tower::service_fn(move |request: Request<RequestBody>| {
            let Service { away, elsewhere: (takes, content) } = service.clone();
            async move {
                let answer =
                    |body: &'static str| Response::new(Full::new(Bytes::from_static(body.as_bytes())));
                if request.uri().host() == Some("127.0.0.2") {
                    sleep(takes).await;
                    return match content {
                        Ok(()) => Ok(answer("the content")),
                        Err(kind) => Err(Failure::with_cause(kind, "no route to host")),
                    };
                }
                if away.contains(&Instant::now()) {
                    return Err(Failure::with_cause(FailureKind::Connect, "no route to host"));
                }
                if request.uri().path().ends_with("/content") {
                    let mut redirect = answer("");
                    *redirect.status_mut() = http::StatusCode::FOUND;
                    let location = "http://127.0.0.2:1/blob".parse().unwrap();
                    redirect.headers_mut().insert(header::LOCATION, location);
                    return Ok(redirect);
                }
                let _ = request.into_body().collect().await;
                Ok(answer(A_FILE))
            }
        });
        let api = Api::with_base("http://127.0.0.1:1/v1", Dialect::OpenAi).unwrap();
        Client::builder(api, Credential::key("a-secret-key").unwrap()).transport(service).build()
    }
}

async fn upload(client: &Client) -> Upload {
    let mut plan = Plan::new("report.txt", "text/plain", Purpose::Assistants);
    plan.route = RouteChoice::Single;
    client.upload_as(plan, Bytes::from_static(b"hello")).prepare().await.unwrap()
}

/// A part of the content, so that its object is not asked for beside it.
fn range() -> DownloadFile {
    let mut operation = DownloadFile::new("file-1");
    operation.range = Some(partwise_protocol::operations::ByteRange::From { first: 0, last: None });
    operation
}

fn offline(state: &TransferState) -> Option<Offline> {
    match state {
        TransferState::Offline(offline) => Some(*offline),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_content_is_redirected_to_and_that_is_away_is_no_outage_of_the_service() {
    for kind in [FailureKind::Connect, FailureKind::Timeout] {
        let now = Instant::now();
        let service = Service { away: now..now, elsewhere: (Duration::ZERO, Err(kind)) };
        let client = service.client();
        let error = client
            .clone()
            .to_builder()
            .retry(RetryPolicy::never())
            .build()
            .download(range())
            .await
            .unwrap_err();
        assert!(line(&error).contains("127.0.0.2:1, to which the service redirected"), "{}", line(&error));
        upload(&client).await.run().await.unwrap();
        assert_eq!(Instant::now(), now, "nothing is waited for");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_another_host_ends_no_outage() {
    let began = Instant::now();
    let away = began + Duration::from_secs(1)..began + Duration::from_secs(60);
    let client = Service { away, elsewhere: (Duration::from_secs(10), Ok(())) }.client();
    let downloading = client.clone();
    let download = tokio::spawn(async move { downloading.download(range()).await.map(drop) });
    sleep(Duration::from_secs(2)).await;
    let upload = upload(&client).await;
    let mut progress = upload.progress();
    let running = tokio::spawn(upload.run());
    let before = offline(&progress.wait_for(|now| offline(&now.state).is_some()).await.unwrap().state);
    download.await.unwrap().unwrap();
    assert_eq!(Instant::now(), began + Duration::from_secs(10));
    sleep(Duration::from_secs(20)).await;
    let after = offline(&progress.borrow().state);
    assert_eq!(after.map(|after| after.since), before.map(|before| before.since));
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_an_answer_of_the_service_for_all() {
    let began = Instant::now();
    let away = began..began + Duration::from_secs(20);
    let service = Service { away: away.clone(), elsewhere: (Duration::from_secs(3600), Ok(())) };
    let client = service.client();
    let uploading = upload(&client).await;
    let running = tokio::spawn(uploading.run());
    sleep_until(away.end).await;
    let downloading = client.clone();
    let policy = RetryPolicy::never();
    let download = tokio::spawn(async move {
        downloading.to_builder().retry(policy).build().download(range()).await.map(drop)
    });
    sleep(Duration::from_millis(1)).await;
    client.call(&RetrieveFile::new("file-1")).await.unwrap();
    assert!(away.end.elapsed() < Duration::from_millis(50), "its turn is now: {:?}", away.end.elapsed());
    running.await.unwrap().unwrap();
    assert!(!download.is_finished());
    download.abort();
}
