//! The contract with the driver: what an upload does when it is polled and told.

use partwise_models::File;

use super::{
    Checkpoint, Progress, SourceError, UploadAction, UploadError, UploadMachine, UploadTask, state::Stage,
};
use crate::{
    machine::{Action, Machine, Now, RequestId, SaveError},
    retry::service_state::is_moving,
    transport::Failure,
};

impl Machine for UploadMachine {
    type Task = UploadTask;
    type Checkpoint = Checkpoint;
    type Output = File;
    type Error = UploadError;
    type Progress = Progress;

    fn poll(&mut self, now: Now) -> UploadAction {
        if std::mem::take(&mut self.cancel_wanted) {
            self.begin_cancel(now);
        }
        let is_held_back = !matches!(self.stage, Stage::Cancel { .. } | Stage::End { .. });
        if is_held_back && !self.stop.is_under_way() {
            self.pace.pass(now.monotonic);
        }
        self.watch_sleep();
        self.began.get_or_insert(now.monotonic);
        self.watch_activity(now);
        self.watch_outage(now);
        self.pending.note_left(now.monotonic);
        self.watch_time(now);
        self.watch_comparison(now);
        self.watch_stop(now);
        self.watch_connections(now);
        if let Some(id) = self.abandoned.pop_front() {
            return Action::Abandon(id);
        }
        if let Some(result) = self.end.take() {
            return Action::Done(result);
        }
        if let Some(action) = self.next_chore(now) {
            return action;
        }
        match self.next_request(now) {
            Ok(Some(action)) => action,
            Ok(None) => Action::Wait { until: self.deadline(now) },
            Err(error) => {
                self.finish(Err(error));
                self.poll(now)
            }
        }
    }

    /// So many more bytes of a request's body have left. Statistics, warnings and, where it is left open, the number of parts in
    /// flight depend on it.
    fn handle_moved(&mut self, id: RequestId, bytes: u64) {
        if self.pending.was_started(id) {
            self.moves = self.moves.wrapping_add(1);
            let sent = self.pending.sent(id, bytes);
            if is_moving(sent, self.line.buffer) {
                self.service.moves(id);
            }
            self.statistics.bytes_sent = self.statistics.bytes_sent.saturating_add(bytes);
        }
    }

    fn handle_failure(&mut self, id: RequestId, failure: Failure, now: Now) {
        if self.chores.hashing == Some(id) {
            return self.handle_hashed(id, Err(SourceError::new(failure)));
        }
        if self.chores.stamping == Some(id) {
            return self.handle_stamped(id, Err(SourceError::new(failure)));
        }
        if self.is_preparing(id) {
            return self.handle_prepared(id, Err(SourceError::new(failure)));
        }
        if let Some(pending) = self.pending.end(id) {
            self.failed(pending, failure, now);
            self.settle(pending);
        }
    }

    fn handle_saved(&mut self, saved: Result<(), SaveError>) {
        if self.saver.end() {
            if let Err(error) = saved {
                self.finish(Err(UploadError::Save(error)));
            }
        }
    }

    /// Pauses the upload: it ends with [`UploadError::Stopped`], and can be resumed from the last checkpoint. Nothing new is
    /// sent; what is in flight has a few seconds to be answered, and what was acknowledged is saved. A file that is made in
    /// these seconds is reported as a success. [`cancel`](Self::cancel) may still follow.
    fn stop(&mut self) {
        self.stop.ask(UploadError::Stopped { cause: None });
    }

    fn progress(&self) -> Progress {
        self.shown()
    }

    /// Whether the checkpoint that was saved last may still lead to a file after this end. It may not when all that it
    /// says is that a single request was about to leave, and that request is known to have made nothing.
    fn is_resumable_after(&self, error: &UploadError) -> bool {
        error.is_resumable() && (self.ambiguous || self.route.upload().is_some())
    }
}
