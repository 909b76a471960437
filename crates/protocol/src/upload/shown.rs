//! What a person sees of an upload while it runs.

use std::time::Duration;

use super::{
    Progress, Statistics, UploadMachine,
    cut::Sizes,
    state::{Stage, UploadRoute},
};
use crate::machine::{Now, TransferState};

/// Where large parts are acknowledged late, the rate is measured from this long after the first of them left.
const RATE_BEGINS: Duration = Duration::from_secs(3);

/// Whether the rate of parts can be told: what the kernel takes at the beginning, and after a pause, the line has not carried.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Measuring {
    /// No part has left since the beginning, or the last pause.
    #[default]
    NotYet,
    /// None was acknowledged that has left from this moment on, at which so many bytes were acknowledged.
    Since(Duration, u64),
    Measured,
}

impl Measuring {
    pub(super) fn part_leaves(&mut self, now: Duration, acknowledged: u64) {
        if matches!(self, Self::NotYet) {
            *self = Self::Since(now, acknowledged);
        }
    }

    /// A part that left then is acknowledged. When it is the first one, returns from when on the rate is measured, and how much
    /// was there.
    pub(super) fn part_arrives(&mut self, left_at: Duration) -> Option<(Duration, u64)> {
        match *self {
            Self::Since(since, there) if left_at >= since => {
                *self = Self::Measured;
                Some((since, there))
            }
            _ => None,
        }
    }
}

impl UploadMachine {
    pub(super) fn shown(&self) -> Progress {
        let (parts_total, parts_acknowledged, bytes_acknowledged) =
            self.route.counts(self.source.length, &self.stage);
        Progress {
            now: self.activity.now(),
            phase: self.phase(),
            state: self.shown_state(),
            upload_id: self.route.upload().map(|upload| upload.id.clone()),
            bytes_total: self.source.length,
            bytes_acknowledged,
            bytes_in_flight: self.left_in_flight(),
            rate: self.activity.rate(),
            time_left: self.time_needed(),
            is_in_parts: self.is_in_parts(),
            parts_total,
            parts_acknowledged,
            window: self.pace.window(),
            statistics: Statistics { held: self.pace.held(), ..self.statistics },
            latest_retry: self.latest_retry,
            proof: self.proof,
            warning: self.warning,
        }
    }

    /// Looks at what moves.
    pub(super) fn watch_activity(&mut self, now: Now) {
        let moved = (self.moves, self.statistics.bytes_acknowledged);
        let moved = self.has_content_in_flight().then_some(moved);
        self.activity.look(now.monotonic, moved);
        self.pending.note_moved(now.monotonic);
        if !self.activity.is_due() {
            return;
        }
        if !self.sends_content() || self.hindrance().is_some() {
            self.measuring = Measuring::NotYet;
            self.activity.measure(None);
        } else {
            let there = self.arrived(now);
            // A single request that goes again begins anew.
            let is_anew = !self.is_in_parts() && there.is_some_and(|there| self.activity.is_less(there));
            self.activity.measure(there.filter(|_| !is_anew));
        }
    }

    /// How long the rest takes at the rate that is seen; `None` while there is none.
    fn time_needed(&self) -> Option<Duration> {
        if !self.sends_content() {
            return None;
        }
        let (_, _, acknowledged) = self.route.counts(self.source.length, &self.stage);
        let there = acknowledged.saturating_add(self.arrived_in_flight(self.activity.now()));
        self.activity.time_for(self.source.length.saturating_sub(there))
    }

    /// Bytes of content that have left in requests in flight.
    pub(super) fn left_in_flight(&self) -> u64 {
        match &self.route {
            UploadRoute::Parts { .. } => self.pending.parts().map(|in_flight| in_flight.left()).sum(),
            UploadRoute::Single { .. } => {
                self.pending.commit().map_or(0, |post| post.sent.min(self.source.length))
            }
        }
    }

