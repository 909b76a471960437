//! How far a transfer is.

use std::time::Duration;

use http::StatusCode;

use super::{Attempt, RetryReason, Statistics};
use crate::{
    error::{ApiError, Garbled},
    machine::TransferState,
    retry::RetryAfter,
    transport::Failure,
};

/// A transfer at one moment, for a person, a log or a bar.
///
/// ```
/// use partwise_models::Purpose;
/// use partwise_protocol::{
///     Api,
///     machine::Machine as _,
///     upload::{Plan, Progress, SourceStamp, UploadMachine},
/// };
///
/// fn percent(now: &Progress) -> u64 {
///     now.bytes_acknowledged * 100 / now.bytes_total
/// }
///
/// let plan = Plan::new("report.txt", "text/plain", Purpose::Assistants);
/// let upload = UploadMachine::new(Api::openai(), plan, SourceStamp::new(4), [7; 32])?;
/// assert_eq!(percent(&upload.progress()), 0);
/// # Ok::<(), partwise_protocol::upload::PlanError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The moment that this speaks of, on the monotonic clock of the machine's driver.
    pub now: Duration,
    /// The step that the machine is at.
    pub phase: Phase,
    /// What it is doing there.
    pub state: TransferState,
    /// The upload's identifier, once there is one.
    pub upload_id: Option<String>,
    /// The source's length.
    pub bytes_total: u64,
    /// Bytes of parts (or of the single request) that the service has acknowledged, those of earlier runs included.
    pub bytes_acknowledged: u64,
    /// Bytes of content that have left in requests that are not answered yet.
    pub bytes_in_flight: u64,
    /// Bytes of content per second that have come to the service over the last ten seconds, without those of earlier runs;
    /// `None` while nothing is sent, and for the first seconds.
    pub rate: Option<u64>,
    /// How long the rest takes at that rate; `None` while there is none.
    pub time_left: Option<Duration>,
    /// Whether the file goes in parts. A single request that was interrupted twice may become parts.
    pub is_in_parts: bool,
    /// How many parts there are; one for a single request. A guess until the last one is cut, where sizes follow from the line.
    pub parts_total: u64,
    /// How many parts the service has acknowledged, those of earlier runs included.
    pub parts_acknowledged: u64,
    /// How many parts may be in flight now: up to the plan's, fewer after the service was overloaded, and where the plan
    /// leaves it open, as many as make it faster.
    pub window: u16,
    /// What this run took so far.
    pub statistics: Statistics,
    /// The attempt that failed last, of those after which the transfer goes on.
    pub latest_retry: Option<Retry>,
    /// How it is known that the file is the source's, once there is one.
    pub proof: Option<Proof>,
    /// What a person should know now.
    pub warning: Option<Warning>,
}

/// How it is known that a file of the service is the one that was uploaded.
///
/// ```
/// use partwise_protocol::upload::Proof;
///
/// fn describe(proof: Proof) -> &'static str {
///     match proof {
///         Proof::Answer => "the service answered with the file",
///         Proof::Content => "the content of the file was compared",
///         _ => "the file belongs to the upload",
///     }
/// }
///
/// assert_eq!(describe(Proof::Content), "the content of the file was compared");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Proof {
    /// The service answered the request that makes the file with it.
    Answer,
    /// The answer was lost. The content that the service has is the source's, from the first byte to the last.
    Content,
    /// The answer was lost and the service does not serve the content. The file has the upload's name, size, purpose and
    /// time of creation, and this client began no other upload of that name and size in that second.
    UploadTime,
    /// The answer was lost and the service does not serve the content. The file's identifier is derived from the
    /// upload's.
    DerivedId,
}

/// The step that an upload is at.
///
/// ```
/// use partwise_protocol::upload::Phase;
///
/// fn label(phase: Phase) -> &'static str {
///     match phase {
///         Phase::Sending => "sending",
///         Phase::Settling => "looking for the file",
///         _ => "please wait",
///     }
/// }
///
/// assert_eq!(label(Phase::Settling), "looking for the file");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Announcing the upload.
    Creating,
    /// Sending parts.
    Sending,
    /// Making sure that the source is still the same, hashing the rest of it, saving.
    Checking,
    /// Waiting for the answer to the request that makes the file.
    Completing,
    /// Looking in the service's list for a file whose fate is unknown.
    Settling,
    /// Cancelling on the service.
    Cancelling,
    /// Over.
    Done,
}

