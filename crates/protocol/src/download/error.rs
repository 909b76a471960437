//! How a download can end without its bytes.

use std::time::Duration;

use super::WrongContent;
use crate::{
    error::{ApiError, Garbled, ResponseError},
    machine::SaveError,
    transport::Failure,
    upload::spoken,
};

/// A download that ended before everything was there.
///
/// ```
/// use partwise_protocol::download::DownloadError;
///
/// fn advice(error: &DownloadError) -> &'static str {
///     match error {
///         DownloadError::Changed { .. } => "start over: the file is another one by now",
///         DownloadError::WrongContent(_) => "what came is not the file",
///         error if error.is_resumable() => "resume from the last checkpoint",
///         _ => "start over",
///     }
/// }
///
/// assert_eq!(advice(&DownloadError::Stopped { cause: None }), "resume from the last checkpoint");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The service said no, or said it too often.
    #[error("the service refused")]
    Rejected(#[source] Box<ApiError>),
    /// The service could not be asked, or the answer was interrupted, too often.
    #[error(transparent)]
    Failed(Failure),
    /// The service could not be reached for too long.
    #[error("the service could not be reached for {}", spoken(*after))]
    Away {
        /// The time since the first failure behind the last answer.
        after: Duration,
        /// How the last request of this download failed.
        #[source]
        cause: Option<Box<DownloadError>>,
    },
    /// The service's answer cannot be read.
    #[error(transparent)]
    Garbled(Box<Garbled>),
    /// The file on the service is not the one whose first bytes were downloaded.
    #[error("the file changed while it was downloaded: {difference}")]
    Changed {
        /// What differs, in words.
        difference: String,
    },
    /// What came is not the file.
    #[error(transparent)]
    WrongContent(WrongContent),
    /// What was written cannot be made durable, or the checkpoint that says so.
    #[error("what was received cannot be kept")]
    Save(#[source] SaveError),
    /// The caller stopped it for now.
    #[error("the download was stopped")]
    Stopped {
        /// How the last request failed, when nothing came after it.
        #[source]
        cause: Option<Box<DownloadError>>,
    },
}

impl From<ResponseError> for DownloadError {
    fn from(error: ResponseError) -> Self {
        match error {
            ResponseError::Rejected(refusal) => Self::Rejected(refusal),
            ResponseError::Garbled(garbled) => Self::Garbled(garbled),
        }
    }
}

impl DownloadError {
    /// Whether resuming from the last checkpoint may still finish this download. A file that is not found may be found with
    /// another key.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        match self {
            Self::Changed { .. } => false,
            Self::WrongContent(wrong) => wrong.is_after_content,
            _ => true,
        }
    }
}
