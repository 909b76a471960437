//! When a request is sent again: hints of the service, a policy, and a pure decision.

pub(crate) mod message;
pub(crate) mod service_state;

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use partwise_models::UnixSeconds;

use crate::{
    error::{ApiError, ApiErrorKind},
    machine::Now,
    transport::{Failure, Repeat},
};

pub use self::service_state::{Call, CallAttempt, Offline, ServiceState};

const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// The last second of the year 9999, behind which HTTP has no dates.
const LAST_DATE: u64 = 253_402_300_799;

/// What an answer says about trying again: in its headers (`x-should-retry`, `retry-after-ms`, `Retry-After`), or, when it
/// is a 429 or 503 without such a wait, in its message.
///
/// ```
/// use std::time::Duration;
///
/// use http::{HeaderMap, HeaderValue};
/// use partwise_protocol::retry::{RetryAfter, RetryHint};
///
/// let mut headers = HeaderMap::new();
/// headers.insert("retry-after", HeaderValue::from_static("5"));
/// let hint = RetryHint::of_headers(&headers);
/// assert_eq!((hint.after, hint.should_retry), (Some(RetryAfter::Wait(Duration::from_secs(5))), None));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryHint {
    /// How long to wait, or until when.
    pub after: Option<RetryAfter>,
    /// Whether to try again at all; this decides over the status.
    pub should_retry: Option<bool>,
}

/// The wait that a service asks for.
///
/// ```
/// use std::time::Duration;
///
/// use partwise_protocol::{
///     machine::Now,
///     retry::{RetryAfter, RetryHint},
/// };
///
/// let mut hint = RetryHint::default();
/// hint.after = Some(RetryAfter::Until(1_700_000_030.into()));
/// let now = Now { monotonic: Duration::ZERO, unix: 1_700_000_000.into() };
/// assert_eq!(hint.wait(now), Some(Duration::from_secs(30)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "HTTP knows these two forms")]
pub enum RetryAfter {
    /// This long from the answer on.
    Wait(Duration),
    /// Until this moment of the wall clock: a date in an answer that names no date of its own to compare with.
    Until(UnixSeconds),
}

impl RetryHint {
    /// A hint to wait this long.
    #[must_use]
    pub fn after(wait: Duration) -> Self {
        Self { after: Some(RetryAfter::Wait(wait)), should_retry: None }
    }