/// A failed attempt that does not end what it belongs to, and what follows it.
///
/// ```
/// use std::time::Duration;
///
/// use http::StatusCode;
/// use partwise_protocol::{
///     error::ApiError,
///     machine::Attempt,
///     operations::OperationId,
///     upload::{Retry, RetryReason},
/// };
///
/// let wait = Duration::from_secs(2);
/// let busy = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "slow down").with_retry_after(wait);
/// let retry = Retry::after_rejection(Attempt::new(OperationId::ListFiles, 1), &busy, wait);
/// assert_eq!((retry.reason, retry.is_asked_for), (RetryReason::Http429, true));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// Counts these in one run, from 1: of several that come between two looks, the last one shows.
    pub number: u64,
    /// The attempt that failed.
    pub attempt: Attempt,
    /// How it failed.
    pub reason: RetryReason,
    /// The status that the service answered with, when it answered.
    pub status: Option<StatusCode>,
    /// How long until the next attempt.
    pub wait: Duration,
    /// Whether the service asked for this wait.
    pub is_asked_for: bool,
    /// Whether the attempt may have made a file: then the service's list is searched for it first, for up to half a minute.
    pub reconciles: bool,
}

impl Retry {
    fn new(attempt: Attempt, reason: RetryReason, wait: Duration) -> Self {
        Self { number: 1, attempt, reason, status: None, wait, is_asked_for: false, reconciles: false }
    }

    /// The service answered no, and is asked again after `wait`.
    #[must_use]
    pub fn after_rejection(attempt: Attempt, error: &ApiError, wait: Duration) -> Self {
        // A hint shorter than the backoff asks for nothing that would not be waited anyway.
        let is_asked_for = matches!(error.retry.after, Some(RetryAfter::Wait(asked)) if asked >= wait);
        let status = Some(error.status);
        Self { status, is_asked_for, ..Self::new(attempt, RetryReason::of_refusal(error), wait) }
    }

    /// There was no answer, and the service is asked again after `wait`.
    #[must_use]
    pub fn after_failure(attempt: Attempt, failure: &Failure, wait: Duration) -> Self {
        Self::new(attempt, RetryReason::of_failure(failure), wait)
    }

    /// The answer could not be read, and the service is asked again after `wait`.
    pub(crate) fn after_garbled(attempt: Attempt, garbled: &Garbled, wait: Duration) -> Self {
        Self { status: Some(garbled.status), ..Self::new(attempt, RetryReason::Garbled, wait) }
    }

    /// The service's list does not have the file, which is sent again after `wait`.
    pub(super) fn not_listed(attempt: Attempt, wait: Duration) -> Self {
        Self::new(attempt, RetryReason::NotListed, wait)
    }
}

/// What a person should know while the transfer goes on.
///
/// ```
/// use std::time::Duration;
///
/// use partwise_protocol::upload::Warning;
///
/// fn line(warning: Warning) -> Option<String> {
///     match warning {
///         Warning::TooSlow { needed, left } => {
///             Some(format!("the upload needs {} s, and expires in {} s", needed.as_secs(), left.as_secs()))
///         }
///         Warning::PastExpiry => Some("the upload may have expired".to_owned()),
///         _ => None,
///     }
/// }
///
/// let slow = Warning::TooSlow { needed: Duration::from_secs(90), left: Duration::from_secs(60) };
/// assert_eq!(line(slow).unwrap(), "the upload needs 90 s, and expires in 60 s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// At the rate so far, the upload expires before it is complete.
    TooSlow {
        /// How long the rest would take.
        needed: Duration,
        /// How long is left.
        left: Duration,
    },
    /// The upload has expired as far as we can tell; whether it has is for the service to say.
    PastExpiry,
    /// The service named an expiry before the upload's beginning; it is ignored.
    ExpiryIgnored,
}
