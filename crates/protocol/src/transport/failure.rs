//! What a transport reports when there is no answer.

use std::{error::Error, fmt, io, sync::Arc};

use crate::transport::SourceError;

/// A request that ended without an answer: the kind decides what is done about it, the cause is for people.
///
/// ```
/// use partwise_protocol::transport::{Failure, FailureKind};
///
/// // 700 bytes of the body had been handed to the system when the connection was reset.
/// let failure = Failure::with_cause(FailureKind::Interrupted, "connection reset by peer").with_left(700);
/// assert!(!failure.may_have_arrived(1000));
/// // A transport that does not count cannot exclude that everything arrived.
/// assert!(Failure::new(FailureKind::Interrupted).may_have_arrived(1000));
/// // Without a connection nothing can have arrived.
/// assert_eq!(Failure::new(FailureKind::Connect).left, Some(0));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// What happened.
    pub kind: FailureKind,
    /// Why, when the transport knows.
    pub cause: Option<Arc<dyn Error + Send + Sync>>,
    /// An upper bound of the body bytes that may have reached the peer, final when the failure is reported: no byte
    /// leaves afterwards. `None` when the transport does not count, so that all of them may have arrived.
    pub left: Option<u64>,
    /// The host to which the service had redirected the request, where the failure is that host's: it says nothing of the
    /// service, which has answered.
    pub redirected_to: Option<String>,
}

/// The kinds of failure that a transport must tell apart.
///
/// ```
/// use std::io;
///
/// use partwise_protocol::transport::FailureKind;
///
/// let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
/// assert_eq!(FailureKind::of(&refused), Some(FailureKind::Connect));
/// assert!(FailureKind::Interrupted.is_transient());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// No connection came about, so the service has certainly not seen the request.
    Connect,
    /// The connection broke after the request may have been seen, or what came back from the service is no HTTP.
    Interrupted,
    /// Nothing moved for too long, or the answer did not come.
    Timeout,
    /// The answer was longer than the limit that came with the request.
    AnswerTooLong,
    /// The source could not be read while it was sent.
    Source,
    /// The request reached nothing that could act on it, and sending it again would not change that: there is no
    /// credential, the host does not exist, its certificate is not trusted, what listens there does not speak HTTP.
    Unsent,
    /// Anything else; taken for final, and for something that the service may have acted on.
    Other,
}

impl FailureKind {
    /// Its name in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Interrupted => "interrupted",
            Self::Timeout => "timeout",
            Self::AnswerTooLong => "answer_too_long",
            Self::Source => "source",
            Self::Unsent => "unsent",
            Self::Other => "other",
        }
    }

    /// What one error means, its causes left aside: a [`Failure`], a [`SourceError`] or an [`io::Error`]; `None` for all others.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return Some(failure.kind);
        }
        if error.is::<SourceError>() {
            return Some(Self::Source);
        }
        error.downcast_ref().and_then(Self::of_io)
    }

    fn of_io(error: &io::Error) -> Option<Self> {
        match error.kind() {
            // Only the opening of a connection ends so.
            io::ErrorKind::ConnectionRefused | io::ErrorKind::AddrNotAvailable => Some(Self::Connect),
            // The second is how a blocking socket says that the time is over.
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Some(Self::Timeout),
            // The last three also end connections that stood, when the way to the peer is gone for too long: by then the
            // service may have acted.
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::WriteZero
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown => Some(Self::Interrupted),
            _ => None,
        }
    }

    /// Whether the same request may work a moment later.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Connect | Self::Interrupted | Self::Timeout)
    }

    /// Whether the service has certainly not seen the request.
    #[must_use]
    pub fn is_before_sending(self) -> bool {
        matches!(self, Self::Connect | Self::Unsent)
    }
}

impl Failure {
    /// A failure without a cause.
    #[must_use]
    pub fn new(kind: FailureKind) -> Self {
        Self { kind, cause: None, left: kind.is_before_sending().then_some(0), redirected_to: None }
    }

