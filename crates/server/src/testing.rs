//! Faults on demand, for tests of clients: in process around the server, or over a socket.
//!
//! ```
//! use std::time::Duration;
//!
//! use http::StatusCode;
//! use partwise_protocol::{error::ApiError, operations::OperationId};
//! use partwise_server::{Keys, Server, Store, testing::{Fault, Faults}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The third part answers 429 with Retry-After 2.
//! let slow_down = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "slow down").with_retry_after(Duration::from_secs(2));
//! let faults = Faults::new();
//! faults.on(OperationId::AddUploadPart).nth(3, Fault::Answer(Box::new(slow_down)));
//!
//! let server = Server::builder(Store::memory()).keys(Keys::any()).build().await?;
//! let faulty = faults.around(server); // a tower service: give it to a client as its transport
//! assert_eq!(faults.executed(), 0);
//! # drop(faulty);
//! # Ok(())
//! # }
//! ```

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use partwise_protocol::{Api, error::ApiError, operations::OperationId};
use tokio::{net::TcpListener, task::JoinSet};
use tower_service::Service;

use crate::Server;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What goes wrong with a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// This rejection is the answer; the request is read and not executed.
    Answer(Box<ApiError>),
    /// The connection ends, and the request is not executed.
    Drop,
    /// The request is executed, and the connection ends in place of the answer.
    LoseAnswer,
    /// The request is executed after this long.
    Delay(Duration),
    /// The connection ends after so many bytes of the answer's body.
    Truncate(u64),
}

/// Rules for what goes wrong with which request. Cheap to clone; clones share the rules, and the count of requests.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    executed: u64,
}

#[derive(Debug)]
struct Rule {
    /// All operations when there is none.
    operation: Option<OperationId>,
    which: Which,
    fault: Fault,
    /// The number of requests that the rule has seen.
    seen: u64,
}

#[derive(Clone, Copy, Debug)]
enum Which {
    Nth(u64),
    First(u64),
    Every,
}

/// The requests that a rule is for, made by [`Faults::on`] and [`Faults::on_any`].
#[derive(Debug)]
#[must_use = "it says nothing yet of what goes wrong"]
pub struct On<'f> {
    faults: &'f Faults,
    operation: Option<OperationId>,
}

impl On<'_> {
    /// The `number`th of these requests has this fault, counted from 1 and from now on.
    pub fn nth(self, number: u64, fault: Fault) {
        self.add(Which::Nth(number), fault);
    }

    /// The first `count` of these requests have this fault.
    pub fn first(self, count: u64, fault: Fault) {
        self.add(Which::First(count), fault);
    }

    /// All of these requests have this fault.
    pub fn every(self, fault: Fault) {
        self.add(Which::Every, fault);
    }

    fn add(self, which: Which, fault: Fault) {
        let rule = Rule { operation: self.operation, which, fault, seen: 0 };
        self.faults.lock().rules.push(rule);
    }
}

