//! What can go wrong between a request and its answer.

use std::time::Duration;

use super::connect::ConnectError;

/// A request that this stack could not finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// No connection came about, so the request has certainly not left.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The peer takes nothing more.
    #[error("the service took nothing for {} s", after.as_secs_f32())]
    Stalled {
        /// How long nothing could be written.
        after: Duration,
    },
    /// Everything has left, and no answer came; or the answer stopped in its middle.
    #[error("the service answered nothing for {} s", after.as_secs_f32())]
    NoAnswer {
        /// How long nothing was read.
        after: Duration,
    },
    /// What listens there speaks TLS, and the URL says http.
    #[error("{at} speaks TLS: is it an https:// address?")]
    SpeaksTls {
        /// Host and port.
        at: String,
    },
    /// What listens there speaks another protocol: nothing that looks like HTTP ever came from there.
    #[error("what listens at {at} does not speak HTTP")]
    NotHttp {
        /// Host and port.
        at: String,
        /// What could not be read; none when it spoke before anything was sent to it.
        source: Option<hyper::Error>,
    },
    /// The peer closed a new connection before it took anything, so the request has certainly not left.
    #[error("the connection to {at} was closed before the request was sent")]
    ClosedBeforeSending {
        /// Host and port.
        at: String,
        /// How it ended, when that was no ordinary end.
        source: Option<hyper::Error>,
    },
    /// What came is no answer, and yet it came from where HTTP is spoken, or from whoever has a certificate for this
    /// host: the service may have acted.
    #[error("what {at} answered cannot be read")]
    Garbled {
        /// Host and port.
        at: String,
        /// What could not be read.
        source: hyper::Error,
    },
    /// The connection ended before the answer did.
    #[error("the connection to {at} was closed before the answer was complete")]
    Interrupted {
        /// Host and port.
        at: String,
        /// How it ended: hyper's error, or the socket's where the answer was read without hyper.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The body could not be made; the cause is the source's.
    #[error("the request's body could not be read")]
    Body(#[source] hyper::Error),
    /// Anything else in HTTP itself.
    #[error("the request could not be sent")]
    Exchange(#[source] hyper::Error),
    /// The caller had stopped the body before it was sent; nothing has left.
    #[error("the request was stopped before it was sent")]
    Stopped,
    /// The runtime is shutting down.
    #[error("the client is closed")]
    Closed,
}
