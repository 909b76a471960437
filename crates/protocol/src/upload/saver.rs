//! When a checkpoint has to be saved: at most one at a time, and never far behind.

/// Counts changes against what is durable.
#[derive(Clone, Debug, Default)]
pub(super) struct CheckpointSaver {
    changes: u64,
    saved: u64,
    in_flight: Option<u64>,
    parts_in_flight: usize,
    parts_since: usize,
}

impl CheckpointSaver {
    /// Something changed that must survive a crash. Gives the change's number.
    pub(super) fn change(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }

    /// A part was acknowledged.
    pub(super) fn part(&mut self) {
        self.change();
        self.parts_since += 1;
    }

    /// Whether a checkpoint has to be saved now.
    pub(super) fn is_due(&self) -> bool {
        self.in_flight.is_none() && !self.is_done()
    }

    /// The same; if so, it then counts as under way.
    pub(super) fn begin(&mut self) -> bool {
        if !self.is_due() {
            return false;
        }
        self.in_flight = Some(self.changes);
        self.parts_in_flight = std::mem::take(&mut self.parts_since);
        true
    }

    /// The checkpoint under way is durable. False when there was none.
    pub(super) fn end(&mut self) -> bool {
        let Some(change) = self.in_flight.take() else { return false };
        self.saved = change;
        self.parts_in_flight = 0;
        true
    }

    /// Whether this change is durable.
    pub(super) fn has(&self, change: u64) -> bool {
        self.saved >= change
    }

    /// Whether all changes are durable.
    pub(super) fn is_done(&self) -> bool {
        self.saved == self.changes
    }

    /// How many acknowledged parts a crash would forget.
    pub(super) fn parts_at_risk(&self) -> usize {
        self.parts_in_flight + self.parts_since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_save_is_under_way_at_a_time_and_a_change_during_it_needs_another() {
        let mut saver = CheckpointSaver::default();
        assert!(!saver.begin());
        saver.part();
        let first = saver.change();
        assert!(saver.begin() && !saver.begin());
        saver.part();
        assert_eq!(saver.parts_at_risk(), 2);
        assert!(saver.end() && saver.has(first) && saver.begin());
        assert_eq!(saver.parts_at_risk(), 1);
        assert!(saver.end() && !saver.end() && !saver.begin());
        assert_eq!(saver.parts_at_risk(), 0);
    }
}
