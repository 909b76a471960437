//! Timeouts of services that are not ours: which are retried, and how often.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::Full;
use partwise::{Client, RequestBody};
use partwise_models::Purpose;
use partwise_protocol::{
    Api,
    operations::{OperationId, RetrieveFile},
    retry::RetryPolicy,
    transport::{Failure, FailureKind},
};
use partwise_server::testing::{Fault, Faults};
use partwise_testkit::{content::noise, errors::line};
use tokio::{net::TcpListener, task::JoinHandle};
use tower::{ServiceBuilder, service_fn, timeout::error::Elapsed};

use crate::{
    everyday::server,
    peer::{A_FILE, MIB},
    service_side::openai,
    services::{BoxError, impatient, over, pooled, reqwests},
};

const SOON: Duration = Duration::from_millis(300);

/// A client over a service that fails with this error the first times, and then answers; and how often the service was called.
fn failing(times: u64, error: MakeError) -> (Client, Arc<AtomicU64>) {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = calls.clone();
    let service = service_fn(move |_: Request<RequestBody>| {
        let call = counted.fetch_add(1, SeqCst);
        async move {
            if call < times { Err(error().await) } else { Ok(Response::new(Full::<Bytes>::from(A_FILE))) }
        }
    });
    (impatient(&over(Api::openai(), service)), calls)
}

/// Makes an error; the one of tokio needs time for that.
type MakeError = fn() -> BoxFuture<'static, BoxError>;

#[derive(Debug, thiserror::Error)]
#[error("the layer of somebody else")]
struct Layer(#[source] BoxError);

#[tokio::test]
async fn a_service_that_says_that_it_timed_out_is_asked_again_until_the_limit() {
    // It never answers, so it may be another service.
    let most = u64::from(RetryPolicy::default().max_failures_before_contact) + 1;
    let errors: [(&str, MakeError); 5] = [
        ("a failure", || Box::pin(async { Failure::new(FailureKind::Timeout).into() })),
        ("a failure in a layer", || {
            Box::pin(async { Layer(Failure::new(FailureKind::Timeout).into()).into() })
        }),
        ("the system's", || Box::pin(async { io::Error::from(io::ErrorKind::TimedOut).into() })),
        ("the system's in a layer", || {
            Box::pin(async {
                io::Error::other(Layer(io::Error::from(io::ErrorKind::TimedOut).into())).into()
            })
        }),
        ("tokio's", || {
            Box::pin(async {
                let nothing = tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>());
                nothing.await.expect_err("nothing comes").into()
            })
        }),
    ];
    for (name, error_of) in errors {
        let (client, calls) = failing(2, error_of);
        assert_eq!(client.call(&RetrieveFile::new("file-1")).await.expect(name).id, "file-1");
        assert_eq!(calls.load(SeqCst), 3, "{name}");

        let (client, calls) = failing(u64::MAX, error_of);
        let error = client.call(&RetrieveFile::new("file-1")).await.expect_err(name);
        assert_eq!(error.failure(), Some(FailureKind::Timeout), "{name}: {}", line(&error));
        assert_eq!(calls.load(SeqCst), most, "{name}");
    }
}

#[tokio::test]
async fn a_timeout_of_tower_that_nobody_explains_is_final_and_asked_once() {
    let (client, calls) = failing(u64::MAX, || Box::pin(async { Elapsed::new().into() }));
    let error = client.call(&RetrieveFile::new("file-1")).await.unwrap_err();
    assert_eq!((error.failure(), calls.load(SeqCst)), (Some(FailureKind::Other), 1));
}

/// A server with faults on a socket.
struct Faulty {
    api: Api,
    task: JoinHandle<()>,
}

impl Faulty {
    async fn serve(faults: &Faults) -> Self {
        let (server, faults) = (server().await, faults.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = openai(listener.local_addr().unwrap());
        Self { api, task: tokio::spawn(async move { faults.serve(server, listener).await }) }
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Tower's timeout around hyper-util's client, explained.
fn told(api: Api) -> Client {
    let explain = |error: BoxError| -> BoxError {
        if error.is::<Elapsed>() { Failure::with_cause(FailureKind::Timeout, error).into() } else { error }
    };
    over(api, ServiceBuilder::new().map_err(explain).timeout(SOON).service(pooled()))
}

fn of_reqwest(api: Api) -> Client {
    over(api, reqwests(reqwest::Client::builder().no_proxy().timeout(SOON).build().unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_outlives_the_timeouts_of_other_transports_at_each_of_its_steps() {
    let content = Bytes::from(noise(3 * MIB));
    tokio::join!(outlive(told, &content), outlive(of_reqwest, &content));
}

async fn outlive(connect: fn(Api) -> Client, content: &Bytes) {
    let faults = Faults::new();
    faults.on(OperationId::CreateUpload).nth(1, Fault::Stall);
    faults.on(OperationId::AddUploadPart).nth(2, Fault::Stall);
    faults.on(OperationId::AddUploadPart).nth(4, Fault::StallAnswer);
    faults.on(OperationId::CompleteUpload).nth(1, Fault::StallAnswer);
    let faulty = Faulty::serve(&faults).await;
    let client = impatient(&connect(faulty.api.clone()));
    let upload = client.upload("content.bin", content.clone(), Purpose::Assistants);
    let file = upload.part_size(MIB).await.unwrap_or_else(|error| panic!("{}", line(&error)));
    faults.clear();
    // What was completed without an answer is found, and not made a second time.
    let files = client.files().next_page().await.unwrap().unwrap();
    assert_eq!(files.iter().map(|file| &file.id).collect::<Vec<_>>(), [&file.id]);
    assert!(client.download(&file.id).bytes(4 * MIB).await.unwrap() == content);
}
