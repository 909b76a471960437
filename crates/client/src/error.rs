//! What can go wrong when an operation is executed or a file uploaded.

use partwise_protocol::{
    download::{DownloadError, DownloadResumeError, WrongContent},
    error::{ApiError, EncodeError, Garbled, ResponseError},
    transport::{Failure, FailureKind, SourceError},
    upload::{PlanError, ResumeError, UploadError},
};

use partwise_net::BoxError;

/// An operation, a download or an upload that did not succeed.
///
/// `Display` speaks of its own layer alone; the causes are in [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was asked for cannot be sent: the input is wrong.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The service answered no.
    #[error("the service refused")]
    Refused(#[source] Box<ApiError>),
    /// The service answered yes, with something that cannot be read.
    #[error(transparent)]
    Garbled(Box<Garbled>),
    /// There was no answer.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The plan does not suit this file and service.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The checkpoint does not suit this file and service.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The upload ended without a file.
    #[error(transparent)]
    Upload(Box<UploadError>),
    /// A download to a target ended before everything was there.
    #[error(transparent)]
    Download(Box<DownloadError>),
    /// The checkpoint does not suit this download.
    #[error("the checkpoint does not suit this download")]
    DownloadResume(#[from] DownloadResumeError),
    /// The target of a download cannot be written.
    #[error("the target cannot be written")]
    Target(#[source] std::io::Error),
    /// A download ended before its end, or went on behind it.
    #[error("the download has {received} bytes instead of {announced}")]
    WrongLength {
        /// What the service announced.
        announced: u64,
        /// What came.
        received: u64,
    },
    /// What came is not the file.
    #[error(transparent)]
    WrongContent(#[from] WrongContent),
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    Entropy(#[source] getrandom::Error),
}

impl Error {
    /// What the service said, when it refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&ApiError> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Upload(error) => match &**error {
                UploadError::Refused { source, .. } => Some(source),
                _ => None,
            },
            Self::Download(error) => match &**error {
                DownloadError::Refused(refusal) => Some(refusal),
                _ => None,
            },
            _ => None,
        }
    }

    /// How the request failed, when there was no answer.
    #[must_use]
    pub fn failure(&self) -> Option<FailureKind> {
        match self {
            Self::Failed(failure) => Some(failure.kind),
            Self::Upload(error) => match &**error {
                UploadError::Failed { source, .. } => Some(source.kind),
                UploadError::Away { cause: Some(cause), .. } => match &**cause {
                    UploadError::Failed { source, .. } => Some(source.kind),
                    _ => None,
                },
                _ => None,
            },
            Self::Download(error) => match &**error {
                DownloadError::Failed(failure) => Some(failure.kind),
                DownloadError::Away { cause: Some(cause), .. } => match &**cause {
                    DownloadError::Failed(failure) => Some(failure.kind),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }
}

impl From<ResponseError> for Error {
    fn from(error: ResponseError) -> Self {
        match error {
            ResponseError::Refused(refusal) => Self::Refused(refusal),
            ResponseError::Garbled(garbled) => Self::Garbled(garbled),
            other => Self::Failed(Failure::with_cause(FailureKind::Other, other)),
        }
    }
}

impl From<UploadError> for Error {
    fn from(error: UploadError) -> Self {
        Self::Upload(Box::new(error))
    }
}

/// Why an attempt did not leave this machine: reported as the cause of a [`Failure`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Withheld {
    #[error("the key would go to {host} over plain http, where anyone on the way can read it: use https")]
    PlainHttp { host: String },
    #[error("there is no key or token to send")]
    NoCredential(#[source] BoxError),
}

impl From<Withheld> for Failure {
    fn from(withheld: Withheld) -> Self {
        Self::with_cause(FailureKind::Unsent, withheld)
    }
}
