//! Trying a single operation again.

use partwise_protocol::{Repeat, Verdict};

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
    repeat: Repeat,
    clock: Clock,
    failures: u32,
}

impl<'c> Retries<'c> {
    pub(crate) fn new(client: &'c Client, repeat: Repeat) -> Self {
        Self { client, repeat, clock: client.system.start_clock(), failures: 0 }
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
                tokio::time::sleep(wait).await;
                Ok(())
            }
        }
    }

    fn judge(&self, error: &Error, may_have_arrived: bool) -> Result<Verdict, Error> {
        let (policy, failures) = (&self.client.retry, self.failures);
        let repeat = match self.repeat {
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
