//! The text of errors, and their causes.

use std::{error::Error as StdError, fmt};

use partwise_models::{File, FileState};
use partwise_protocol::{download::DownloadError, upload::UploadError};

use super::Error;

impl Error {
    /// The error of another layer that this one is.
    fn wrapped(&self) -> Option<&(dyn StdError + 'static)> {
        Some(match self {
            Self::Encode(error) => error,
            Self::Garbled(error) => &**error,
            Self::Failed(error) => error,
            Self::Source(error) => error,
            Self::Plan(error) => error,
            Self::Resume(error) => error,
            Self::CheckpointDir(error) => error,
            Self::Upload(error) => &**error,
            Self::Download(error) => &**error,
            Self::DownloadPath(error) => error,
            Self::WrongContent(error) => error,
            _ => return None,
        })
    }

    /// The answer of the service that ended it, which the layers below leave to their `source`.
    fn answer(&self) -> Option<&(dyn StdError + 'static)> {
        Some(match self {
            Self::Rejected(rejection) => &**rejection,
            Self::Upload(error) => match &**error {
                UploadError::Rejected { source, .. } => &**source,
                UploadError::Garbled { source, .. } => &**source,
                _ => return None,
            },
            Self::Download(error) => match &**error {
                DownloadError::Rejected(rejection) => &**rejection,
                _ => return None,
            },
            _ => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(_) => f.write_str("the service refused"),
            Self::Checkpoint(_) => f.write_str("the checkpoint of an earlier run cannot be read"),
            Self::AmbiguousCheckpoint { difference } => write!(
                f,
                "an earlier run may have made a file, and its checkpoint does not match the source: {difference}; look in the list of files, then start over"
            ),
            Self::DownloadResume(_) => f.write_str("the checkpoint does not suit this download"),
            Self::Target(_) => f.write_str("the target cannot be written"),
            Self::WrongLength { announced, received } => {
                write!(f, "the download has {received} bytes instead of {announced}")
            }
            Self::TooLong { limit } => write!(f, "the content is longer than {limit} bytes"),
            Self::StillProcessing { file, after } => {
                write!(f, "the service has not processed {} within {} s", file.id, after.as_secs())
            }
            Self::TimedOut { limit, .. } => write!(f, "there was no result within {limit:?}"),
            Self::NotProcessed { file } => not_processed(file, f),
            Self::Entropy(_) => f.write_str("the system gives no random numbers"),
            _ => self.wrapped().map_or(Ok(()), |error| write!(f, "{error}")),
        }?;
        self.answer().map_or(Ok(()), |answer| write!(f, ": {answer}"))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        if let Some(said) = self.answer().or_else(|| self.wrapped()) {
            return said.source();
        }
        match self {
            Self::Checkpoint(cause) => Some(cause),
            Self::Target(cause) => Some(&**cause),
            Self::DownloadResume(cause) => Some(cause),
            Self::TimedOut { cause: Some(cause), .. } => Some(&**cause),
            Self::Entropy(cause) => Some(cause),
            _ => None,
        }
    }
}

fn not_processed(file: &File, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let id = &file.id;
    match (&file.status, file.status_details.as_deref()) {
        (Some(FileState::Error), Some(details)) => {
            write!(f, "the service rejected the content of {id}: {details}")
        }
        (Some(FileState::Error), None) => {
            write!(f, "the service rejected the content of {id} and does not say why")
        }
        (Some(state), _) => write!(f, "the service has not processed {id}: its status is {}", state.as_str()),
        (None, _) => write!(f, "the service does not say whether it has processed {id}"),
    }
}
