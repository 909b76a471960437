//! Trying a single operation again.

use std::time::Duration;

use partwise_protocol::{Attempt, OperationId, Repeat, Retry, Verdict};

use crate::{Client, Error, system::Clock};

/// An attempt without success.
pub(crate) struct FailedAttempt {
    pub(crate) error: Error,
    /// Whether the whole request may have reached the service.
    pub(crate) may_have_arrived: bool,
}

impl From<Error> for FailedAttempt {
    fn from(error: Error) -> Self {
        Self { error, may_have_arrived: true }
    }
}

/// The failures of one operation so far.
pub(crate) struct Retries<'c> {
    client: &'c Client,
    operation: OperationId,
    clock: Clock,
    attempts: u64,
    failures: u32,
    /// When the latest attempt left.
    left_at: Duration,
}

impl<'c> Retries<'c> {
    pub(crate) fn new(client: &'c Client, operation: OperationId) -> Self {
        let clock = client.clocks();
        let left_at = clock.now().monotonic;
        Self { client, operation, clock, attempts: 1, failures: 0, left_at }
    }

    /// Which attempt comes next, counted from 1.
    pub(crate) fn attempt(&self) -> u64 {
        self.attempts
    }

    /// Waits until the operation may be tried again, or gives the error back when it must not.
    pub(crate) async fn after(&mut self, attempt: impl Into<FailedAttempt>) -> Result<(), Error> {
        let FailedAttempt { error, may_have_arrived } = attempt.into();
        // A sleep of the machine ends connections, which says nothing of the service.
        let is_excused = matches!(&error, Error::Failed(failure) if failure.kind.is_transient())
            && self.clock.has_slept_since(self.left_at);
        self.failures += u32::from(!is_excused);
        match self.judge(&error, may_have_arrived)? {
            Verdict::GiveUp => Err(error),
            Verdict::Retry { wait, .. } => {
                let wait = if is_excused { Duration::ZERO } else { wait };
                tracing::debug!(?wait, failures = self.failures, "trying again");
                self.tell(&error, wait);
                tokio::time::sleep(wait).await;
                self.attempts += 1;
                self.left_at = self.clock.now().monotonic;
                Ok(())
            }
        }
    }

    /// Tells whoever wants to hear of it.
    fn tell(&self, error: &Error, wait: Duration) {
        let Some(told) = &self.client.on_retry else { return };
        let attempt = Attempt::new(self.operation, self.attempts);
        match error {
            Error::Refused(refusal) => told(&Retry::after_refusal(attempt, refusal, wait)),
            Error::Failed(failure) => told(&Retry::after_failure(attempt, failure, wait)),
            _ => {}
        }
    }

    fn judge(&self, error: &Error, may_have_arrived: bool) -> Result<Verdict, Error> {
        let (policy, failures) = (&self.client.retry, self.failures.max(1));
        let repeat = match self.operation.repeat() {
            // Of half a request no service makes a file.
            Repeat::Ambiguous if !may_have_arrived => Repeat::Orphans,
            repeat => repeat,
        };
        let random = self.client.system.random()?;
        Ok(match error {
            Error::Refused(refusal) => policy.on_refused(repeat, failures, refusal, self.clock.now(), random),
            Error::Failed(failure) => policy.on_failure(repeat, failures, failure, random),
            _ => Verdict::GiveUp,
        })
    }
}
