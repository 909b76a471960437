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
//! It is a plain [`tower_service::Service`]: layers may be put around it before it goes into
//! [`Client::new`](crate::Client::new).

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

use futures_util::future::BoxFuture;
use http::{Request, Response};
use tower_service::Service;

pub(crate) use self::direct::DirectBody;
#[cfg(feature = "__tls")]
pub use self::tls::{CertificateError, CryptoProvider, TlsError};
pub use self::{
    answer::AnswerBody,
    connect::ConnectError,
    error::StackError,
    options::{StackOptions, Timeouts},
    proxy::{InvalidProxy, Proxy},
};
use self::{connection::Slots, exchange::exchange};
use crate::RequestBody;

/// Sends requests over HTTP/1.1 connections of its own. Cheap to clone; clones share the connections.
///
/// It needs a tokio runtime with time and I/O enabled. Dropping the last clone closes idle connections at once, and
/// those in use with the requests that use them.
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

impl Service<Request<RequestBody>> for Stack {
    type Response = Response<AnswerBody>;
    type Error = StackError;
    type Future = BoxFuture<'static, Result<Self::Response, StackError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StackError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let (slots, timeouts) = (self.slots.clone(), self.timeouts);
        Box::pin(async move { exchange(&slots, &timeouts, request).await })
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}