    /// Reads the hint from an answer's headers. What cannot be read counts as not there.
    #[must_use]
    pub fn of_headers(headers: &HeaderMap) -> Self {
        let should_retry = match text(headers, &SHOULD_RETRY) {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        let milliseconds = text(headers, &RETRY_AFTER_MS).and_then(|value| seconds(value, 1e-3));
        let after = milliseconds.map(RetryAfter::Wait).or_else(|| retry_after(headers));
        Self { after, should_retry }
    }

    /// How long to wait from `now` on, if the service said.
    #[must_use]
    pub fn wait(&self, now: Now) -> Option<Duration> {
        Some(match self.after? {
            RetryAfter::Wait(wait) => wait,
            RetryAfter::Until(moment) => Duration::from_secs(moment.0.saturating_sub(now.unix.0)),
        })
    }

    /// Writes the hint into an answer's headers.
    pub(crate) fn write_to(self, headers: &mut HeaderMap) {
        if let Some(should_retry) = self.should_retry {
            let value = HeaderValue::from_static(if should_retry { "true" } else { "false" });
            headers.insert(SHOULD_RETRY, value);
        }
        match self.after {
            Some(RetryAfter::Wait(wait)) => {
                let milliseconds = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                headers.insert(RETRY_AFTER_MS, milliseconds.into());
                headers.insert(header::RETRY_AFTER, milliseconds.div_ceil(1000).into());
            }
            Some(RetryAfter::Until(moment)) => {
                let moment = UNIX_EPOCH + Duration::from_secs(moment.0.min(LAST_DATE));
                let date = httpdate::fmt_http_date(moment);
                if let Ok(value) = HeaderValue::try_from(date) {
                    headers.insert(header::RETRY_AFTER, value);
                }
            }
            None => {}
        }
    }

    /// Sets [`should_retry`](#structfield.should_retry).
    #[must_use]
    pub fn should_retry(mut self, should_retry: bool) -> Self {
        self.should_retry = Some(should_retry);
        self
    }
}

/// The moment that an answer's `Date` header names: the service's clock.
pub(crate) fn date_of(headers: &HeaderMap) -> Option<UnixSeconds> {
    http_date(text(headers, &header::DATE)?)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn retry_after(headers: &HeaderMap) -> Option<RetryAfter> {
    let value = text(headers, &header::RETRY_AFTER)?;
    if let Some(wait) = seconds(value, 1.0) {
        return Some(RetryAfter::Wait(wait));
    }
    let moment = http_date(value)?;
    // Two readings of the service's own clock need no trust in ours.
    Some(match date_of(headers) {
        Some(date) => RetryAfter::Wait(Duration::from_secs(moment.0.saturating_sub(date.0))),
        None => RetryAfter::Until(moment),
    })
}

fn seconds(value: &str, unit: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value.parse::<f64>().ok()? * unit).ok()
}

fn http_date(value: &str) -> Option<UnixSeconds> {
    let moment = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(UnixSeconds(moment.as_secs()))
}

/// The number of times and the delays with which failed requests are retried. Pure data: the caller keeps time and counts.
///
/// One policy is for everything that a client does: its single operations, its uploads and its downloads. An upload or a download
/// that needs another one has it in its [`Plan`](crate::upload::Plan::retry) or
/// [`DownloadPlan`](crate::download::DownloadPlan::retry). Where none is set, it is [`DEFAULT`](Self::DEFAULT).
///
/// ```
/// use std::time::Duration;
///
/// use partwise_protocol::retry::RetryPolicy;
///
/// let policy = RetryPolicy::default().max_failures(3).give_up_after(Duration::from_secs(60));
/// assert_eq!((policy.max_failures, policy.base_wait), (3, Duration::from_millis(500)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Failures in a row, without any progress between them, after each of which a request goes again; one more ends it for good.
    pub max_failures: u32,
    /// The same for a service that has never answered in a way that makes sense: it is not there, or is another one, and the
    /// caller should soon be told. An error in one of the API's shapes makes sense. A single operation asks what any request of its
    /// client was answered.
    pub max_failures_before_contact: u32,
    /// The upper end of the first wait; it doubles with every failure. The wait itself is drawn between nothing and
    /// this, so that many clients do not come back at once.
    pub base_wait: Duration,
    /// The upper end of every wait that we draw ourselves.
    pub max_wait: Duration,
    /// How long an upload or a download waits for a service that cannot be reached, counted from the first failure behind its last
    /// answer, and in any case until a request of its own has failed since then. At zero nothing waits for a service: every request
    /// leaves whatever others have met, and only [`max_failures`](Self::max_failures) counts. Otherwise a single operation ends with
    /// its `max_failures`.
    pub give_up_after: Duration,
    /// The same for one that has never answered, where nothing was begun yet: its name may be mistyped. A single operation whose next
    /// attempt would leave later than this fails at once.
    pub give_up_before_contact: Duration,
    /// The longest wait asked for by a service that is kept to; beyond it the request has failed. A shorter wait than the
    /// one that we draw is not kept to.
    pub max_hinted_wait: Duration,
}

impl Default for RetryPolicy {
    /// [`RetryPolicy::DEFAULT`].
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What to do after a request failed.
///
/// ```
/// use http::StatusCode;
/// use partwise_protocol::{error::ApiError, machine::Now, retry::{RetryPolicy, Verdict}, transport::Repeat};
///
/// let moment = std::time::Instant::now();
/// let (policy, now) = (RetryPolicy::default(), Now::since(moment, moment, std::time::SystemTime::now()));
/// let busy = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy");
/// assert!(matches!(policy.on_rejection(Repeat::Harmless, 1, &busy, now, 42), Verdict::Retry { .. }));
/// // The service may have made a file before it failed.
/// assert_eq!(policy.on_rejection(Repeat::Ambiguous, 1, &busy, now, 42), Verdict::GiveUp);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a caller that ignores one is wrong")]
pub enum Verdict {
    /// The failure is final.
    GiveUp,
    /// Send it again after this wait.
    Retry {
        /// How long to wait.
        wait: Duration,
        /// Whether everything else that goes to this service must wait too: it is overloaded.
        hold_all: bool,
    },
}

impl RetryPolicy {
    /// The policy where none is set: eight retries without progress between them, three while the service has never answered, with
    /// delays of up to 20 seconds, or two minutes where the service asks for that; a service that cannot be reached is waited for
    /// for 15 minutes, or 30 seconds before its first answer.
    pub const DEFAULT: Self = Self {
        max_failures: 8,
        max_failures_before_contact: 3,
        base_wait: Duration::from_millis(500),
        max_wait: Duration::from_secs(20),
        max_hinted_wait: Duration::from_secs(120),
        give_up_after: Duration::from_secs(15 * 60),
        give_up_before_contact: Duration::from_secs(30),
    };