    /// A failure with its cause.
    #[must_use]
    pub fn with_cause(kind: FailureKind, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: Some(Arc::from(cause.into())), ..Self::new(kind) }
    }

    /// Finds out what kind of failure an error is by looking through its causes. A [`SourceError`] among them is what happened; a
    /// [`Failure`] is believed; of the others the outermost that `kind_of` knows decides, and what it does not know at all is
    /// [`FailureKind::Other`]. [`FailureKind::of`] knows the errors of the standard library; a transport adds its own.
    ///
    /// ```
    /// use std::io;
    ///
    /// use partwise_protocol::transport::{Failure, FailureKind};
    ///
    /// let reset = io::Error::from(io::ErrorKind::ConnectionReset);
    /// let failure = Failure::of(io::Error::other(reset).into(), FailureKind::of);
    /// assert_eq!(failure.kind, FailureKind::Interrupted);
    /// ```
    #[must_use]
    pub fn of(
        error: Box<dyn Error + Send + Sync>,
        kind_of: impl Fn(&(dyn Error + 'static)) -> Option<FailureKind>,
    ) -> Self {
        // That a body broke off is not worth telling when it is the source that did.
        if let Some(error) = causes(&*error).find_map(|cause| cause.downcast_ref::<SourceError>()) {
            return error.clone().into();
        }
        let error = match error.downcast::<Self>() {
            Ok(failure) => return *failure,
            Err(error) => error,
        };
        let known = causes(&*error).find_map(|cause| cause.downcast_ref::<Self>()).cloned();
        let kind = || causes(&*error).find_map(&kind_of).unwrap_or(FailureKind::Other);
        let mut failure = known.unwrap_or_else(|| Self::new(kind()));
        failure.cause = Some(error.into());
        failure
    }

    /// The same failure, of whose request at most this many body bytes have left.
    #[must_use]
    pub fn with_left(self, left: u64) -> Self {
        Self { left: Some(left), ..self }
    }

    /// The same failure, of another host to which the service had redirected the request. A connection that did not come about
    /// there is an interruption of what the service had begun.
    #[must_use]
    pub fn behind_redirect(self, host: impl Into<String>) -> Self {
        let kind = match self.kind {
            FailureKind::Connect => FailureKind::Interrupted,
            kind => kind,
        };
        Self { kind, redirected_to: Some(host.into()), ..self }
    }

    /// Whether a whole body of `length` bytes may have reached the service, so that it may have acted on it.
    #[must_use]
    pub fn may_have_arrived(&self, length: u64) -> bool {
        may_have_arrived(self.left, length)
    }
}

/// An error and its causes, the outermost first. An [`io::Error`] names the cause of what it holds, and not that itself; here it
/// is one too.
///
/// ```
/// use std::io;
///
/// use partwise_protocol::transport::causes;
///
/// let error = io::Error::other(io::Error::from(io::ErrorKind::TimedOut));
/// let kinds: Vec<_> = causes(&error).filter_map(|cause| cause.downcast_ref()).map(io::Error::kind).collect();
/// assert_eq!(kinds, [io::ErrorKind::Other, io::ErrorKind::TimedOut]);
/// ```
pub fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        }
    })
}

/// Whether a whole body of `length` bytes may have arrived when at most `left` bytes of it have left.
pub(crate) fn may_have_arrived(left: Option<u64>, length: u64) -> bool {
    left.is_none_or(|left| left >= length)
}

/// The cause is the source's own, without a second "cannot be read" around it.
impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self { cause: Some(error.into_cause()), ..Self::new(FailureKind::Source) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.redirected_to, self.kind) {
            (Some(host), FailureKind::Interrupted) => {
                return write!(f, "the connection to {host}, to which the service redirected, failed");
            }
            (Some(host), FailureKind::Timeout) => {
                return write!(f, "{host}, to which the service redirected, did not answer for too long");
            }
            _ => {}
        }
        f.write_str(match self.kind {
            FailureKind::Connect => "the service could not be reached",
            FailureKind::Interrupted => "the connection broke",
            FailureKind::Timeout => "the service did not answer or take anything for too long",
            FailureKind::AnswerTooLong => "the answer is too long to be one of this API",
            FailureKind::Source => "the source could not be read",
            FailureKind::Unsent => "the request could not be sent",
            FailureKind::Other => "the request failed",
        })
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}
