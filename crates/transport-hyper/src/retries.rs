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
    failures: u32,
}

impl<'c> Retries<'c> {
    pub(crate) fn new(client: &'c Client, operation: OperationId) -> Self {
        Self { client, operation, clock: client.system.start_clock(), failures: 0 }
    }

    /// Which attempt comes next, counted from 1.
    pub(crate) fn attempt(&self) -> u64 {
        u64::from(self.failures) + 1
    }

    /// Waits until the operation may be tried again, or gives the error back when it must not.
    pub(crate) async fn after(&mut self, attempt: impl Into<FailedAttempt>) -> Result<(), Error> {
        let FailedAttempt { error, may_have_arrived } = attempt.into();
        self.failures += 1;
        match self.judge(&error, may_have_arrived)? {
            Verdict::GiveUp => Err(error),
            Verdict::Retry { wait, .. } => {
                tracing::debug!(?wait, failures = self.failures, "trying again");
                self.tell(&error, wait);
                tokio::time::sleep(wait).await;
                Ok(())
            }
        }
    }

    /// Tells whoever wants to hear of it.
    fn tell(&self, error: &Error, wait: Duration) {
        let Some(told) = &self.client.on_retry else { return };
        let attempt = Attempt::new(self.operation, u64::from(self.failures));
        match error {
            Error::Refused(refusal) => told(&Retry::after_refusal(attempt, refusal, wait)),
            Error::Failed(failure) => told(&Retry::after_failure(attempt, failure, wait)),
            _ => {}
        }
    }

    fn judge(&self, error: &Error, may_have_arrived: bool) -> Result<Verdict, Error> {
        let (policy, failures) = (&self.client.retry, self.failures);
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
