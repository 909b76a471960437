//! Services that are not ours.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy, rt::TokioExecutor};
use partwise::{Client, Error, RequestBody};
use partwise_protocol::{
    Api, Credential,
    operations::RetrieveFile,
    retry::RetryPolicy,
    transport::{Failure, FailureKind},
};
use partwise_testkit::{
    errors::line,
    http1::{answer, answer_all, read_request},
};
use tokio::io::AsyncWriteExt;
use tower::{ServiceBuilder, timeout::error::Elapsed};
use tower_service::Service;

use crate::peer::{A_FILE, A_PART, MIB, Peer, part, zeros};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(crate) fn over<S, B>(api: Api, service: S) -> Client
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    Client::builder(api, Credential::key("a-secret-key").unwrap())
        .transport(service)
        .retry(RetryPolicy::never())
        .build()
}

pub(crate) fn pooled() -> impl Service<
    Request<RequestBody>,
    Response = Response<hyper::body::Incoming>,
    Error = legacy::Error,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    legacy::Client::builder(TokioExecutor::new()).build_http::<RequestBody>()
}

#[tokio::test]
async fn hyper_utils_pooled_client_is_one() {
    let peer = Peer::start(|stream, _| answer_all(stream, A_PART)).await;
    let client = over(peer.api(), pooled());
    for _ in 0..3 {
        client.call_with(&part(3 * MIB), zeros(3 * MIB)).await.unwrap();
    }
}

#[tokio::test]
async fn the_failures_of_other_services_are_understood() {
    let gone = Peer::start(|mut stream, _| async move { drop(read_request(&mut stream).await) }).await;
    let error = over(gone.api(), pooled()).call(&RetrieveFile::new("file-1")).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Interrupted), "{}", line(&error));
    let api = gone.api();
    drop(gone);
    let error = over(api, pooled()).call(&RetrieveFile::new("file-1")).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Connect), "{}", line(&error));
}

/// Answers from memory, and announces more than it gives.
#[derive(Clone)]
struct Short;

impl Service<Request<RequestBody>> for Short {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        assert_eq!(request.headers()["authorization"], "Bearer a-secret-key");
        assert!(request.headers()["user-agent"].to_str().unwrap().starts_with("partwise/"));
        let body = if request.uri().path().ends_with("/content") { "12345" } else { A_FILE };
        let response = Response::builder().header("content-length", 9).body(Full::from(body));
        ready(Ok(response.unwrap()))
    }
}

#[tokio::test]
async fn a_service_that_gives_less_than_it_announces_gives_no_whole_download() {
    let client = over(Api::openai(), Short);
    assert_eq!(client.call(&RetrieveFile::new("file-1")).await.unwrap().id, "file-1");
    let mut download = client.download("file-1").await.unwrap();
    assert_eq!(download.chunk().await.unwrap().unwrap(), "12345");
    let error = download.chunk().await.unwrap_err();
    assert!(matches!(error, Error::WrongLength { announced: 9, received: 5 }), "{}", line(&error));
}

/// Reads the whole body, and tells how it went.
#[derive(Clone)]
struct Reads;

impl Service<Request<RequestBody>> for Reads {
    type Response = Response<Full<Bytes>>;
    type Error = partwise_protocol::transport::SourceError;
    type Future = futures_util::future::BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        Box::pin(async {
            request.into_body().collect().await?;
            Ok(Response::new(Full::from(A_PART)))
        })
    }
}

#[tokio::test]
async fn a_source_that_ends_early_is_never_a_short_body() {
    let client = over(Api::openai(), Reads);
    client.call_with(&part(10), zeros(10)).await.unwrap();
    let error = client.call_with(&part(10), zeros(9)).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Source));
    assert_eq!(
        line(&error),
        "the source could not be read: the source ends at byte 9, and bytes up to 10 were to be read"
    );
}

/// Reads the whole body, and says what it thinks of one that breaks off.
#[derive(Clone)]
struct Answers;

impl Service<Request<RequestBody>> for Answers {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = futures_util::future::BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        Box::pin(async {
            let status = if request.into_body().collect().await.is_ok() { 200 } else { 400 };
            Ok(Response::builder().status(status).body(Full::from(A_PART)).unwrap())
        })
    }
}

#[tokio::test]
async fn a_source_that_ends_early_is_told_whatever_the_service_says_about_it() {
    let client = over(Api::openai(), Answers);
    client.call_with(&part(10), zeros(10)).await.unwrap();
    let error = client.call_with(&part(10), zeros(9)).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Source), "{}", line(&error));
}

