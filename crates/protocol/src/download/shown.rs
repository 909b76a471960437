//! What a person sees of a download while it runs.

use std::time::Duration;

use super::{DownloadMachine, DownloadProgress, End};
use crate::machine::TransferState;

impl DownloadMachine {
    pub(super) fn shown(&self) -> DownloadProgress {
        let rest = self.length().map(|length| length.saturating_sub(self.written.len()));
        DownloadProgress {
            now: self.activity.now(),
            state: self.shown_state(),
            bytes_total: self.length(),
            bytes_written: self.written.len(),
            bytes_resumable: self.lasting().len(),
            rate: self.activity.rate(),
            time_left: rest.and_then(|rest| self.activity.time_for(rest)),
            requests: self.pending.len(),
            retries: self.retries,
            latest_retry: self.latest_retry,
            warning: self.warning(),
        }
    }

    /// Looks at what moves.
    pub(super) fn watch_activity(&mut self, now: Duration) {
        let written = self.written.len();
        let moved = (!self.pending.is_empty()).then_some((written, 0));
        let is_coming = self.is_understood && written > 0 && !self.is_complete();
        self.activity.look(now, moved);
        if self.activity.is_due() {
            let is_measured = is_coming && self.hindrance().is_none() && !self.activity.is_less(written);
            self.activity.measure(is_measured.then_some(written));
        }
    }

    /// What keeps the download from receiving; `None` while content comes.
    fn hindrance(&self) -> Option<TransferState> {
        if let Some(offline) = self.service.offline() {
            let was_under_way = self.pending.iter().any(|pending| pending.leg.since < offline.since);
            let comes = was_under_way && self.activity.moved_at() > offline.since;
            return (!comes).then_some(TransferState::Offline(offline));
        }
        let until = self.service.held_until(self.activity.now()).filter(|_| self.pending.is_empty())?;
        Some(TransferState::RateLimited { until })
    }

    fn shown_state(&self) -> TransferState {
        if !matches!(self.end, End::NotYet) {
            return TransferState::Done;
        }
        if self.stopping {
            return TransferState::Stopping;
        }
        if self.is_complete() {
            return TransferState::Checking;
        }
        if let Some(hindrance) = self.hindrance() {
            return hindrance;
        }
        match self.activity.stalled_since() {
            Some(since) => TransferState::Stalled { since },
            None if self.length().is_none() && self.written.len() == 0 => TransferState::Connecting,
            None => TransferState::Receiving,
        }
    }
}
