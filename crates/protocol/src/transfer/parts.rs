//! Which parts there are, which the service has, and which goes next.

use std::{collections::BTreeMap, time::Duration};

use super::{cut::Cut, part_ids::PartIds, state::Excuse};
use crate::SourceRange;

/// The parts of one file, by position.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    cut: Cut,
    ids: PartIds,
    acknowledged: usize,
    acknowledged_bytes: u64,
    /// No part before this one has still to be sent for the first time.
    fresh: usize,
    /// Parts that failed and wait for their turn.
    failed: BTreeMap<usize, Failed>,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    tries: Tries,
    not_before: Duration,
}

/// How often a part was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tries {
    /// How often it was sent in this run.
    pub(super) sent: u64,
    /// How often it failed since any part was acknowledged.
    pub(super) failures: u32,
    /// How many parts were acknowledged when it last failed.
    progress: usize,
    pub(super) excuse: Excuse,
}

impl Parts {
    /// All parts of a cut, none of them with the service.
    pub(super) fn new(cut: Cut) -> Self {
        let count = usize::try_from(cut.count()).unwrap_or(usize::MAX);
        Self::with_ids(cut, PartIds::none(count))
    }

    /// The parts as a checkpoint knows them; `ids` has one entry a part.
    pub(super) fn with_ids(cut: Cut, ids: PartIds) -> Self {
        let mut parts =
            Self { cut, ids, acknowledged: 0, acknowledged_bytes: 0, fresh: 0, failed: BTreeMap::new() };
        for index in (0..parts.ids.len()).filter(|index| parts.ids.has(*index)) {
            parts.acknowledged += 1;
            parts.acknowledged_bytes += parts.cut.range(index).len();
        }
        parts.skip_acknowledged();
        parts
    }

    pub(super) fn cut(&self) -> &Cut {
        &self.cut
    }

    pub(super) fn range(&self, index: usize) -> SourceRange {
        self.cut.range(index)
    }

    pub(super) fn ids(&self) -> &PartIds {
        &self.ids
    }

    pub(super) fn is_complete(&self) -> bool {
        self.acknowledged == self.ids.len()
    }

    pub(super) fn acknowledged(&self) -> (usize, u64) {
        (self.acknowledged, self.acknowledged_bytes)
    }

    /// Takes the lowest part that may be sent now, and how often it was tried, this time included.
    pub(super) fn take_next(&mut self, now: Duration) -> Option<(usize, Tries)> {
        let (index, mut tries) = self.take_lowest(now)?;
        tries.sent += 1;
        Some((index, tries))
    }

    fn take_lowest(&mut self, now: Duration) -> Option<(usize, Tries)> {
        let ready = self.failed.iter().find(|(_, failed)| failed.not_before <= now).map(|(index, _)| *index);
        // A failed part always lies before those never sent.
        if let Some(index) = ready {
            return self.failed.remove(&index).map(|failed| (index, failed.tries));
        }
        if self.fresh == self.ids.len() {
            return None;
        }
        let index = self.fresh;
        self.fresh += 1;
        self.skip_acknowledged();
        Some((index, Tries::default()))
    }

    /// When a part may be sent: at once, later, or never as far as is known now.
    pub(super) fn next_at(&self) -> Option<Duration> {
        if self.fresh < self.ids.len() {
            return Some(Duration::ZERO);
        }
        self.failed.values().map(|failed| failed.not_before).min()
    }

    /// The service has this part.
    pub(super) fn acknowledge(&mut self, index: usize, id: &str) {
        if self.ids.set(index, id) {
            self.acknowledged += 1;
            self.acknowledged_bytes += self.range(index).len();
        }
    }

    /// A part failed once more. Progress refills its budget, whether it flew meanwhile or waited.
    pub(super) fn failed_again(&self, tries: Tries) -> Tries {
        let before = if tries.progress == self.acknowledged { tries.failures } else { 0 };
        Tries { failures: before + 1, progress: self.acknowledged, ..tries }
    }

    /// This part was not taken and goes again, not before `not_before`.
    pub(super) fn give_back(&mut self, index: usize, tries: Tries, not_before: Duration) {
        self.failed.insert(index, Failed { tries, not_before });
    }

    fn skip_acknowledged(&mut self) {
        while self.ids.has(self.fresh) {
            self.fresh += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(parts: &mut Parts, now: u64) -> Option<(usize, u64)> {
        parts.take_next(Duration::from_secs(now)).map(|(index, tries)| (index, tries.sent))
    }

    #[test]
    fn the_lowest_part_that_may_go_goes_next() {
        let mut parts = Parts::new(Cut::equal(25, 10));
        let now = Duration::from_secs(1);
        let (first, first_tries) = parts.take_next(now).unwrap();
        let (second, second_tries) = parts.take_next(now).unwrap();
        assert_eq!((first, first_tries.sent, second, second_tries.sent), (0, 1, 1, 1));
        parts.give_back(0, first_tries, Duration::from_secs(9));
        parts.give_back(1, second_tries, now);
        assert_eq!(take(&mut parts, 1), Some((1, 2)));
        assert_eq!(take(&mut parts, 1), Some((2, 1)));
        assert_eq!((take(&mut parts, 1), parts.next_at()), (None, Some(Duration::from_secs(9))));
        assert_eq!(take(&mut parts, 9), Some((0, 2)));
    }

    #[test]
    fn progress_refills_the_budget_of_parts_that_wait_and_of_parts_that_fly() {
        let mut parts = Parts::new(Cut::equal(25, 10));
        let (_, mut tries) = parts.take_next(Duration::ZERO).unwrap();
        for failures in 1..=3 {
            tries = parts.failed_again(tries);
            assert_eq!(tries.failures, failures);
        }
        parts.acknowledge(2, "c");
        tries = parts.failed_again(tries);
        assert_eq!(tries.failures, 1);
        assert_eq!(parts.failed_again(tries).failures, 2);
    }

    #[test]
    fn what_a_checkpoint_knows_is_not_sent_again() {
        let ids = [Some("a".into()), None, Some("c".into()), None].into_iter().collect();
        let mut parts = Parts::with_ids(Cut::equal(35, 10), ids);
        assert_eq!(parts.acknowledged(), (2, 20));
        assert_eq!(take(&mut parts, 0), Some((1, 1)));
        assert_eq!(take(&mut parts, 0), Some((3, 1)));
        assert_eq!(take(&mut parts, 0), None);
        parts.acknowledge(3, "d");
        parts.acknowledge(1, "b");
        assert_eq!(parts.acknowledged(), (4, 35));
        assert_eq!(parts.ids().iter().flatten().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    }
}
