//! What can go wrong when an operation is executed or a file uploaded.

mod display;
mod kind;
mod transfer;

pub use self::{kind::ErrorKind, transfer::TransferError};

use partwise_models::File;
use partwise_protocol::{
    download::{DownloadError, DownloadResumeError, WrongContent},
    error::{ApiError, EncodeError, Garbled, ResponseError},
    transport::{Failure, FailureKind, SourceError},
    upload::{PlanError, ResumeError, UploadError},
};

use partwise_net::BoxError;

use crate::{CheckpointDirError, DownloadPathError};

/// An operation, a download or an upload that did not succeed.
///
/// `Display` says what failed and, when the service answered, the answer: its status, its code and its message. All other causes
/// are in [`source`](std::error::Error::source), and none of them repeats what `Display` says, so a chain can be printed as it is:
///
/// ```
/// use std::error::Error as _;
///
/// use partwise::{Error, protocol::error::ApiError};
///
/// let rejection = ApiError::new(http::StatusCode::NOT_FOUND, "No such File object: file-1");
/// let error = Error::Rejected(Box::new(rejection));
/// assert_eq!(error.to_string(), "the service refused: 404 Not Found: No such File object: file-1");
/// assert!(error.source().is_none());
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// What was asked for cannot be sent: the input is wrong.
    Encode(EncodeError),
    /// The service answered no.
    Rejected(Box<ApiError>),
    /// The service answered yes, with something that cannot be read.
    Garbled(Box<Garbled>),
    /// There was no answer.
    Failed(Failure),
    /// The source cannot be read.
    Source(SourceError),
    /// The plan does not suit this file and service.
    Plan(PlanError),
    /// The checkpoint does not suit this file and service.
    Resume(ResumeError),
    /// The directory of unfinished uploads cannot be used.
    CheckpointDir(CheckpointDirError),
    /// The checkpoint of an earlier run cannot be read.
    Checkpoint(std::io::Error),
    /// An earlier run sent the request that makes the file and had no answer, and the source has changed since, or is one of which an
    /// earlier release recorded too little to tell. The service may have a file of the earlier content; nothing was sent. Starting over
    /// uploads the source as it is.
    AmbiguousCheckpoint {
        /// What differs, or keeps the source from being compared, in words.
        difference: String,
    },
    /// The upload ended without a file.
    Upload(TransferError<UploadError>),
    /// A download to a target ended before everything was there.
    Download(TransferError<DownloadError>),
    /// Nothing can be written at the path of a download.
    DownloadPath(DownloadPathError),
    /// The checkpoint does not suit this download.
    DownloadResume(DownloadResumeError),
    /// The target of a download cannot be written.
    Target(TransferError<std::io::Error>),
    /// A download ended before its end, or went on behind it.
    WrongLength {
        /// What the service announced.
        announced: u64,
        /// What came.
        received: u64,
    },
    /// The content is longer than the caller wanted to have in memory.
    TooLong {
        /// The limit in bytes.
        limit: u64,
    },
    /// What came is not the file.
    WrongContent(WrongContent),
    /// The service was not ready with the file in time.
    StillProcessing {
        /// The file as the service had it last.
        file: Box<File>,
        /// How long it was waited for.
        after: std::time::Duration,
    },
    /// The service has not processed the file: it has rejected the content, or deleted the file, or does not say.
    NotProcessed {
        /// The file as the service had it last.
        file: Box<File>,
    },
    /// The caller's time was over: the [limit of a call](crate::Client::with_timeout), or the one of an upload or a download.
    TimedOut {
        /// The caller's limit.
        limit: std::time::Duration,
        /// How the latest attempt of a call failed, if one did; of an upload or a download, how it stopped.
        cause: Option<Box<Error>>,
    },
    /// The system has no random numbers.
    Entropy(getrandom::Error),
}

/// Wraps an error of another layer.
macro_rules! wrap {
    ($($error:ident => $variant:ident,)*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}

wrap! {
    EncodeError => Encode,
    Failure => Failed,
    SourceError => Source,
    PlanError => Plan,
    ResumeError => Resume,
    CheckpointDirError => CheckpointDir,
    DownloadPathError => DownloadPath,
    DownloadResumeError => DownloadResume,
    WrongContent => WrongContent,
}

impl From<ResponseError> for Error {
    fn from(error: ResponseError) -> Self {
        match error {
            ResponseError::Rejected(refusal) => Self::Rejected(refusal),
            ResponseError::Garbled(garbled) => Self::Garbled(garbled),
            other => Self::Failed(Failure::with_cause(FailureKind::Other, other)),
        }
    }
}

impl Error {
    pub(crate) fn target(cause: std::io::Error) -> Self {
        Self::Target(cause.into())
    }

    /// The same error, of a run of which a checkpoint is kept or is not.
    pub(crate) fn with_checkpoint(mut self, has_checkpoint: bool) -> Self {
        self.set_checkpoint(has_checkpoint);
        self
    }

    fn set_checkpoint(&mut self, has_checkpoint: bool) {
        match self {
            Self::Upload(error) => error.set_checkpoint(has_checkpoint),
            Self::Download(error) => error.set_checkpoint(has_checkpoint),
            Self::Target(error) => error.set_checkpoint(has_checkpoint),
            Self::TimedOut { cause: Some(stopped), .. } => stopped.set_checkpoint(has_checkpoint),
            _ => {}
        }
    }
}

impl From<UploadError> for Error {
    fn from(error: UploadError) -> Self {
        Self::Upload(error.into())
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
