//! Faults on demand, for tests of clients: in process around the server, or over a socket.
//!
//! In process, a server with faults is a tower service that a client takes as its transport:
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
//!
//! Over a socket, any client can be tested, whatever it is written in. What happens may change at any time:
//!
//! ```
//! use partwise_protocol::operations::OperationId;
//! use partwise_server::{Keys, Server, Store, testing::{Fault, Faults}};
//! use tokio::net::TcpListener;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder(Store::memory()).keys(Keys::any()).build().await?;
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let endpoint = format!("http://{}/v1", listener.local_addr()?);
//! let faults = Faults::new();
//! let serving = faults.clone();
//! let task = tokio::spawn(async move { serving.serve(server, listener).await });
//!
//! // From now on files are made, and nobody is told so.
//! faults.on(OperationId::CreateFile).every(Fault::LoseAnswer);
//! // … a client uploads to `endpoint`, and finds its file in the list …
//! faults.clear();
//! # drop(endpoint);
//! task.abort();
//! # Ok(())
//! # }
//! ```

mod body;
mod faulty;
mod schedule;

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use partwise_protocol::{error::ApiError, operations::OperationId};
use tokio::{net::TcpListener, task::JoinSet};
use tower_service::Service;

pub use self::{body::FaultyBody, faulty::Faulty, schedule::Schedule};

/// The pause after a socket that could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(20);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What goes wrong with a request.
///
/// ```
/// use std::time::Duration;
///
/// use partwise_protocol::operations::OperationId;
/// use partwise_server::testing::{Fault, Faults};
///
/// let faults = Faults::new();
/// faults.on(OperationId::DownloadFile).first(2, Fault::Truncate(1000));
/// faults.on(OperationId::ListFiles).every(Fault::Delay(Duration::from_secs(3)));
/// faults.on(OperationId::CompleteUpload).nth(1, Fault::LoseAnswer);
/// ```
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
    /// The connection ends after so many bytes of the answer's body; an answer that has no more comes whole. Over a socket, those that the client does not read in time
    /// may be lost as well.
    Truncate(u64),
    /// The request is neither executed nor answered, and the connection stays open until the client closes it.
    Stall,
    /// The request is executed and not answered, and the connection stays open until the client closes it.
    StallAnswer,
}

/// Rules for what goes wrong with which request. Cheap to clone; clones share the rules, and the count of requests.
///
/// Where several rules have a fault for a request, the rule that was added first decides.
///
/// ```
/// use partwise_protocol::operations::OperationId;
/// use partwise_server::{Keys, Server, Store, testing::{Fault, Faults}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let faults = Faults::new();
/// // The service creates a file, and its answer is lost: does the client make a second one?
/// faults.on(OperationId::CreateFile).nth(1, Fault::LoseAnswer);
/// let server = Server::builder(Store::memory()).keys(Keys::any()).build().await?;
/// let transport = faults.around(server);
/// // … upload a file through the transport …
/// assert_eq!(faults.executed(), 0);
/// # drop(transport);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    rules: Vec<(Arc<Scope>, Schedule<Fault>)>,
    executed: u64,
}

type Condition = Box<dyn Fn(&Parts) -> bool + Send + Sync>;

/// The requests that a rule counts.
struct Scope {
    /// All operations when it is absent.
    operation: Option<OperationId>,
    condition: Option<Condition>,
}

/// The requests that a rule is for, made by [`Faults::on`] and [`Faults::on_any`].
///
/// ```
/// use partwise_protocol::operations::OperationId;
/// use partwise_server::testing::{Fault, Faults};
///
/// let faults = Faults::new();
/// let of_one_file = faults.on(OperationId::RetrieveFile).when(|head| head.uri.path().ends_with("/file-1"));
/// of_one_file.every(Fault::Stall);
/// ```
#[derive(Debug)]
#[must_use = "it says nothing yet of what goes wrong"]
pub struct On<'f> {
    faults: &'f Faults,
    scope: Scope,
}

impl On<'_> {
    /// Narrows the rule to requests with such a head: with a certain key or path, for instance. Others are not counted.
    ///
    /// The condition may use the same [`Faults`]; rules that it adds are for later requests.
    pub fn when(mut self, condition: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.scope.condition = Some(Box::new(condition));
        self
    }

    /// The `number`th of these requests has this fault, counted from 1 and from now on.
    pub fn nth(self, number: u64, fault: Fault) {
        self.follow(Schedule::new().nth(number, fault));
    }

    /// The first `count` of these requests have this fault.
    pub fn first(self, count: u64, fault: Fault) {
        self.follow(Schedule::new().first(count, fault));
    }

    /// All of these requests have this fault.
    pub fn every(self, fault: Fault) {
        self.follow(Schedule::new().every(fault));
    }

    /// These requests have the faults of this schedule.
    pub fn follow(self, schedule: Schedule<Fault>) {
        self.faults.lock().rules.push((Arc::new(self.scope), schedule));
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
        On { faults: self, scope: Scope { operation: Some(operation), condition: None } }
    }

    /// A rule for all requests.
    pub fn on_any(&self) -> On<'_> {
        On { faults: self, scope: Scope { operation: None, condition: None } }
    }

    /// Removes all rules. Requests that already stall go on doing so.
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
        Faulty::new(service, self.clone())
    }

    /// Serves a [`Server`](crate::Server), or another service, with these faults on a socket until the future is dropped.
    ///
    /// A socket that cannot be accepted is left out, and the next one is accepted a moment later; how a connection ends is what the client is tested with, so nothing
    /// is said of it.
    pub async fn serve<S, R>(&self, service: S, listener: TcpListener)
    where
        S: Service<Request<Incoming>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        R: Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // It may fail until others close their files.
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            };
            let faulty = self.around(service.clone());
            let serve = service_fn(move |request| {
                let mut faulty = faulty.clone();
                async move {
                    let response = faulty.call(request).await.map_err(as_io)?;
                    Ok::<_, io::Error>(response.map(|body| body.map_err(as_io)))
                }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), serve);
            connections.spawn(async move { drop(connection.await) });
            while connections.try_join_next().is_some() {}
        }
    }

    /// Counts a request, and returns its fault.
    fn of(&self, operation: Option<OperationId>, head: &Parts) -> Option<Fault> {
        let scopes: Vec<_> = self.lock().rules.iter().map(|(scope, _)| Arc::clone(scope)).collect();
        // Conditions are the user's, and may ask or change these very faults: they are asked without the lock.
        let having: Vec<_> = scopes.into_iter().filter(|scope| scope.has(operation, head)).collect();
        let mut found = None;
        for (scope, schedule) in &mut self.lock().rules {
            if having.iter().any(|having| Arc::ptr_eq(having, scope)) {
                let fault = schedule.advance();
                found = found.or(fault);
            }
        }
        found
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scope {
    fn has(&self, operation: Option<OperationId>, head: &Parts) -> bool {
        (self.operation.is_none() || self.operation == operation)
            && self.condition.as_ref().is_none_or(|condition| condition(head))
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Scope");
        debug.field("operation", &self.operation).field("is_conditional", &self.condition.is_some()).finish()
    }
}

/// Of one type, as hyper's futures want it to be sent between threads.
fn as_io(error: BoxError) -> io::Error {
    io::Error::other(error)
}

fn ended() -> BoxError {
    io::Error::from(io::ErrorKind::ConnectionReset).into()
}
