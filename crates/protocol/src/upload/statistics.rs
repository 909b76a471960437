//! What a transfer took so far, in numbers.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::Retry;
use crate::{
    error::ApiError,
    operations::OperationId,
    transport::{Failure, FailureKind},
};

/// What one run took. A resumed transfer starts over: nothing of this is in a checkpoint.
///
/// As JSON, the names are those of the fields, and times are whole milliseconds under a name that ends in `_ms`.
///
/// ```
/// use partwise_protocol::upload::Statistics;
///
/// fn summary(statistics: &Statistics) -> String {
///     let reasons = statistics.retries.by_reason().into_iter().filter(|(_, count)| *count > 0);
///     let reasons: Vec<_> = reasons.map(|(reason, count)| format!("{} {}", count, reason.as_str())).collect();
///     format!("{} requests, retried: {reasons:?}", statistics.attempts.total)
/// }
///
/// assert_eq!(summary(&Statistics::default()), "0 requests, retried: []");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Statistics {
    /// Requests that left.
    pub attempts: Attempts,
    /// Requests that were asked for again, by what had become of them.
    pub retries: Retries,
    /// The number of answers by which the service was overloaded: 429, 503.
    pub overloads: u64,
    /// Body bytes that left: forms, JSON, and content that was sent again or in vain.
    pub bytes_sent: u64,
    /// Bytes of content that the service acknowledged during this run.
    pub bytes_acknowledged: u64,
    /// How long nothing was sent because the service was overloaded. In JSON `held_ms`.
    #[serde(rename = "held_ms", serialize_with = "milliseconds")]
    pub held: Duration,
    /// How long single requests were put off after a failure while others went on, added up: more than the time that
    /// passed, when several wait at once. Counted when the wait begins. In JSON `backed_off_ms`.
    #[serde(rename = "backed_off_ms", serialize_with = "milliseconds")]
    pub backed_off: Duration,
    /// How long the machine waited between two looks into the service's list. Counted when the wait begins. In JSON
    /// `settling_ms`.
    #[serde(rename = "settling_ms", serialize_with = "milliseconds")]
    pub settling: Duration,
}

impl Statistics {
    /// All waits together.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.held.saturating_add(self.backed_off).saturating_add(self.settling)
    }
}

/// Requests that left, in all and by operation.
///
/// ```
/// use partwise_protocol::upload::Statistics;
///
/// let attempts = Statistics::default().attempts;
/// assert_eq!((attempts.add_upload_part, attempts.total), (0, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Attempts {
    /// The sum of the others.
    pub total: u64,
    /// `POST /uploads`.
    pub create_upload: u64,
    /// `POST /uploads/{upload_id}/parts`.
    pub add_upload_part: u64,
    /// `POST /uploads/{upload_id}/complete`.
    pub complete_upload: u64,
    /// `POST /uploads/{upload_id}/cancel`.
    pub cancel_upload: u64,
    /// `POST /files`.
    pub create_file: u64,
    /// `GET /files`.
    pub list_files: u64,
    /// `GET /files/{file_id}`.
    pub retrieve_file: u64,
    /// `GET /files/{file_id}/content`: a comparison of a file's content with the source counts as one.
    pub download_file: u64,
}

impl Attempts {
    /// Counts one more, and says the how many-th of its kind it is.
    pub(super) fn count(&mut self, operation: OperationId) -> u64 {
        let kind = match operation {
            OperationId::CreateUpload => &mut self.create_upload,
            OperationId::AddUploadPart => &mut self.add_upload_part,
            OperationId::CompleteUpload => &mut self.complete_upload,
            OperationId::CancelUpload => &mut self.cancel_upload,
            OperationId::CreateFile => &mut self.create_file,
            OperationId::ListFiles => &mut self.list_files,
            OperationId::RetrieveFile => &mut self.retrieve_file,
            OperationId::DownloadFile => &mut self.download_file,
            OperationId::ImportFile | OperationId::DeleteFile => {
                unreachable!("a transfer never sends {operation}")
            }
        };
        *kind += 1;
        let count = *kind;
        self.total += 1;
        count
    }
}

/// Why a request is asked for again: a closed set.
///
/// ```
/// use partwise_protocol::upload::RetryReason;
///
/// assert_eq!(RetryReason::Http429.as_str(), "http_429");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "what fits nowhere else is `Other`")]
pub enum RetryReason {
    /// No connection came about.
    Connect,
    /// The connection broke.
    Interrupted,
    /// Nothing moved for too long.
    Timeout,
    /// The answer could not be read.
    Garbled,
    /// The service answered 408.
    Http408,
    /// The service answered 409.
    Http409,
    /// The service answered 429.
    Http429,
    /// The service, or a gateway before it, answered 500 or more.
    Http5xx,
    /// The fate of a single `POST /files` was not known, and the service's list does not have the file.
    NotListed,
    /// Anything else, such as another refusal whose `x-should-retry` is true.
    Other,
}