    /// A policy that never repeats anything.
    #[must_use]
    pub fn never() -> Self {
        let (give_up_after, give_up_before_contact) = (Duration::ZERO, Duration::ZERO);
        Self { max_failures: 0, give_up_after, give_up_before_contact, ..Self::DEFAULT }
    }

    /// Sets [`max_failures`](#structfield.max_failures).
    #[must_use]
    pub fn max_failures(mut self, failures: u32) -> Self {
        self.max_failures = failures;
        self
    }

    /// Sets [`max_failures_before_contact`](#structfield.max_failures_before_contact).
    #[must_use]
    pub fn max_failures_before_contact(mut self, failures: u32) -> Self {
        self.max_failures_before_contact = failures;
        self
    }

    /// Sets [`base_wait`](#structfield.base_wait).
    #[must_use]
    pub fn base_wait(mut self, wait: Duration) -> Self {
        self.base_wait = wait;
        self
    }

    /// Sets [`max_wait`](#structfield.max_wait).
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }

    /// Sets [`give_up_after`](#structfield.give_up_after).
    #[must_use]
    pub fn give_up_after(mut self, time: Duration) -> Self {
        self.give_up_after = time;
        self
    }

    /// Sets [`give_up_before_contact`](#structfield.give_up_before_contact).
    #[must_use]
    pub fn give_up_before_contact(mut self, time: Duration) -> Self {
        self.give_up_before_contact = time;
        self
    }

    /// Sets [`max_hinted_wait`](#structfield.max_hinted_wait).
    #[must_use]
    pub fn max_hinted_wait(mut self, wait: Duration) -> Self {
        self.max_hinted_wait = wait;
        self
    }

    /// Judges a refusal. `failures` counts this one; `random` is any number, drawn anew each time.
    #[must_use]
    pub fn on_rejection(
        &self,
        repeat: Repeat,
        failures: u32,
        error: &ApiError,
        now: Now,
        random: u64,
    ) -> Verdict {
        // Whatever the service advises: only an answer that says that nothing was executed rules a second file out.
        let never_executed = !error.is_transient() || error.kind() == ApiErrorKind::RateLimited;
        let is_ambiguous = repeat == Repeat::Ambiguous && !never_executed;
        let worth_it = !is_ambiguous && error.retry.should_retry.unwrap_or_else(|| error.is_transient());
        if !worth_it || error.kind() == ApiErrorKind::QuotaExhausted || failures > self.max_failures {
            return Verdict::GiveUp;
        }
        match error.retry.wait(now) {
            Some(hint) if hint > self.max_hinted_wait => Verdict::GiveUp,
            _ => Verdict::Retry {
                wait: self.wait_after(error, failures, now, random),
                hold_all: error.is_overload(),
            },
        }
    }

    /// Returns the wait after a refusal: what the service asks for, up to the longest that is kept to, but never less than
    /// the backoff. Services ask for no wait at all while a limit is still in force.
    pub(crate) fn wait_after(&self, error: &ApiError, failures: u32, now: Now, random: u64) -> Duration {
        let hint = error.retry.wait(now).unwrap_or_default();
        hint.min(self.max_hinted_wait).max(self.wait(failures, random))
    }

    /// Judges a failure without an answer. `failures` counts this one; `random` is any number, drawn anew each time.
    #[must_use]
    pub fn on_failure(&self, repeat: Repeat, failures: u32, failure: &Failure, random: u64) -> Verdict {
        let never_sent = failure.kind.is_before_sending();
        if failures > self.max_failures
            || (repeat == Repeat::Ambiguous && !never_sent)
            || !failure.kind.is_transient()
        {
            return Verdict::GiveUp;
        }
        Verdict::Retry { wait: self.wait(failures, random), hold_all: false }
    }

    /// Exponential with full jitter: anything between nothing and the doubled base, up to the cap.
    pub(crate) fn wait(&self, failures: u32, random: u64) -> Duration {
        let doubled =
            self.base_wait.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        let nanos = u64::try_from(doubled.min(self.max_wait).as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(random % nanos.saturating_add(1).max(1))
    }
}

#[cfg(test)]
mod tests;