    /// Bytes of content that this run has brought to the service; `None` while no rate can be told from them.
    fn arrived(&self, now: Now) -> Option<u64> {
        let has_begun = match (&self.route, self.measuring) {
            (UploadRoute::Single { .. }, _) => self.left_in_flight() > 0,
            (UploadRoute::Parts { .. }, Measuring::NotYet) => false,
            (UploadRoute::Parts { .. }, Measuring::Measured) => true,
            (UploadRoute::Parts { parts, .. }, Measuring::Since(began, _)) => {
                let is_leaving =
                    self.pending.parts().any(|in_flight| in_flight.left() < in_flight.part.len());
                let is_filled = now.monotonic.saturating_sub(began) >= RATE_BEGINS;
                matches!(parts.sizes(), Sizes::Equal(_)) && is_leaving && is_filled
            }
        };
        let in_flight = self.arrived_in_flight(now.monotonic);
        has_begun.then_some(self.statistics.bytes_acknowledged.saturating_add(in_flight))
    }

    /// How much of the content in flight has arrived, as far as can be told: the kernel takes more than the line.
    fn arrived_in_flight(&self, now: Duration) -> u64 {
        match &self.route {
            UploadRoute::Parts { .. } => {
                self.pending.parts().map(|in_flight| self.line.arrived(in_flight, now)).sum()
            }
            UploadRoute::Single { .. } => self.left_in_flight(),
        }
    }

    /// Whether the step is one at which content goes to the service.
    fn sends_content(&self) -> bool {
        match self.stage {
            Stage::Send => true,
            Stage::Commit => matches!(self.route, UploadRoute::Single { .. }),
            _ => false,
        }
    }

    fn has_content_in_flight(&self) -> bool {
        match self.stage {
            Stage::Send => !self.pending.is_empty(),
            Stage::Commit if matches!(self.route, UploadRoute::Single { .. }) => {
                self.pending.commit().is_some_and(|post| !post.has_left())
            }
            _ => false,
        }
    }

    /// What keeps the upload from sending; `None` while anything of it moves, or nothing is to be sent.
    fn hindrance(&self) -> Option<TransferState> {
        let is_committing = matches!(self.stage, Stage::Commit) && !self.pending.is_empty();
        let sends = matches!(self.stage, Stage::Create | Stage::Send | Stage::Commit | Stage::Reconcile(_));
        if !sends || (is_committing && !self.has_content_in_flight()) {
            return None;
        }
        if let Some(offline) = self.service.offline() {
            let moves = self.has_content_in_flight() && self.pending.moves_since(offline.since);
            return (!moves).then_some(TransferState::Offline(offline));
        }
        let now = self.activity.now();
        let until = self.service.held_until(now).max(Some(self.pace.gate()).filter(|gate| *gate > now));
        until.filter(|_| self.pending.is_empty()).map(|until| TransferState::RateLimited { until })
    }

    fn shown_state(&self) -> TransferState {
        match self.stage {
            Stage::End { .. } => return TransferState::Done,
            Stage::Cancel { .. } => return TransferState::Cancelling,
            _ if self.stop.is_asked() => return TransferState::Stopping,
            _ => {}
        }
        if let Some(hindrance) = self.hindrance() {
            return hindrance;
        }
        match self.stage {
            Stage::Send => self.sending(),
            Stage::Commit => self.committing(),
            Stage::Reconcile(_) => TransferState::Reconciling,
            Stage::Check { .. }
            | Stage::Announce { .. }
            | Stage::Recheck { .. }
            | Stage::Verify { .. }
            | Stage::Prove { .. } => TransferState::Checking,
            Stage::Create | Stage::Cancel { .. } | Stage::End { .. } => TransferState::Connecting,
        }
    }

    fn sending(&self) -> TransferState {
        match self.activity.stalled_since() {
            Some(since) => TransferState::Stalled { since },
            None if self.statistics.bytes_acknowledged == 0 && self.left_in_flight() == 0 => {
                TransferState::Connecting
            }
            None => TransferState::Sending,
        }
    }

    fn committing(&self) -> TransferState {
        let now = self.activity.now();
        match (&self.route, self.pending.commit()) {
            (UploadRoute::Parts { .. }, _) => {
                TransferState::Assembling { since: self.commits_since.unwrap_or(now) }
            }
            (UploadRoute::Single { .. }, None) => TransferState::Connecting,
            (UploadRoute::Single { .. }, Some(post)) if !post.has_left() => self.sending(),
            (UploadRoute::Single { .. }, Some(post)) => {
                TransferState::Assembling { since: post.left_at.unwrap_or(now) }
            }
        }
    }
}