impl RetryReason {
    /// The name that it has in [`Retries`] and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Interrupted => "interrupted",
            Self::Timeout => "timeout",
            Self::Garbled => "garbled",
            Self::Http408 => "http_408",
            Self::Http409 => "http_409",
            Self::Http429 => "http_429",
            Self::Http5xx => "http_5xx",
            Self::NotListed => "not_listed",
            Self::Other => "other",
        }
    }

    pub(crate) fn of_refusal(error: &ApiError) -> Self {
        match error.status.as_u16() {
            408 => Self::Http408,
            409 => Self::Http409,
            429 => Self::Http429,
            500.. => Self::Http5xx,
            _ => Self::Other,
        }
    }

    pub(crate) fn of_failure(failure: &Failure) -> Self {
        match failure.kind {
            FailureKind::Connect => Self::Connect,
            FailureKind::Interrupted => Self::Interrupted,
            FailureKind::Timeout => Self::Timeout,
            FailureKind::AnswerTooLong | FailureKind::Source | FailureKind::Unsent | FailureKind::Other => {
                Self::Other
            }
        }
    }
}

/// Requests that were asked for again, in all and by [`RetryReason`].
///
/// ```
/// use partwise_protocol::upload::{Retries, RetryReason};
///
/// let retries = Retries::default();
/// let is_overload = |reason| matches!(reason, RetryReason::Http429 | RetryReason::Http5xx);
/// let overloads: u64 =
///     retries.by_reason().into_iter().filter(|(reason, _)| is_overload(*reason)).map(|(_, count)| count).sum();
/// assert_eq!(overloads, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Retries {
    /// The sum of the others.
    pub total: u64,
    /// [`RetryReason::Connect`].
    pub connect: u64,
    /// [`RetryReason::Interrupted`].
    pub interrupted: u64,
    /// [`RetryReason::Timeout`].
    pub timeout: u64,
    /// [`RetryReason::Garbled`].
    pub garbled: u64,
    /// [`RetryReason::Http408`].
    pub http_408: u64,
    /// [`RetryReason::Http409`].
    pub http_409: u64,
    /// [`RetryReason::Http429`].
    pub http_429: u64,
    /// [`RetryReason::Http5xx`].
    pub http_5xx: u64,
    /// [`RetryReason::NotListed`].
    pub not_listed: u64,
    /// [`RetryReason::Other`].
    pub other: u64,
}

impl Retries {
    /// Each reason with its count.
    #[must_use]
    pub fn by_reason(&self) -> [(RetryReason, u64); 10] {
        [
            (RetryReason::Connect, self.connect),
            (RetryReason::Interrupted, self.interrupted),
            (RetryReason::Timeout, self.timeout),
            (RetryReason::Garbled, self.garbled),
            (RetryReason::Http408, self.http_408),
            (RetryReason::Http409, self.http_409),
            (RetryReason::Http429, self.http_429),
            (RetryReason::Http5xx, self.http_5xx),
            (RetryReason::NotListed, self.not_listed),
            (RetryReason::Other, self.other),
        ]
    }

    pub(super) fn count(&mut self, reason: RetryReason) {
        let kind = match reason {
            RetryReason::Connect => &mut self.connect,
            RetryReason::Interrupted => &mut self.interrupted,
            RetryReason::Timeout => &mut self.timeout,
            RetryReason::Garbled => &mut self.garbled,
            RetryReason::Http408 => &mut self.http_408,
            RetryReason::Http409 => &mut self.http_409,
            RetryReason::Http429 => &mut self.http_429,
            RetryReason::Http5xx => &mut self.http_5xx,
            RetryReason::NotListed => &mut self.not_listed,
            RetryReason::Other => &mut self.other,
        };
        *kind += 1;
        self.total += 1;
    }
}

impl super::UploadMachine {
    /// Something goes again. What an overloaded service asks for holds everything and is counted as it passes.
    pub(super) fn count_retry(&mut self, retry: Retry, is_held: bool) {
        self.statistics.retries.count(retry.reason);
        if !is_held {
            self.statistics.backed_off = self.statistics.backed_off.saturating_add(retry.wait);
        }
        self.tell_retry(retry);
    }

    /// Lets the progress show this failed attempt.
    pub(super) fn tell_retry(&mut self, retry: Retry) {
        let number = self.latest_retry.map_or(0, |latest| latest.number) + 1;
        self.latest_retry = Some(Retry { number, ..retry });
    }
}

fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
