//! How a transfer can end without a file.

use std::time::Duration;

use partwise_models::{File, UploadStatus};

use super::{SaveError, SourceError};
use crate::{
    error::{ApiError, EncodeError, Garbled},
    operations::OperationId,
    transport::Failure,
};

/// A transfer that ended without a file, or without knowing of one.
///
/// ```
/// use partwise_protocol::upload::UploadError;
///
/// fn advice(error: &UploadError) -> &'static str {
///     match error {
///         UploadError::SourceChanged { .. } => "upload the file again",
///         UploadError::CompletionUnknown { .. } => "look into the list of files, then resume",
///         UploadError::Stopped { .. } => "resume when you like",
///         error if error.is_resumable() => "resume from the last checkpoint",
///         _ => "start over",
///     }
/// }
///
/// let changed = UploadError::SourceChanged { difference: "it was modified".to_owned(), file: None };
/// assert_eq!(advice(&changed), "upload the file again");
/// assert_eq!(changed.to_string(), "the source changed while it was uploaded: it was modified");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// The service said no, or said it too often.
    #[error("{operation} was refused")]
    Rejected {
        /// What was refused.
        operation: OperationId,
        /// What the service said.
        source: Box<ApiError>,
    },
    /// The service could not be asked, too often.
    #[error("{operation} failed")]
    Failed {
        /// What failed.
        operation: OperationId,
        /// The last failure.
        source: Failure,
    },
    /// The service could not be reached for too long.
    #[error("the service could not be reached for {}", spoken(*after))]
    Away {
        /// The time since the first failure behind the last answer.
        after: Duration,
        /// How the last request of this upload failed.
        #[source]
        cause: Option<Box<UploadError>>,
    },
    /// The service's answers are none of this API.
    #[error("{operation} got an answer that cannot be read")]
    Garbled {
        /// What was answered so.
        operation: OperationId,
        /// The answer.
        source: Box<Garbled>,
    },
    /// A request could not be built.
    #[error("{operation} cannot be sent")]
    Encode {
        /// What could not be built.
        operation: OperationId,
        /// Why.
        source: EncodeError,
    },
    /// The source could not be read.
    #[error(transparent)]
    Source(SourceError),
    /// The source is not what it was when the transfer began.
    #[error("the source changed while it was uploaded: {difference}")]
    SourceChanged {
        /// What differs, in words.
        difference: String,
        /// The file that was made of it anyway: a single request cannot be stopped before its end.
        file: Option<Box<File>>,
    },
    /// The service made a file of another size than was sent: it has stored something else.
    #[error("the service made {} with {} bytes, and {sent} were sent", file.id, file.bytes.unwrap_or_default())]
    WrongSize {
        /// The file that the service made.
        file: Box<File>,
        /// How many bytes the source has.
        sent: u64,
    },
    /// The service made a file before it can have had the whole source.
    #[error("the service made {} before it had the whole request ({left} of {length} bytes)", file.id)]
    AnsweredEarly {
        /// The file that the service made.
        file: Box<File>,
        /// How many bytes of the request had left at most.
        left: u64,
        /// How many bytes the request has.
        length: u64,
    },
    /// The service stored the file and rejected its content: its status is `error`.
    #[error("the service rejected the content: {}", file.status_details.as_deref().unwrap_or("it does not say why"))]
    ContentRejected {
        /// The file with its status.
        file: Box<File>,
    },
    /// The source may have changed while it was sent, and it cannot be told whether what was sent is what it is now: the
    /// service does not serve the content of the file that it made, it rejected the MD5, or the source keeps changing.
    #[error("the file may have changed while it was uploaded{}", compared(file.as_deref()))]
    Unproven {
        /// The file that the service made; `None` when it made none.
        file: Option<Box<File>>,
        /// Why it cannot be told, when there is more to say.
        #[source]
        cause: Option<Box<UploadError>>,
    },
    /// A checkpoint could not be saved, so going on would risk a second file after a crash.
    #[error(transparent)]
    Save(SaveError),
    /// The upload expired before all parts were there.
    #[error("the upload expired before it was complete{}", rates(*measured, *needed))]
    Expired {
        /// The source's length in bytes.
        length: u64,
        /// The rate of this run in bytes per second; `None` when too little was sent to say.
        measured: Option<u64>,
        /// The rate in bytes per second that sends the whole source while an upload lives; `None` when it is not known how
        /// long that is.
        needed: Option<u64>,
    },
    /// The caller stopped it for now.
    #[error("the upload was stopped")]
    Stopped {
        /// How the last attempt failed, when nothing succeeded after it.
        #[source]
        cause: Option<Box<UploadError>>,
    },
    /// The caller cancelled.
    #[error("{}", cancelled(*confirmed, *file_possible))]
    Cancelled {
        /// Whether the service has no open upload any more: it said so, or it never had one. Otherwise it could not be
        /// told, and the upload stays open there until it expires.
        confirmed: bool,
        /// Whether the request that makes the file had been sent and its fate is not known.
        file_possible: bool,
    },
    /// The request that makes the file was sent and its fate cannot be found out.
    #[error("it is not known whether the service made a file: {}", found(candidates.as_deref()))]
    CompletionUnknown {
        /// The upload, when the file went in parts.
        upload_id: Option<String>,
        /// Files in the service's list that may be it; `None` when the list cannot be read.
        candidates: Option<Vec<File>>,
        /// Why its fate became unknown.
        #[source]
        cause: Option<Box<UploadError>>,
    },
}

