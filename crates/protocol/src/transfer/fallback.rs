//! The way back from one request to parts, for a line that does not last for the whole file.

use super::{
    Transfer,
    setback::Setback,
    state::{Stage, Way},
};
use crate::{FailureKind, Now};

/// After so many interruptions in the middle of its body, a single request goes in parts.
const INTERRUPTIONS_UNTIL_PARTS: u32 = 2;

impl Transfer {
    /// Sends the file in parts from now on if the single request, which certainly made no file and would go again, was
    /// interrupted often enough, and the plan and the service leave that open. `left` is how much of its body had left.
    pub(super) fn fall_back_to_parts(&mut self, setback: &Setback, left: Option<u64>, now: Now) {
        // After an attempt that may have made a file, nothing but that file or the same request may follow.
        if self.is_in_parts() || self.ambiguous || !setback.is_cut_short(left) {
            return;
        }
        self.solo.interruptions += 1;
        if self.solo.interruptions < INTERRUPTIONS_UNTIL_PARTS || self.stop.is_asked() {
            return;
        }
        let Some(sizes) = self.plan.sizes_after_all(&self.api, self.source.length) else { return };
        let not_before = self.solo.not_before;
        self.way = Way::parts(self.source.length, sizes);
        self.line.interrupted(now.monotonic);
        self.committed = None;
        self.is_untried = false;
        self.enter(Stage::Create);
        self.solo.not_before = not_before;
    }
}

impl Setback {
    /// Says whether the connection broke or fell silent in the middle of the body, of which `left` bytes had left.
    fn is_cut_short(&self, left: Option<u64>) -> bool {
        let (Self::Failed(failure) | Self::Away { failure, .. }) = self else { return false };
        let is_interruption = matches!(failure.kind, FailureKind::Interrupted | FailureKind::Timeout);
        is_interruption && left.is_some_and(|left| left > 0)
    }
}
