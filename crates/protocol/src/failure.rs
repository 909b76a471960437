//! What a transport reports when there is no answer.

use std::{error::Error, fmt, sync::Arc};

use crate::SourceError;

/// A request that ended without an answer: the kind decides what is done about it, the cause is for people.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// What happened.
    pub kind: FailureKind,
    /// Why, when the transport knows.
    pub cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// The kinds of failure that a transport must tell apart.
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
        Self { kind, cause: None }
    }

    /// A failure with its cause.
    #[must_use]
    pub fn with_cause(kind: FailureKind, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, cause: Some(Arc::from(cause.into())) }
    }
}

/// The cause is the source's own, without a second "cannot be read" around it.
impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self { kind: FailureKind::Source, cause: Some(error.into_cause()) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