/// A time in minutes, or in seconds where it is short.
pub(crate) fn spoken(time: Duration) -> String {
    match time.as_secs() {
        1 => "1 second".to_owned(),
        seconds @ ..120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds / 60),
    }
}

/// Says that the rate was too low, if it was.
fn rates(measured: Option<u64>, needed: Option<u64>) -> String {
    match (measured, needed) {
        (Some(measured), Some(needed)) if measured < needed => format!(
            ": {} were measured, and {} are needed",
            rate(measured, |tenths, unit| tenths / unit),
            rate(needed, u64::div_ceil)
        ),
        _ => String::new(),
    }
}

/// A rate for people, in tenths of a unit; `round` keeps one that is too low from reading like the one that is needed.
fn rate(bytes: u64, round: fn(u64, u64) -> u64) -> String {
    let units = [("GB/s", 1_000_000_000), ("MB/s", 1_000_000), ("kB/s", 1000)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        None => format!("{bytes} B/s"),
        Some((name, unit)) => {
            let tenths = round(bytes, unit / 10);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
    }
}

fn cancelled(confirmed: bool, file_possible: bool) -> &'static str {
    match (confirmed, file_possible) {
        (true, false) => "the upload was cancelled",
        (true, true) => "the upload was cancelled, but the service may have made a file of it before",
        (false, false) => "the upload was given up, but the service did not say that it is cancelled",
        (false, true) => {
            "the upload was given up, but the service did not say that it is cancelled, and may have made a file of it before"
        }
    }
}

fn compared(file: Option<&File>) -> String {
    file.map(|file| format!(", and {} cannot be compared with it", file.id)).unwrap_or_default()
}

fn found(candidates: Option<&[File]>) -> String {
    match candidates {
        None => "its list cannot be read".to_owned(),
        Some([]) => "none in its list matches".to_owned(),
        Some([_]) => "one in its list may be it".to_owned(),
        Some(several) => format!("{} in its list may be it", several.len()),
    }
}

impl UploadError {
    /// The source could not be read, or found that it has changed.
    pub(super) fn of_source(error: SourceError) -> Self {
        match error.difference() {
            Some(difference) => Self::SourceChanged { difference: difference.to_owned(), file: None },
            None => Self::Source(error),
        }
    }

    /// The source may have changed, and the service made no file of it.
    pub(super) fn unproven(cause: Self) -> Self {
        Self::Unproven { file: None, cause: Some(Box::new(cause)) }
    }

    /// Whether resuming from the last checkpoint may still finish this transfer.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        match self {
            // There is no such upload any more. A bare 404 does not say so: another key, project or tenant gets one too.
            Self::Rejected { source, .. }
                if matches!(
                    source.upload_status(),
                    Some(UploadStatus::Expired | UploadStatus::Cancelled)
                ) =>
            {
                false
            }
            // All parts are there, and the service says that they do not make the file.
            Self::Rejected { operation: OperationId::CompleteUpload, source } => !source.is_about_md5(),
            Self::Rejected { .. }
            | Self::Failed { .. }
            | Self::Away { .. }
            | Self::Garbled { .. }
            | Self::Source(_)
            | Self::Save(_)
            | Self::Stopped { .. }
            | Self::Unproven { .. }
            | Self::CompletionUnknown { .. } => true,
            // It is kept to be cancelled, or resumed after all.
            Self::Cancelled { confirmed, .. } => !confirmed,
            Self::Encode { .. }
            | Self::SourceChanged { .. }
            | Self::WrongSize { .. }
            | Self::AnsweredEarly { .. }
            | Self::ContentRejected { .. }
            | Self::Expired { .. } => false,
        }
    }
}
