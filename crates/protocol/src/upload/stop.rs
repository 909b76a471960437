//! An end in good order: the upload stays on the service, and the checkpoint here.

use std::{mem::replace, time::Duration};

use super::{
    Comparison, UploadError, UploadMachine,
    pending::Asked,
    state::{Stage, UploadRoute},
};
use crate::machine::Now;

/// The time for what is in flight to be answered. Whoever stops a program waits for it, and a supervisor seldom longer than
/// ten seconds.
const GRACE: Duration = Duration::from_secs(5);

/// The state of an end in good order, and the error that it ends with.
#[derive(Debug)]
pub(super) enum Stop {
    NotWanted,
    /// It begins with the next poll.
    Wanted {
        error: Box<UploadError>,
    },
    /// Nothing new is sent; what is in flight has until then.
    UnderWay {
        until: Duration,
        error: Box<UploadError>,
    },
}

impl Stop {
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self, Self::UnderWay { .. })
    }

    /// Whether nothing is sent any more from now on, or from the next poll on.
    pub(super) fn is_asked(&self) -> bool {
        !matches!(self, Self::NotWanted)
    }

    /// Asks for an end with this error. What went wrong says more than that the caller wanted an end; otherwise the first
    /// error counts.
    pub(super) fn ask(&mut self, error: UploadError) {
        match self {
            Self::NotWanted => *self = Self::Wanted { error: Box::new(error) },
            Self::Wanted { error: first } | Self::UnderWay { error: first, .. } => {
                if matches!(**first, UploadError::Stopped { .. }) {
                    **first = error;
                }
            }
        }
    }
}

impl UploadMachine {
    /// Ends the transfer with an error that leaves something to resume: as [`stop`](Self::stop), so that parts which are on
    /// their way are not sent once more by the next run, and what was acknowledged is saved.
    pub(super) fn end_gracefully(&mut self, error: UploadError) {
        self.stop.ask(error);
    }

    /// Begins to stop, and ends once nothing is in flight and all that was acknowledged is durable.
    pub(super) fn watch_stop(&mut self, now: Now) {
        if matches!(self.stage, Stage::Cancel { .. } | Stage::End { .. }) {
            return;
        }
        let (until, mut error) = match replace(&mut self.stop, Stop::NotWanted) {
            Stop::NotWanted => return,
            Stop::Wanted { error } => (now.monotonic.saturating_add(GRACE), error),
            Stop::UnderWay { until, error } => (until, error),
        };
        if now.monotonic >= until {
            self.ambiguous |= self.pending.is_pending(Asked::Commit);
            self.abandon_all();
        }
        if matches!(self.stage, Stage::Prove { .. }) {
            // Comparing takes too long for somebody who waits for the end.
            return self.proven(&Comparison::Unknown);
        }
        if self.pending.is_empty() {
            self.take_back_announcement();
        }
        // A file that is known to exist is told of before anything else.
        let has_file = matches!(self.stage, Stage::Verify { .. });
        if !has_file && self.pending.is_empty() && (self.saver.is_done() || !self.has_checkpoint()) {
            if let UploadError::Stopped { cause } = &mut *error {
                *cause = self.latest_failure.take();
            }
            self.finish(Err(*error));
        } else {
            self.stop = Stop::UnderWay { until, error };
        }
    }

    /// Has the checkpoint say again that no file can have been made, where `complete` was announced and certainly made none: a run that
    /// finds another source need not ask about the file then.
    pub(super) fn take_back_announcement(&mut self) {
        let is_announced = matches!(self.stage, Stage::Announce { change: Some(_) } | Stage::Commit);
        if is_announced && !self.ambiguous && matches!(self.route, UploadRoute::Parts { .. }) {
            // As a run that resumes begins; nothing of it is done while the upload stops.
            self.stage = Stage::Check { asked: false };
            self.saver.change();
        }
    }

    /// The moment after which no answer to what is in flight is waited for.
    pub(super) fn stop_deadline(&self) -> Option<Duration> {
        match self.stop {
            Stop::UnderWay { until, .. } if !self.pending.is_empty() => Some(until),
            _ => None,
        }
    }

    /// Whether there is anything that a checkpoint could say.
    fn has_checkpoint(&self) -> bool {
        match &self.route {
            UploadRoute::Parts { upload, .. } => upload.is_some(),
            UploadRoute::Single { posted_at, .. } => posted_at.is_some(),
        }
    }
}
