//! Stopping for now: the upload stays on the service, and the checkpoint here.

use std::time::Duration;

use super::{
    Transfer, TransferError,
    flights::Asked,
    state::{Stage, Way},
};
use crate::Now;

/// How long what flies may still be answered. Whoever stops a program waits for it, and a supervisor seldom longer than
/// ten seconds.
const GRACE: Duration = Duration::from_secs(5);

/// Whether the transfer is to be stopped.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    NotWanted,
    Wanted,
    /// Nothing new is sent; what flies has until then.
    UnderWay {
        until: Duration,
    },
}

impl Stop {
    pub(super) fn is_under_way(self) -> bool {
        matches!(self, Self::UnderWay { .. })
    }
}

impl Transfer {
    /// Begins to stop, and ends once nothing flies and all that was acknowledged is durable.
    pub(super) fn watch_stop(&mut self, now: Now) {
        if matches!(self.stage, Stage::Cancel { .. } | Stage::End { .. }) {
            return;
        }
        if matches!(self.stop, Stop::Wanted) {
            self.stop = Stop::UnderWay { until: now.monotonic.saturating_add(GRACE) };
        }
        let Stop::UnderWay { until } = self.stop else { return };
        if now.monotonic >= until {
            self.ambiguous |= self.flights.is_flying(Asked::Commit);
            self.abandoned.extend(self.flights.end_all());
        }
        // A file that is known to exist is told of before anything else.
        let has_file = matches!(self.stage, Stage::Verify { .. });
        if !has_file && self.flights.is_empty() && (self.saver.is_done() || !self.has_checkpoint()) {
            let cause = self.latest_failure.take();
            self.finish(Err(TransferError::Stopped { cause }));
        }
    }

    /// When nobody waits any more for the answers to what flies.
    pub(super) fn stop_deadline(&self) -> Option<Duration> {
        match self.stop {
            Stop::UnderWay { until } if !self.flights.is_empty() => Some(until),
            _ => None,
        }
    }

    /// Whether there is anything that a checkpoint could say.
    fn has_checkpoint(&self) -> bool {
        match &self.way {
            Way::Parts { upload, .. } => upload.is_some(),
            Way::Single { posted_at, .. } => posted_at.is_some(),
        }
    }
}
