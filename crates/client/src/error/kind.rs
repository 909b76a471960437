//! The kinds of errors, for callers who decide by them.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use partwise_protocol::{
    download::DownloadError,
    error::{ApiError, ApiErrorKind},
    retry::RetryAfter,
    transport::FailureKind,
    upload::UploadError,
};

use super::Error;
use crate::{CheckpointDirError, DownloadPathError};

/// What an [`Error`] means, whichever layer it comes from.
///
/// ```
/// use partwise::{Error, ErrorKind};
///
/// fn advice(error: &Error) -> &'static str {
///     match error.kind() {
///         ErrorKind::NotFound => "check the identifier",
///         ErrorKind::RateLimited | ErrorKind::Unavailable => "try again later",
///         ErrorKind::Connect => "the service never saw the request",
///         ErrorKind::Timeout | ErrorKind::Interrupted => "the service may have executed the request",
///         _ if error.is_resumable() => "resume from the checkpoint",
///         _ => "give up",
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is wrong: nothing was sent.
    InvalidInput,
    /// The service rejected the request as wrong: 400 and the like.
    Rejected,
    /// The key or token is missing or wrong: 401.
    Unauthorized,
    /// The key or token is not allowed to do this: 403.
    Forbidden,
    /// There is no such file or upload, for this key: 404.
    NotFound,
    /// The file or upload is in another state than the request needs: 409.
    Conflict,
    /// The body is too large for the service (413), or the content for the caller.
    TooLarge,
    /// Too many requests for now: 429.
    RateLimited,
    /// The account's quota is used up; waiting does not help.
    QuotaExhausted,
    /// The service failed: 5xx.
    Unavailable,
    /// No connection to the service came about, so it has certainly not seen the request.
    Connect,
    /// The connection ended before the answer was complete; the service may have executed the request.
    Interrupted,
    /// Nothing moved for too long, or the caller's time was over; the service may have executed the request.
    Timeout,
    /// The request could not be sent, and sending it again would not change that: no credential, no such host, a certificate
    /// that is not trusted, plain http.
    Unsent,
    /// The answer is none of this API.
    Garbled,
    /// The source cannot be read.
    Source,
    /// The source is not what it was when the upload began, or it cannot be told whether it is.
    SourceChanged,
    /// The target of a download, or a checkpoint, cannot be written.
    Storage,
    /// Another process is at work on the same upload or download.
    InUse,
    /// The checkpoint does not suit this source, file or service.
    Checkpoint,
    /// The content is not the file's: another length, a page in its place, another file behind the same identifier.
    WrongContent,
    /// The service stored the file and rejected its content, or did not process it.
    NotProcessed,
    /// It is not known whether the service made a file.
    CompletionUnknown,
    /// The upload expired before it was complete.
    Expired,
    /// The caller stopped the upload or download, which can be resumed.
    Stopped,
    /// The caller cancelled the upload.
    Cancelled,
    /// None of these.
    Other,
}

impl From<ApiErrorKind> for ErrorKind {
    fn from(kind: ApiErrorKind) -> Self {
        match kind {
            ApiErrorKind::Invalid => Self::Rejected,
            ApiErrorKind::Unauthorized => Self::Unauthorized,
            ApiErrorKind::Forbidden => Self::Forbidden,
            ApiErrorKind::NotFound => Self::NotFound,
            ApiErrorKind::Conflict => Self::Conflict,
            ApiErrorKind::TooLarge => Self::TooLarge,
            ApiErrorKind::RateLimited => Self::RateLimited,
            ApiErrorKind::QuotaExhausted => Self::QuotaExhausted,
            ApiErrorKind::Failed => Self::Unavailable,
            _ => Self::Other,
        }
    }
}

impl From<FailureKind> for ErrorKind {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Connect => Self::Connect,
            FailureKind::Interrupted => Self::Interrupted,
            FailureKind::Timeout => Self::Timeout,
            FailureKind::AnswerTooLong => Self::Garbled,
            FailureKind::Source => Self::Source,
            FailureKind::Unsent => Self::Unsent,
            _ => Self::Other,
        }
    }
}

