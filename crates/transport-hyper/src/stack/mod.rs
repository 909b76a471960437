//! The default way to the service: our own use of hyper's HTTP/1.1 connections.
//!
//! A [`Stack`] has a number of slots, each one connection with one task, used again between requests. HTTP/2 is not
//! offered: many large bodies on one connection would share its flow control. What it does beyond a common pooled
//! client, because uploads need it:
//! - a refusal that comes while a body is still being sent is read, even when the service has closed its end;
//! - the rest of a body is not sent once the service has answered;
//! - a long answer that goes to a target is read from the connection without hyper in between;
//! - timeouts are about progress, and never limit how long a part may take;
//! - dropping a request ends its connection at once, also when the service has stopped reading.
//!
//! It is a plain [`tower_service::Service`]: layers may be put around it. One that leaves the types of the bodies alone costs
//! nothing; behind one that wraps them, files are read into memory and long answers go through hyper as everywhere else.

mod answer;
mod answers;
mod backlog;
mod body;
mod connect;
mod connection;
mod direct;
mod error;
mod exchange;
mod options;
mod proxy;
mod silence;
mod stream;
#[cfg(feature = "__tls")]
mod tls;
#[cfg(feature = "__tls")]
mod trust;
mod tunnel;
mod use_time;
mod wire;

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use partwise_net::BoxError;
use tower_service::Service;

#[cfg(feature = "__tls")]
pub use self::tls::{CertificateError, CryptoProvider, TlsError};
pub use self::{
    answer::AnswerBody,
    connect::ConnectError,
    error::StackError,
    options::{StackOptions, Timeouts},
    proxy::{InvalidProxy, Proxy},
};
use self::{body::StackBody, connection::Slots, exchange::exchange};

/// Sends requests over HTTP/1.1 connections of its own. Cheap to clone; clones share the connections.
///
/// It needs a tokio runtime with time and I/O enabled. Dropping the last clone closes idle connections at once, and
/// those in use with the requests that use them.
///
/// ```no_run
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use partwise_transport_hyper::stack::{Stack, StackOptions};
/// use tower_service::Service as _;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut stack = Stack::new(StackOptions::new().connections(4));
/// let request = http::Request::get("https://api.openai.com/v1/files").body(Full::new(Bytes::new()))?;
/// let answer = stack.call(request).await?;
/// println!("{}", answer.status());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Stack {
    slots: Arc<Slots>,
    timeouts: Timeouts,
}

impl Stack {
    /// A stack with these settings. Nothing is opened yet.
    pub fn new(options: StackOptions) -> Self {
        let (connections, timeouts) = (options.connections, options.timeouts);
        Self { slots: Arc::new(Slots::new(options.connector(), connections)), timeouts }
    }
}

impl Default for Stack {
    fn default() -> Self {
        Self::new(StackOptions::new())
    }
}

impl<B> Service<Request<B>> for Stack
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<AnswerBody>;
    type Error = StackError;
    type Future = BoxFuture<'static, Result<Self::Response, StackError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StackError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let request = StackBody::of(request);
        let (slots, timeouts) = (self.slots.clone(), self.timeouts);
        Box::pin(async move { exchange(&slots, &timeouts, request).await })
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}
