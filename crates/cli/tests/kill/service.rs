//! The server on a socket, which keeps a journal and withholds what it is told to.

use std::{
    path::Path,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use partwise_protocol::{Api, operations::OperationId};
use partwise_server::{
    Keys, ResponseBody, Server, Store,
    testing::{Fault, Faults, FaultyBody},
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tower_service::Service as _;

use crate::{
    content,
    journal::{Entry, Journal},
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Which run of the command is asking stands in the key that it has.
const KEY: &str = "Bearer ";

/// As much of a body as it may take to see where its content belongs.
const HEAD: usize = 16 * 1024;

/// Serves until it is dropped.
pub(crate) struct Service {
    pub(crate) origin: String,
    recorder: Recorder,
    _runtime: Runtime,
}

/// Where a request stops on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It is not done.
    Before,
    /// It is done, and not answered.
    After,
}

#[derive(Clone)]
struct Recorder {
    server: Server,
    journal: Journal,
    faults: Faults,
}

impl Service {
    /// Serves a store in this folder.
    pub(crate) fn start(store: &Path) -> Self {
        let runtime = Runtime::new().unwrap();
        let server = Server::builder(Store::local(store).unwrap()).keys(Keys::any());
        let server = runtime.block_on(server.build()).unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let recorder = Recorder { server, journal: Journal::default(), faults: Faults::new() };
        runtime.spawn(recorder.clone().serve(listener));
        Self { origin, recorder, _runtime: runtime }
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.recorder.journal
    }

    /// From now on this operation is held for ever when this run asks for it, and nothing else is.
    pub(crate) fn hold(&self, run: u32, operation: OperationId, hold: Hold) {
        let fault = match hold {
            Hold::Before => Fault::Stall,
            Hold::After => Fault::StallAnswer,
        };
        self.recorder.faults.clear();
        self.recorder.faults.on(operation).when(move |head| run_of(head) == run).every(fault);
    }
}

impl Recorder {
    async fn serve(self, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(self.clone().connection(stream));
        }
    }

    async fn connection(self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let service = service_fn(move |request| self.clone().answer(request));
        // That the other side is killed is what the tests are about.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<FaultyBody>, BoxError> {
        let (head, body) = request.into_parts();
        let api = Api::of_request("http://localhost", &head.uri).unwrap();
        let route = api.route(&head.method, &head.uri).unwrap();
        let is_download = route.operation == OperationId::DownloadFile;
        let entry = self.journal.arrived(run_of(&head), route);
        let executed = Executed { server: self.server, entry: entry.clone(), is_download };
        let response = self.faults.around(executed).call(Request::from_parts(head, body)).await?;
        if !is_download && response.status().is_success() {
            entry.answered();
        }
        Ok(response)
    }
}

/// The run of the command that is asking.
fn run_of(head: &Parts) -> u32 {
    let key = head.headers.get("authorization").and_then(|key| key.to_str().ok()?.strip_prefix(KEY));
    key.and_then(|run| run.parse().ok()).unwrap_or_default()
}

/// The server for one request, of which the journal is told when it is done.
#[derive(Clone)]
struct Executed {
    server: Server,
    entry: Entry,
    is_download: bool,
}

impl tower_service::Service<Request<Incoming>> for Executed {
    type Response = Response<Either<ResponseBody, Full<Bytes>>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let Self { mut server, entry, is_download } = self.clone();
        Box::pin(async move {
            let Ok(response) = server.call(watched(request, entry.clone())).await;
            if is_download || !response.status().is_success() {
                return Ok(response.map(Either::Left));
            }
            let (head, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            entry.done(serde_json::from_slice(&body)?);
            Ok(Response::from_parts(head, Either::Right(Full::new(body))))
        })
    }
}

/// The request, whose body tells the journal where in the file it belongs.
fn watched(
    request: Request<Incoming>,
    entry: Entry,
) -> Request<impl http_body::Body<Data = Bytes, Error = hyper::Error> + Send> {
    let mut seen = Some(Vec::new());
    request.map(|body| {
        body.map_frame(move |frame| {
            if let (Some(head), Some(data)) = (&mut seen, frame.data_ref()) {
                head.extend_from_slice(&data[..data.len().min(HEAD)]);
                if let Some(offset) = content::offset_in(head) {
                    entry.is_of(offset);
                    seen = None;
                }
            }
            frame
        })
    })
}