impl Error {
    /// What the error means for the caller.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        if let Some(rejection) = self.rejection() {
            return rejection.kind().into();
        }
        if let Some(failure) = self.failure() {
            return failure.into();
        }
        match self {
            Self::Encode(_) | Self::Plan(_) => ErrorKind::InvalidInput,
            Self::TooLong { .. } => ErrorKind::TooLarge,
            Self::Garbled(_) => ErrorKind::Garbled,
            Self::Source(_) => ErrorKind::Source,
            Self::Resume(_) | Self::DownloadResume(_) | Self::Checkpoint(_) => ErrorKind::Checkpoint,
            Self::CheckpointDir(CheckpointDirError::InUse { .. })
            | Self::DownloadPath(DownloadPathError::InUse { .. }) => ErrorKind::InUse,
            Self::Target(_) | Self::CheckpointDir(_) | Self::DownloadPath(_) => ErrorKind::Storage,
            Self::WrongLength { .. } | Self::WrongContent(_) => ErrorKind::WrongContent,
            Self::NotProcessed { .. } => ErrorKind::NotProcessed,
            Self::StillProcessing { .. } | Self::TimedOut { .. } => ErrorKind::Timeout,
            Self::AmbiguousCheckpoint { .. } => ErrorKind::CompletionUnknown,
            Self::Upload(error) => of_upload(error),
            Self::Download(error) => of_download(error),
            _ => ErrorKind::Other,
        }
    }

    /// The status of the service's answer, when it rejected the request.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.rejection().map(|rejection| rejection.status)
    }

    /// The service's name for the request that it rejected, which its support asks for.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.rejection().and_then(|rejection| rejection.request_id.as_deref())
    }

    /// How long the service asks to wait before the next request, as it said in its rejection.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.rejection()?.retry.after? {
            RetryAfter::Wait(wait) => Some(wait),
            RetryAfter::Until(until) => {
                let until = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(until.0))?;
                Some(until.duration_since(SystemTime::now()).unwrap_or_default())
            }
        }
    }

    /// Returns `true` if the upload or download may still be finished by resuming it from its last checkpoint, and there is one: without a
    /// store or a directory of checkpoints, and before the first one was saved, nothing is resumable. An upload that ends before all of its
    /// content was read counts the checkpoint of an earlier run that the same call would resume from.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        match self {
            Self::Upload(error) => error.is_resumable(),
            Self::Download(error) => error.is_resumable(),
            Self::Target(error) => error.is_resumable(),
            Self::TimedOut { cause: Some(stopped), .. } => stopped.is_resumable(),
            _ => false,
        }
    }

    /// The service's rejection, when that is how it ended.
    #[must_use]
    pub fn rejection(&self) -> Option<&ApiError> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Upload(error) => match &**error {
                UploadError::Rejected { source, .. } => Some(source),
                _ => None,
            },
            Self::Download(error) => match &**error {
                DownloadError::Rejected(rejection) => Some(rejection),
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

fn of_upload(error: &UploadError) -> ErrorKind {
    match error {
        UploadError::Away { .. } => ErrorKind::Connect,
        UploadError::Garbled { .. } => ErrorKind::Garbled,
        UploadError::Encode { .. } => ErrorKind::InvalidInput,
        UploadError::Source(_) => ErrorKind::Source,
        UploadError::SourceChanged { .. } | UploadError::Unproven { .. } => ErrorKind::SourceChanged,
        UploadError::WrongSize { .. } | UploadError::AnsweredEarly { .. } => ErrorKind::WrongContent,
        UploadError::ContentRejected { .. } => ErrorKind::NotProcessed,
        UploadError::Save(_) => ErrorKind::Storage,
        UploadError::Expired { .. } => ErrorKind::Expired,
        UploadError::Stopped { .. } => ErrorKind::Stopped,
        UploadError::Cancelled { .. } => ErrorKind::Cancelled,
        UploadError::CompletionUnknown { .. } => ErrorKind::CompletionUnknown,
        _ => ErrorKind::Other,
    }
}

fn of_download(error: &DownloadError) -> ErrorKind {
    match error {
        DownloadError::Away { .. } => ErrorKind::Connect,
        DownloadError::Garbled(_) => ErrorKind::Garbled,
        DownloadError::Changed { .. } | DownloadError::WrongContent(_) => ErrorKind::WrongContent,
        DownloadError::Save(_) => ErrorKind::Storage,
        DownloadError::Stopped { .. } => ErrorKind::Stopped,
        _ => ErrorKind::Other,
    }
}
