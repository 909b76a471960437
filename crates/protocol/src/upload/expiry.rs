//! The expiry of an upload: warnings by our clock, and what the service says.

use std::time::Duration;

use partwise_models::UploadStatus;

use super::{
    UploadError, UploadMachine, Warning, clock,
    failed_attempt::FailedAttempt,
    pending::Asked,
    state::{Stage, UploadRoute},
};
use crate::{machine::Now, operations::OperationId};

/// A rate measured over less than this says little.
const RATE_NEEDS: Duration = Duration::from_secs(5);

impl UploadMachine {
    /// Warns of an upload that will expire before it is complete, or seems to have expired.
    pub(super) fn watch_expiry(&mut self, now: Now) {
        if let UploadRoute::Parts { upload: Some(upload), .. } = &mut self.route {
            upload.clock.keep(now);
        }
        match self.time_left(now) {
            None => {}
            Some(Duration::ZERO) => self.warning = Some(Warning::PastExpiry),
            Some(left) => {
                let needed = self.time_needed_so_far(now);
                self.warn_if_too_slow(needed, left);
            }
        }
    }

    /// How long the upload has, while that matters: what was sent to make the file is past expiring.
    fn time_left(&self, now: Now) -> Option<Duration> {
        let upload = self.route.upload()?;
        let matters = match self.stage {
            Stage::Send | Stage::Check { .. } | Stage::Announce { .. } => true,
            Stage::Commit => !self.pending.is_pending(Asked::Commit),
            _ => false,
        };
        matters.then_some(clock::until(upload.expires_at?, &upload.clock, now))
    }

    /// When the upload has to be warned of, if it has not been.
    pub(super) fn next_look_at_expiry(&self, now: Now) -> Option<Duration> {
        let left = self.time_left(now).filter(|left| !left.is_zero())?;
        Some(now.monotonic.saturating_add(left))
    }

    /// Whether an upload of an earlier run seems to have expired, and the service has not shown yet whether it has: one part
    /// is enough to find out, and a window full of them may be sent for nothing.
    pub(super) fn is_in_question(&self, now: Now) -> bool {
        self.is_untried && self.time_left(now).is_some_and(|left| left.is_zero())
    }

    /// How long the rest takes at the rate of this run, which a moment that is slower does not change; `None` while that says little.
    fn time_needed_so_far(&self, now: Now) -> Option<Duration> {
        let (Stage::Send, Some((since, before))) = (&self.stage, self.sending_since) else { return None };
        let elapsed = now.monotonic.saturating_sub(since);
        let sent = self.statistics.bytes_sent.saturating_sub(before);
        if elapsed < RATE_NEEDS || sent == 0 {
            return None;
        }
        let (_, _, acknowledged) = self.route.counts(self.source.length, &self.stage);
        let rest = self.source.length.saturating_sub(acknowledged.saturating_add(self.left_in_flight()));
        let needed = elapsed.as_secs_f64() * (rest as f64 / sent as f64);
        Some(Duration::try_from_secs_f64(needed).unwrap_or(Duration::MAX))
    }

    fn warn_if_too_slow(&mut self, needed: Option<Duration>, left: Duration) {
        match needed {
            Some(needed) if needed > left => self.warning = Some(Warning::TooSlow { needed, left }),
            Some(_) if matches!(self.warning, Some(Warning::TooSlow { .. })) => self.warning = None,
            _ if self.warning == Some(Warning::PastExpiry) => self.warning = None,
            _ => {}
        }
    }

    /// Whether this rejection means that the upload has expired: the service says so, or its clock, as an answer of this run
    /// has shown it, is past the expiry that it named. Without an answer there is nothing that could say so.
    fn is_expired(&self, failed: &FailedAttempt, now: Now) -> bool {
        let (FailedAttempt::Rejected(_), Some(upload)) = (failed, self.route.upload()) else { return false };
        match failed.upload_status() {
            Some(status) => status == UploadStatus::Expired,
            None => upload
                .expires_at
                .zip(upload.clock.shown_time(now))
                .is_some_and(|(moment, time)| time >= moment),
        }
    }

    /// Whether this rejection means that there is no such upload any more. A 404 does not: another key, project or tenant
    /// gets one too.
    pub(super) fn is_over(&self, failed: &FailedAttempt, now: Now) -> bool {
        self.is_expired(failed, now) || failed.upload_status() == Some(UploadStatus::Cancelled)
    }

    /// Follows a rejection which means that there is no such upload any more: starts over when it was an earlier run's. One
    /// that expired under this run would expire again.
    pub(super) fn end_upload(&mut self, failed: FailedAttempt, operation: OperationId, now: Now) {
        if self.ambiguous {
            self.reconcile();
        } else if self.may_restart() {
            self.start_over();
        } else if self.is_expired(&failed, now) {
            let (length, measured, needed) = (self.source.length, self.rate(now), self.rate_needed());
            self.finish(Err(UploadError::Expired { length, measured, needed }));
        } else {
            self.finish(Err(failed.into_error(operation)));
        }
    }

    fn start_over(&mut self) {
        self.is_untried = false;
        self.abandon_all();
        if let UploadRoute::Parts { upload, parts } = &mut self.route {
            *upload = None;
            *parts = parts.anew();
        }
        self.sending_since = None;
        self.warning = None;
        let left = self.statistics.bytes_acknowledged;
        self.with_connections(|connections| connections.begin_anew(Duration::ZERO, left));
        self.enter(Stage::Create);
    }

    fn may_restart(&self) -> bool {
        self.plan.restart_when_expired && self.is_untried
    }

    /// Bytes per second of parts that were acknowledged or are in flight; `None` while that says little.
    fn rate(&self, now: Now) -> Option<u64> {
        let elapsed = now.monotonic.saturating_sub(self.sending_since?.0);
        let bytes = self.statistics.bytes_acknowledged.saturating_add(self.left_in_flight());
        (elapsed >= RATE_NEEDS).then(|| per_second(bytes, elapsed))
    }

    /// Bytes per second that send the whole source while an upload lives.
    fn rate_needed(&self) -> Option<u64> {
        let upload = self.route.upload()?;
        let lifetime = upload.expires_at?.0.checked_sub(upload.created_at.0)?;
        (lifetime > 0).then(|| self.source.length.div_ceil(lifetime))
    }
}

fn per_second(bytes: u64, elapsed: Duration) -> u64 {
    let rate = u128::from(bytes) * 1000 / elapsed.as_millis().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}
