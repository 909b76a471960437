//! Trying a single operation again.

use partwise_protocol::{Repeat, RetryPolicy, Verdict};

use crate::{
    Error,
    client::{Clock, entropy},
};

/// The failures of one operation so far.
pub(crate) struct Retries<'p> {
    policy: &'p RetryPolicy,
    repeat: Repeat,
    clock: Clock,
    failures: u32,
}

impl<'p> Retries<'p> {
    pub(crate) fn new(policy: &'p RetryPolicy, repeat: Repeat) -> Self {
        Self { policy, repeat, clock: Clock::start(), failures: 0 }
    }

    /// Waits until the operation may be tried again, or gives the error back when it must not.
    pub(crate) async fn after(&mut self, error: Error) -> Result<(), Error> {
        self.failures += 1;
        let random = u64::from_ne_bytes(entropy()?);
        let verdict = match &error {
            Error::Refused(refusal) => {
                self.policy.on_refused(self.repeat, self.failures, refusal, self.clock.now(), random)
            }
            Error::Failed(failure) => self.policy.on_failure(self.repeat, self.failures, failure, random),
            _ => Verdict::GiveUp,
        };
        match verdict {
            Verdict::GiveUp => Err(error),
            Verdict::Retry { wait, .. } => {
                tracing::debug!(?wait, failures = self.failures, "trying again");
                tokio::time::sleep(wait).await;
                Ok(())
            }
        }
    }
}
