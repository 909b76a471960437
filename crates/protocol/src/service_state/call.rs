//! Single operations among the uploads and downloads of a client.

use std::time::Duration;

use super::{Failed, Gate, Member, ServiceState};
use crate::{FailureKind, RequestId, RetryPolicy};

/// The only request of its member.
const REQUEST: RequestId = RequestId(0);

/// An attempt of a single operation, such as listing files, that is under way beside the uploads and downloads of its client.
///
/// It may be the one that finds out for all of them whether the service is back, so report its end with
/// [`answered`](Self::answered) or [`failed`](Self::failed). One that is dropped says nothing of the service, and leaves it to
/// others to find out.
#[derive(Debug)]
#[must_use = "an attempt that is dropped counts as given up"]
pub struct CallAttempt {
    member: Member,
    left_at: Duration,
}

impl ServiceState {
    /// Starts an attempt of a single operation at this moment of the monotonic clock, which has to leave then.
    ///
    /// While the service is away it starts only when it is the one request that finds out whether the service is back, unless
    /// the policy does not wait for a service at all ([`give_up_after`](RetryPolicy::give_up_after) is zero). Waits that an
    /// overloaded service asked other requests for hold up no single operation.
    ///
    /// # Errors
    /// The moment at which it is worth asking again, when another request has to find out first.
    pub fn start_call(&self, policy: &RetryPolicy, now: Duration) -> Result<CallAttempt, Duration> {
        let mut member = Member::of(self);
        let is_patient = !policy.give_up_after.is_zero();
        match self.lock().outage_gate(now) {
            Gate::Closed { until } if is_patient => return Err(until),
            _ => {}
        }
        member.leaves(REQUEST, now);
        Ok(CallAttempt { member, left_at: now })
    }
}

impl CallAttempt {
    /// The service has answered, whatever it said: it is there for all who wait for it.
    pub fn answered(mut self, now: Duration) {
        self.member.answered(now);
    }

    /// The attempt has ended without an answer. The service is away for all when no connection came about, or when this was to
    /// find out whether it is back; what was interrupted otherwise may be the operation's own fault. `random` is any number,
    /// drawn anew each time.
    pub fn failed(mut self, kind: FailureKind, now: Duration, random: u64) {
        let is_probe = self.member.probe.is_some();
        if kind == FailureKind::Connect || (is_probe && kind.is_transient()) {
            let failed = Failed { kind, id: REQUEST, left_at: self.left_at, was_alone: false };
            self.member.failed(failed, now, random);
        }
    }
}
