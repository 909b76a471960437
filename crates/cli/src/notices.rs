//! What people are told of failed attempts while the command goes on.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::StatusCode;
use partwise_protocol::{
    operations::OperationId,
    upload::{Retry, RetryReason},
};

use crate::screen::say;

/// A longer wait is told.
pub(crate) const LONG: Duration = Duration::from_secs(5);

/// Lines on standard error for the first failed attempt of a command and for each long wait. Clones share what they have
/// told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notices {
    told: Arc<Mutex<Told>>,
}

#[derive(Debug, Default)]
struct Told {
    /// Whether anything was told.
    any: bool,
    /// The end of the wait that was told last: what else waits meanwhile is not told.
    until: Option<Instant>,
}

impl Notices {
    /// Tells of a failed attempt, unless that would be one line of many.
    pub(crate) fn retry(&self, retry: &Retry) {
        let mut told = self.lock();
        let now = Instant::now();
        if told.is_worth_a_line(retry, now) {
            told.any = true;
            told.until = now.checked_add(retry.wait);
            say(&line(retry));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn is_worth_a_line(&self, retry: &Retry, now: Instant) -> bool {
        let is_long = retry.reconciles || retry.wait > LONG;
        !self.any || (is_long && self.until.is_none_or(|until| until <= now))
    }
}

/// What failed, and what follows.
fn line(retry: &Retry) -> String {
    let seconds = retry.wait.as_secs_f64().round();
    let mut line = match retry.status.filter(|_| retry.is_asked_for && seconds >= 1.0) {
        Some(status) => {
            let asked = format!("the service asks to wait {seconds} s ({})", name(status));
            if !retry.reconciles {
                return asked;
            }
            asked
        }
        None => failed(retry),
    };
    line.push_str(": ");
    let _ = match (retry.reconciles, retry.attempt.operation) {
        (true, OperationId::CreateFile) => {
            write!(line, "looking whether it made the file, then trying again")
        }
        (true, _) => write!(line, "looking whether it made the file"),
        (false, _) if seconds < 1.0 => write!(line, "trying again"),
        (false, _) => write!(line, "next attempt in {seconds} s"),
    };
    line
}

fn failed(retry: &Retry) -> String {
    let text = match (retry.status, retry.reason) {
        (_, RetryReason::Garbled) => "the service's answer cannot be read",
        (Some(status), _) => return format!("the service answered {}", name(status)),
        (None, RetryReason::Connect) => "the service cannot be reached",
        (None, RetryReason::Interrupted) => "the connection was interrupted",
        (None, RetryReason::Timeout) => "the service did not answer in time",
        (None, RetryReason::NotListed) => "the service's list does not have the file",
        (None, _) => "the request failed",
    };
    text.to_owned()
}

fn name(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use partwise_protocol::{
        error::ApiError,
        machine::Attempt,
        retry::RetryHint,
        transport::{Failure, FailureKind},
    };

    use super::*;

    fn refused(status: u16, wait: f64) -> Retry {
        let error = ApiError::new(StatusCode::from_u16(status).expect("a status"), "no");
        let attempt = Attempt::new(OperationId::CreateFile, 1);
        Retry::after_rejection(attempt, &error, Duration::from_secs_f64(wait))
    }

    #[test]
    fn a_line_says_what_failed_and_what_follows() {
        let mut asked = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "no");
        asked.retry = RetryHint::after(Duration::from_secs(90));
        let attempt = Attempt::new(OperationId::CompleteUpload, 1);
        let mut reconciles = refused(503, 0.0);
        reconciles.reconciles = true;
        let mut completes =
            Retry::after_failure(attempt, &Failure::new(FailureKind::Timeout), Duration::ZERO);
        completes.reconciles = true;
        let lines = [
            refused(503, 14.3),
            refused(529, 0.2),
            Retry::after_rejection(attempt, &asked, Duration::from_secs(90)),
            Retry::after_failure(attempt, &Failure::new(FailureKind::Connect), Duration::from_secs(7)),
            Retry::after_failure(attempt, &Failure::new(FailureKind::Interrupted), Duration::ZERO),
            reconciles,
            completes,
        ];
        insta::assert_snapshot!(lines.map(|retry| line(&retry)).join("\n"), @"
        the service answered 503 Service Unavailable: next attempt in 14 s
        the service answered 529: trying again
        the service asks to wait 90 s (429 Too Many Requests)
        the service cannot be reached: next attempt in 7 s
        the connection was interrupted: trying again
        the service answered 503 Service Unavailable: looking whether it made the file, then trying again
        the service did not answer in time: looking whether it made the file
        ");
    }

    #[test]
    fn the_first_failure_is_told_and_then_one_wait_at_a_time() {
        let (mut told, now) = (Told::default(), Instant::now());
        let mut worth = |retry: Retry, after: u64| {
            let now = now + Duration::from_secs(after);
            let is_worth = told.is_worth_a_line(&retry, now);
            if is_worth {
                (told.any, told.until) = (true, now.checked_add(retry.wait));
            }
            is_worth
        };
        assert!(worth(refused(503, 0.3), 0), "the first");
        assert!(!worth(refused(503, 4.0), 1), "a short wait");
        assert!(worth(refused(503, 14.0), 5));
        assert!(!worth(refused(503, 20.0), 6), "a part that waits at the same time");
        assert!(worth(refused(503, 6.0), 19));
    }
}
