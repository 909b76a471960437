//! The way back from one request to parts, for a line that does not last for the whole file.

use super::{
    UploadMachine,
    failed_attempt::FailedAttempt,
    state::{Stage, UploadRoute},
};
use crate::{machine::Now, transport::FailureKind};

/// After so many interruptions in the middle of its body, a single request goes in parts.
const INTERRUPTIONS_UNTIL_PARTS: u32 = 2;

/// Whether a single request may go in parts after all.
#[derive(Debug, Default)]
pub(super) enum Fallback {
    #[default]
    Possible,
    /// It goes in parts, as long as the service has them: else it goes this way again.
    InParts(Box<UploadRoute>),
    /// The service has no parts.
    Impossible,
}

impl UploadMachine {
    /// Sends the file in parts from now on if the single request, which certainly made no file and would go again, was
    /// interrupted often enough, and the plan and the service leave that open. `left` is how much of its body had left.
    pub(super) fn fall_back_to_parts(&mut self, failed: &FailedAttempt, left: Option<u64>, now: Now) {
        // After an attempt that may have made a file, nothing but that file or the same request may follow: the list of the
        // service may lag.
        let may_be_made = self.ambiguous || self.reposts > 0;
        let is_possible = matches!(self.fallback, Fallback::Possible) && !self.is_in_parts();
        if may_be_made || !is_possible || !failed.is_cut_short(left) {
            return;
        }
        self.solo.interruptions += 1;
        if self.solo.interruptions < INTERRUPTIONS_UNTIL_PARTS || self.stop.is_asked() {
            return;
        }
        let Some(sizes) = self.plan.sizes_after_all(&self.api, self.source.length) else { return };
        let not_before = self.solo.not_before;
        let single = std::mem::replace(
            &mut self.route,
            UploadRoute::parts(self.source.length, sizes, self.plan.parallel),
        );
        self.fallback = Fallback::InParts(Box::new(single));
        self.line.interrupted(now.monotonic);
        (self.committed, self.commits_since) = (None, None);
        self.is_untried = false;
        self.enter(Stage::Create);
        self.solo.not_before = not_before;
    }

    /// Goes back to the single request when the service opens no upload for the file. Returns whether it does.
    pub(super) fn fall_back_to_single(&mut self, failed: &FailedAttempt) -> bool {
        let is_final = match failed {
            // A key that is rejected here is rejected there.
            FailedAttempt::Rejected(error) => {
                !error.is_transient() && !matches!(error.status.as_u16(), 401 | 403)
            }
            FailedAttempt::Garbled(_) => true,
            FailedAttempt::Failed(_) | FailedAttempt::Away { .. } => false,
        };
        if !is_final || !matches!(self.fallback, Fallback::InParts(_)) {
            return false;
        }
        let Fallback::InParts(single) = std::mem::replace(&mut self.fallback, Fallback::Impossible) else {
            return false;
        };
        self.route = *single;
        self.enter(Stage::Announce { change: None });
        true
    }
}

impl FailedAttempt {
    /// Says whether the connection broke or fell silent in the middle of the body, of which `left` bytes had left.
    fn is_cut_short(&self, left: Option<u64>) -> bool {
        let (Self::Failed(failure) | Self::Away { failure, .. }) = self else { return false };
        let is_broken = matches!(failure.kind, FailureKind::Interrupted | FailureKind::Timeout);
        is_broken && self.is_interruption() && left.is_some_and(|left| left > 0)
    }
}
