//! The server on a socket, which keeps a journal and withholds what it is told to.

use std::{
    convert::Infallible,
    future::pending,
    path::Path,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use partwise_protocol::{Api, operations::OperationId};
use partwise_server::{Keys, ResponseBody, Server, Store};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tower_service::Service as _;

use crate::{
    content,
    journal::{Entry, Journal},
};

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
    held: Arc<Mutex<Option<(u32, OperationId, Hold)>>>,
}

impl Service {
    /// Serves a store in this folder.
    pub(crate) fn start(store: &Path) -> Self {
        let runtime = Runtime::new().unwrap();
        let server = Server::builder(Store::local(store).unwrap()).keys(Keys::any());
        let server = runtime.block_on(server.build()).unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let recorder = Recorder { server, journal: Journal::default(), held: Arc::default() };
        runtime.spawn(recorder.clone().serve(listener));
        Self { origin, recorder, _runtime: runtime }
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.recorder.journal
    }

    /// From now on this operation is held for ever when this run asks for it, and nothing else is.
    pub(crate) fn hold(&self, run: u32, operation: OperationId, hold: Hold) {
        *self.recorder.held.lock().unwrap() = Some((run, operation, hold));
    }
}

type Answer = Response<Either<ResponseBody, Full<Bytes>>>;

impl Recorder {
    async fn serve(self, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(self.clone().connection(stream));
        }
    }

    async fn connection(self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let service = service_fn(move |request| {
            let recorder = self.clone();
            async move { Ok::<_, Infallible>(recorder.answer(request).await) }
        });
        // That the other side is killed is what the tests are about.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(mut self, request: Request<Incoming>) -> Answer {
        let key = request.headers().get("authorization").and_then(|key| key.to_str().ok()?.strip_prefix(KEY));
        let run = key.and_then(|run| run.parse().ok()).unwrap_or_default();
        let api = Api::of_request("http://localhost", request.uri()).unwrap();
        let route = api.route(request.method(), request.uri()).unwrap();
        let operation = route.operation;
        let entry = self.journal.arrived(run, route);
        let hold = self.hold_on(run, operation);
        if hold == Some(Hold::Before) {
            return pending().await;
        }
        let Ok(response) = self.server.call(watched(request, entry.clone())).await;
        if operation == OperationId::DownloadFile || !response.status().is_success() {
            return response.map(Either::Left);
        }
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        entry.done(serde_json::from_slice(&body).unwrap());
        if hold == Some(Hold::After) {
            return pending().await;
        }
        entry.answered();
        Response::from_parts(head, Either::Right(Full::new(body)))
    }

    fn hold_on(&self, run: u32, operation: OperationId) -> Option<Hold> {
        let held = *self.held.lock().unwrap();
        held.filter(|held| (held.0, held.1) == (run, operation)).map(|(_, _, hold)| hold)
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
