//! What can go wrong when an operation is executed or a file uploaded.

mod kind;

pub use self::kind::ErrorKind;

use partwise_models::{File, FileState};
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
    /// The directory of unfinished uploads cannot be used.
    #[error(transparent)]
    CheckpointDir(#[from] CheckpointDirError),
    /// The checkpoint of an earlier run cannot be read.
    #[error("the checkpoint of an earlier run cannot be read")]
    Checkpoint(#[source] std::io::Error),
    /// The upload ended without a file.
    #[error(transparent)]
    Upload(Box<UploadError>),
    /// A download to a target ended before everything was there.
    #[error(transparent)]
    Download(Box<DownloadError>),
    /// Nothing can be written at the path of a download.
    #[error(transparent)]
    DownloadPath(#[from] DownloadPathError),
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
    /// The content is longer than the caller wanted to have in memory.
    #[error("the content is longer than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: u64,
    },
    /// What came is not the file.
    #[error(transparent)]
    WrongContent(#[from] WrongContent),
    /// The service was not ready with the file in time.
    #[error("the service has not processed {} within {} s", file.id, after.as_secs())]
    StillProcessing {
        /// The file as the service had it last.
        file: Box<File>,
        /// How long it was waited for.
        after: std::time::Duration,
    },
    /// The service has not processed the file: it has rejected the content, or deleted the file.
    #[error("{}", not_processed(file))]
    NotProcessed {
        /// The file as the service had it last.
        file: Box<File>,
    },
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    Entropy(#[source] getrandom::Error),
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

fn not_processed(file: &File) -> String {
    let id = &file.id;
    match (&file.status, file.status_details.as_deref()) {
        (Some(FileState::Error), Some(details)) => {
            format!("the service rejected the content of {id}: {details}")
        }
        (Some(FileState::Error), None) => {
            format!("the service rejected the content of {id} and does not say why")
        }
        (Some(state), _) => format!("the service has not processed {id}: its status is {}", state.as_str()),
        (None, _) => format!("the service does not say whether it has processed {id}"),
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