/// Says nothing to the first `silent` requests, and answers the rest.
async fn silent_at_first(silent: usize) -> Peer {
    let asked = Arc::new(AtomicUsize::new(0));
    Peer::start(move |mut stream, _| {
        let asked = asked.clone();
        async move {
            while read_request(&mut stream).await.is_some() {
                if asked.fetch_add(1, SeqCst) < silent {
                    std::future::pending::<()>().await;
                }
                answer(&mut stream, 200, "", A_FILE).await;
            }
        }
    })
    .await
}

/// Retries at once.
pub(crate) fn impatient(client: &Client) -> Client {
    let mut policy = RetryPolicy::default();
    policy.base_wait = Duration::from_millis(1);
    client.to_builder().retry(policy).build()
}

const SOON: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_timeout_of_tower_is_retried_once_it_is_said_to_be_one() {
    let peer = silent_at_first(1).await;
    let timed = || ServiceBuilder::new().timeout(SOON).service(pooled());
    let error = over(peer.api(), timed()).call(&RetrieveFile::new("file-1")).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Other), "what nobody knows is final");

    let peer = silent_at_first(1).await;
    let told = ServiceBuilder::new()
        .map_err(|error: BoxError| match error.is::<Elapsed>() {
            true => Failure::with_cause(FailureKind::Timeout, error).into(),
            false => error,
        })
        .service(timed());
    let client = impatient(&over(peer.api(), told));
    assert_eq!(client.call(&RetrieveFile::new("file-1")).await.unwrap().id, "file-1");
    assert_eq!(peer.accepted(), 2);
}

/// Says which of reqwest's errors are which failures; the causes of the others say it themselves.
fn of_reqwest(error: reqwest::Error) -> BoxError {
    let kind = match () {
        () if error.is_connect() => FailureKind::Connect,
        () if error.is_timeout() => FailureKind::Timeout,
        () => return error.into(),
    };
    Failure::with_cause(kind, error).into()
}

pub(crate) fn reqwests(
    http: reqwest::Client,
) -> impl Service<
    Request<RequestBody>,
    Response = Response<impl http_body::Body<Data = Bytes, Error = BoxError>>,
    Error = BoxError,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    tower::service_fn(move |request: Request<RequestBody>| {
        let http = http.clone();
        async move {
            let request = request.map(reqwest::Body::wrap).try_into().map_err(of_reqwest)?;
            let answer = Response::<reqwest::Body>::from(http.execute(request).await.map_err(of_reqwest)?);
            Ok(answer.map(|body| body.map_err(of_reqwest)))
        }
    })
}

#[tokio::test]
async fn reqwest_is_one_and_its_failures_are_told_apart() {
    let http = reqwest::Client::builder().no_proxy().timeout(SOON).build().unwrap();
    let peer = silent_at_first(1).await;
    let error =
        over(peer.api(), reqwests(http.clone())).call(&RetrieveFile::new("file-1")).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Timeout), "{}", line(&error));

    let peer = silent_at_first(1).await;
    let client = impatient(&over(peer.api(), reqwests(http.clone())));
    assert_eq!(client.call(&RetrieveFile::new("file-1")).await.unwrap().id, "file-1");
    assert_eq!(peer.accepted(), 2);

    let cut = Peer::start(|mut stream, _| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1").await.unwrap();
    })
    .await;
    let error = over(cut.api(), reqwests(http.clone())).call(&RetrieveFile::new("file-1")).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Interrupted), "{}", line(&error));

    let stalled = Peer::start(|mut stream, _| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let error =
        over(stalled.api(), reqwests(http.clone())).call(&RetrieveFile::new("file-1")).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Timeout), "{}", line(&error));

    let api = stalled.api();
    drop(stalled);
    let error = over(api, reqwests(http.clone())).call(&RetrieveFile::new("file-1")).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Connect), "{}", line(&error));

    let peer = Peer::start(|stream, _| answer_all(stream, A_PART)).await;
    let client = over(peer.api(), reqwests(http));
    client.call_with(&part(3 * MIB), zeros(3 * MIB)).await.unwrap();
    let error = client.call_with(&part(10), zeros(9)).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Source), "{}", line(&error));
}

#[tokio::test]
async fn layers_of_tower_stand_in_front_of_a_service() {
    let peer = Peer::start(|stream, _| answer_all(stream, A_PART)).await;
    // What limits the rate is not to be cloned, and the buffer is what makes it so.
    let layers = ServiceBuilder::new().buffer(8).concurrency_limit(2).rate_limit(1000, SOON);
    let client = over(peer.api(), layers.service(pooled()));
    let parts = [part(MIB), part(2 * MIB), part(3 * MIB)];
    let sent = parts.iter().zip([1, 2, 3]).map(|(part, mib)| client.call_with(part, zeros(mib * MIB)));
    for part in futures_util::future::join_all(sent).await {
        assert!(part.is_ok(), "{part:?}");
    }
}
