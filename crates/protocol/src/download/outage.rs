//! A service that cannot be reached: whose failure it is, and how long it is waited for.

use std::time::Duration;

use super::{DownloadError, DownloadMachine};
use crate::{
    machine::{Now, RequestId},
    retry::{
        ServiceState,
        service_state::{Blame, Failed, Gate, Member},
    },
    transport::Failure,
};

impl DownloadMachine {
    /// The same download as one of several uploads and downloads of a client, which know together whether the service can be
    /// reached. By default it knows of no other.
    #[must_use]
    pub fn with_service(mut self, service: &ServiceState) -> Self {
        self.service = Member::of(service);
        self
    }

    /// Returns the wait before the next request when a failure is the service's own, which takes nothing of the budget.
    pub(super) fn away(
        &mut self,
        id: RequestId,
        left_at: Duration,
        failure: &Failure,
        now: Now,
    ) -> Option<Duration> {
        if !failure.kind.is_transient() {
            self.service.gave_up(id);
            return None;
        }
        if failure.redirected_to.is_some() {
            self.service.gave_up(id);
            let is_excused =
                self.service.has_slept_since(left_at) && !self.plan.retry_policy().give_up_after.is_zero();
            return is_excused.then_some(Duration::ZERO);
        }
        let failed = Failed {
            kind: failure.kind,
            id,
            left_at,
            was_alone: self.pending.is_empty() && !self.look.is_under_way(),
        };
        let random = self.random.next();
        let blame = self.service.failed(failed, now.monotonic, random);
        // A policy that waits for no service repeats nothing for free.
        if self.plan.retry_policy().give_up_after.is_zero() {
            return None;
        }
        let outage = match blame {
            Blame::Sleep => return Some(Duration::ZERO),
            Blame::Service { outage } => outage,
            Blame::Request => return None,
        };
        let is_own = self.excuse.is_spent(outage);
        (!is_own).then(|| self.service.wait(self.plan.retry_policy(), now.monotonic, random))
    }

    /// The moment before which nothing may leave.
    pub(super) fn gate(&self, now: Duration) -> Option<Duration> {
        let limit = self.give_up_limit(now).filter(|_| !self.is_waiting());
        match self.service.gate_within(self.plan.retry_policy(), limit, now) {
            Gate::Closed { until } => Some(until),
            Gate::Open | Gate::OneRequest => None,
        }
    }

    /// Ends a download whose service was away for too long, once a request of its own has failed in that outage. What was written is
    /// kept.
    pub(super) fn watch_outage(&mut self, now: Duration) {
        let Some((since, limit)) = self.give_up_limit(now) else { return };
        // What is under way may still be answered, and its transport knows when it stalls.
        if now.saturating_sub(since) < limit || self.is_waiting() || !self.service.has_met_outage() {
            return;
        }
        let error = match self.latest_failure.take() {
            // A name that was mistyped, more likely than an outage.
            Some(failure) if !self.is_known() => *failure,
            cause => DownloadError::Away { after: now.saturating_sub(since), cause },
        };
        self.finish(Err(error));
    }

    /// The moment at which nothing is waited for any more.
    pub(super) fn gives_up_at(&self, now: Duration) -> Option<Duration> {
        let (since, limit) = self.give_up_limit(now).filter(|_| !self.is_waiting())?;
        // Behind it a request is due, not the end.
        since.checked_add(limit).filter(|at| self.service.has_met_outage() || *at > now)
    }

    /// Since when the service is away, and for how long that is waited for.
    fn give_up_limit(&self, now: Duration) -> Option<(Duration, Duration)> {
        self.service.give_up_limit(self.plan.retry_policy(), self.began.unwrap_or(now), self.is_known())
    }

    fn is_waiting(&self) -> bool {
        !self.pending.is_empty() || self.look.is_under_way()
    }

    fn is_known(&self) -> bool {
        self.content.is_some() || self.service.has_answered()
    }
}