impl Faults {
    /// No faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A rule for the requests of this operation.
    pub fn on(&self, operation: OperationId) -> On<'_> {
        On { faults: self, operation: Some(operation) }
    }

    /// A rule for all requests.
    pub fn on_any(&self) -> On<'_> {
        On { faults: self, operation: None }
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.lock().rules.clear();
    }

    /// The number of requests that the service behind has executed.
    #[must_use]
    pub fn executed(&self) -> u64 {
        self.lock().executed
    }

    /// The service with these faults, as another service. A connection that ends is an error of the service: an
    /// [`io::Error`] of the kind [`ConnectionReset`](io::ErrorKind::ConnectionReset).
    pub fn around<S>(&self, service: S) -> Faulty<S> {
        Faulty { service, faults: self.clone() }
    }

    /// Serves the server with these faults on a socket until the future is dropped.
    pub async fn serve(&self, server: Server, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let faulty = self.around(server.clone());
            let serve = service_fn(move |request| {
                let mut faulty = faulty.clone();
                async move {
                    let response = faulty.call(request).await.map_err(as_io)?;
                    Ok::<_, io::Error>(response.map(|body| body.map_err(as_io)))
                }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), serve);
            // How a connection ends is what the client is tested with.
            connections.spawn(async move { drop(connection.await) });
            while connections.try_join_next().is_some() {}
        }
    }

    /// The fault of this request, by the first rule that has one for it.
    fn of(&self, operation: Option<OperationId>) -> Option<Fault> {
        let mut found = None;
        for rule in &mut self.lock().rules {
            if rule.operation.is_some() && rule.operation != operation {
                continue;
            }
            rule.seen += 1;
            let is_hit = match rule.which {
                Which::Nth(number) => rule.seen == number,
                Which::First(count) => rule.seen <= count,
                Which::Every => true,
            };
            if is_hit && found.is_none() {
                found = Some(rule.fault.clone());
            }
        }
        found
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A service with [`Faults`].
#[derive(Clone, Debug)]
pub struct Faulty<S> {
    service: S,
    faults: Faults,
}

impl<S, B, R> Service<Request<B>> for Faulty<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<FaultyBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.service.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was asked whether it is ready is the one that is called.
        let next = self.service.clone();
        let mut service = std::mem::replace(&mut self.service, next);
        let faults = self.faults.clone();
        Box::pin(async move {
            let api = Api::of_request("http://localhost", request.uri()).unwrap_or_else(|_| Api::openai());
            let route = api.route(request.method(), request.uri());
            let fault = faults.of(route.ok().map(|route| route.operation));
            match &fault {
                Some(Fault::Drop) => return Err(ended()),
                Some(Fault::Answer(rejection)) => return answer(&api, rejection, request.into_body()).await,
                Some(Fault::Delay(delay)) => tokio::time::sleep(*delay).await,
                Some(Fault::LoseAnswer | Fault::Truncate(_)) | None => {}
            }
            faults.lock().executed += 1;
            let response = service.call(request).await.map_err(Into::into)?;
            match fault {
                Some(Fault::LoseAnswer) => Err(ended()),
                Some(Fault::Truncate(bytes)) => Ok(response.map(|body| FaultyBody::of(body, Some(bytes)))),
                _ => Ok(response.map(|body| FaultyBody::of(body, None))),
            }
        })
    }
}

/// Of one type, as hyper's futures want it to be sent between threads.
fn as_io(error: BoxError) -> io::Error {
    io::Error::other(error)
}

fn ended() -> BoxError {
    io::Error::from(io::ErrorKind::ConnectionReset).into()
}

/// The rejection, once the request was read to its end.
async fn answer<B>(api: &Api, rejection: &ApiError, body: B) -> Result<Response<FaultyBody>, BoxError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut body = Box::pin(body);
    while let Some(frame) = body.frame().await {
        frame.map_err(Into::into)?;
    }
    let response = rejection.encode_response(api)?;
    Ok(response.map(|body| FaultyBody::of(Full::new(body.into_bytes().unwrap_or_default()), None)))
}

/// The body of an answer, which may end before its end.
pub struct FaultyBody {
    body: UnsyncBoxBody<Bytes, BoxError>,
    /// The number of bytes until the connection ends, if it does.
    left: Option<u64>,
}

impl FaultyBody {
    fn of<B>(body: B, left: Option<u64>) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self { body: body.map_err(Into::into).boxed_unsync(), left }
    }
}

impl Body for FaultyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left == Some(0) {
            return Poll::Ready(Some(Err(ended())));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let Some(left) = self.left else { return polled };
        polled.map(|frame| {
            let frame = frame?;
            Some(frame.map(|frame| {
                let data = frame.into_data().unwrap_or_default();
                let sent = data.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                self.left = Some(left - sent as u64);
                Frame::data(data.slice(..sent))
            }))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for FaultyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyBody").field("left", &self.left).finish_non_exhaustive()
    }
}
