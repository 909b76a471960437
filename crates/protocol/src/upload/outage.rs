//! A service that cannot be reached: whose failure it is, and how long it is waited for.

use std::time::Duration;

use super::{
    UploadError, UploadMachine,
    failed_attempt::FailedAttempt,
    pending::PendingRequest,
    state::{Stage, UploadRoute},
};
use crate::{
    machine::Now,
    retry::service_state::{Blame, Failed, Gate, is_moving},
    transport::Failure,
};

impl UploadMachine {
    /// A request has ended without an answer: the service's own failures take nothing of the request's budget.
    pub(super) fn blamed(&mut self, pending: &PendingRequest, failure: Failure, now: Now) -> FailedAttempt {
        // Another host, to which a comparison was redirected, is not the service.
        if !failure.kind.is_transient() || failure.redirected_to.is_some() {
            self.service.gave_up(pending.id);
            return FailedAttempt::Failed(failure);
        }
        let failed = Failed {
            kind: failure.kind,
            id: pending.id,
            left_at: pending.begun_at,
            was_alone: self.pending.is_empty(),
        };
        let blame = self.service.failed(failed, now.monotonic, self.random.next());
        match blame {
            // A cancel has a budget of its own.
            _ if matches!(self.stage, Stage::Cancel { .. }) => FailedAttempt::Failed(failure),
            // A policy that waits for no service repeats nothing for free.
            _ if self.plan.retry_policy().give_up_after.is_zero() => FailedAttempt::Failed(failure),
            Blame::Sleep => FailedAttempt::Away { failure, outage: None, is_broken: false },
            Blame::Service { outage } => {
                let is_broken = is_moving(pending.sent, self.line.buffer);
                FailedAttempt::Away { failure, outage: Some(outage), is_broken }
            }
            Blame::Request => FailedAttempt::Failed(failure),
        }
    }

    /// Takes in that this machine has slept, while the service's clock went on and our monotonic one did not.
    pub(super) fn watch_sleep(&mut self) {
        let slept = self.service.slept();
        let new = slept.saturating_sub(self.slept);
        self.slept = slept;
        if new.is_zero() {
            return;
        }
        match &mut self.route {
            UploadRoute::Parts { upload: Some(upload), .. } => upload.clock.slept(new),
            UploadRoute::Single { posted: Some(posted), .. } => {
                posted.slept = posted.slept.saturating_add(new);
            }
            UploadRoute::Single { posted: None, .. } | UploadRoute::Parts { upload: None, .. } => {}
        }
    }

    /// What may leave now, as far as the service can be reached. A cancel does not wait.
    pub(super) fn service_gate(&self, now: Now) -> Gate {
        match self.stage {
            Stage::Cancel { .. } => Gate::Open,
            _ => {
                let limit = self.give_up_limit(now).filter(|_| self.pending.is_empty());
                self.service.gate_within(self.plan.retry_policy(), limit, now.monotonic)
            }
        }
    }

    /// Ends a transfer whose service was away for too long, once a request of its own has failed in that outage. What was
    /// acknowledged is kept.
    pub(super) fn watch_outage(&mut self, now: Now) {
        let Some((since, limit)) = self.give_up_limit(now) else { return };
        // What is under way may still be answered, and its transport knows when it stalls.
        if now.monotonic.saturating_sub(since) < limit || !self.may_give_up() {
            return;
        }
        let error = match self.latest_failure.take() {
            // A name that was mistyped, more likely than an outage.
            Some(failure) if !self.is_known() => *failure,
            cause => UploadError::Away { after: now.monotonic.saturating_sub(since), cause },
        };
        match self.stage {
            Stage::Reconcile(_) => self.give_up_search(error),
            Stage::Commit if self.ambiguous => self.give_up_search(error),
            _ => self.end_gracefully(error),
        }
    }

    /// The moment at which nothing is waited for any more.
    pub(super) fn gives_up_at(&self, now: Now) -> Option<Duration> {
        let (since, limit) = self.give_up_limit(now)?;
        let at = since.checked_add(limit)?;
        let is_open = self.pending.is_empty() && !self.stop.is_asked();
        // Behind it a request is due, not the end.
        let is_coming = self.service.has_met_outage() || at > now.monotonic;
        Some(at).filter(|_| is_open && is_coming)
    }

    fn may_give_up(&self) -> bool {
        self.pending.is_empty() && !self.stop.is_asked() && self.service.has_met_outage()
    }

    /// Since when the service is away, and for how long that is waited for.
    fn give_up_limit(&self, now: Now) -> Option<(Duration, Duration)> {
        if matches!(
            self.stage,
            Stage::Cancel { .. } | Stage::Verify { .. } | Stage::Prove { .. } | Stage::End { .. }
        ) {
            return None;
        }
        self.service.give_up_limit(
            self.plan.retry_policy(),
            self.began.unwrap_or(now.monotonic),
            self.is_known(),
        )
    }

    /// Says whether the service is known to be there: it has answered in this run, or an earlier run left something on it.
    fn is_known(&self) -> bool {
        let is_begun = match &self.route {
            UploadRoute::Parts { upload, .. } => upload.is_some(),
            UploadRoute::Single { .. } => self.ambiguous,
        };
        is_begun || self.service.has_answered()
    }
}
