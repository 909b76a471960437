//! How large the next range is: as large as it was asked for, or as large as the line carries in a few seconds.

use std::{ops::Range, time::Duration};

use crate::sizes::{LARGEST, LAST_ROUND, LASTS, PieceSizing, Slots};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// While nothing is known of a line. A file that is no larger comes in one answer: further connections would cost more than
/// they bring, but on lines so slow that each carries less than this in several seconds.
pub(super) const FIRST: u64 = 4 * MIB;
/// Smaller ranges are not worth asking for, even on the slowest line: what was interrupted is not lost.
const SMALLEST: u64 = 256 * KIB;
/// Small ranges end on whole pages, large ones where files are written in large pieces.
const ALIGNMENT: u64 = 64 * KIB;
const ALIGNMENT_OF_LARGE: u64 = MIB;
const LARGE: u64 = 4 * MIB;
/// A range takes at least so many times what asking for it costs, and so many times towards the end.
const TIMES_ASKING: u32 = 32;
const TIMES_ASKING_AT_THE_END: u32 = 4;
/// The least time that a range takes towards the end, even where asking costs nothing.
const SHORTEST: Duration = Duration::from_millis(10);

/// What was seen of a line in this run.
#[derive(Debug, Default)]
pub(super) struct DownlinkEstimate {
    slots: Slots,
    /// The largest range that came whole.
    largest: u64,
    /// The shortest time from a request to the head of its answer.
    asking: Option<Duration>,
    /// How many ranges were asked for.
    number: u64,
}

/// A range's way: which connection it has, as far as can be told, and since when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg {
    pub(super) slot: usize,
    pub(super) since: Duration,
    /// When the head of the answer came.
    pub(super) answered: Option<Duration>,
}

/// What the size of the next range follows from, besides the line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missing {
    /// How many bytes are not there.
    pub(super) bytes: u64,
    /// How many connections there may be.
    pub(super) window: usize,
}

impl DownlinkEstimate {
    /// The way of the next range: a connection that is free takes it.
    pub(super) fn leg(since: Duration, is_taken: impl Fn(usize) -> bool) -> Leg {
        Leg { slot: Slots::free(is_taken), since, answered: None }
    }

    /// A range is asked for.
    pub(super) fn begin(&mut self) {
        self.number += 1;
    }

    /// The head of an answer came.
    pub(super) fn answered(&mut self, leg: &mut Leg, now: Duration) {
        leg.answered = Some(now);
        let asking = now.saturating_sub(leg.since);
        self.asking = Some(self.asking.map_or(asking, |shortest| shortest.min(asking)));
    }

    /// All bytes of a range came.
    pub(super) fn came(&mut self, leg: Leg, bytes: u64, now: Duration) {
        // The rest of one that was interrupted says more about asking than about the line.
        if bytes < SMALLEST {
            return;
        }
        let took = now.saturating_sub(leg.since).max(Duration::from_micros(1));
        let moving = leg.answered.map_or(took, |answered| now.saturating_sub(answered));
        self.slots.carried(leg.slot, bytes, took, moving);
        self.largest = self.largest.max(bytes);
    }

    /// The part of `gap`, bytes that nobody has asked for, that is asked for on `slot` while `others` are busy.
    pub(super) fn next(
        &self,
        gap: Range<u64>,
        slot: usize,
        others: impl ExactSizeIterator<Item = usize>,
        missing: Missing,
    ) -> Range<u64> {
        let asking = self.asking.unwrap_or_default();
        let piece = PieceSizing {
            rates: self.slots.rates(slot, others, missing.window),
            first: FIRST,
            largest_before: self.largest,
            largest: LARGEST,
            number: self.number,
            rest: missing.bytes,
            lasts: LASTS.max(asking.saturating_mul(TIMES_ASKING)),
            shortest: SHORTEST.max(asking.saturating_mul(TIMES_ASKING_AT_THE_END)),
            last_round: LAST_ROUND.min(asking.saturating_mul(TIMES_ASKING)),
        };
        let size = piece.size().clamp(SMALLEST, LARGEST);
        let alignment = if size < LARGE { ALIGNMENT } else { ALIGNMENT_OF_LARGE };
        let most = gap.start.saturating_add(LARGEST);
        let end = gap.start.saturating_add(size + alignment - 1).min(most) / alignment * alignment;
        // What would be left is not worth a request of its own.
        let is_crumb = gap.end.saturating_sub(end) < size / 4 && gap.end <= most;
        gap.start..if is_crumb { gap.end } else { end.min(gap.end) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const GIB: u64 = 1 << 30;

    /// A line on which so many connections have each carried so many bytes in so many seconds, behind heads that took
    /// 40 ms.
    fn line(connections: usize, bytes: u64, seconds: u32) -> DownlinkEstimate {
        let mut line = DownlinkEstimate::default();
        for slot in 0..connections {
            let mut leg = DownlinkEstimate::leg(Duration::ZERO, |other| other < slot);
            line.answered(&mut leg, Duration::from_millis(40));
            line.came(leg, bytes, Duration::from_millis(40) + SECOND * seconds);
        }
        line
    }

    /// The mebibytes of the range from `at` on, of a gap that ends at `end`, when nothing else is missing.
    fn mib(line: &DownlinkEstimate, at: u64, end: u64) -> f64 {
        let missing = Missing { bytes: end - at, window: 4 };
        let range = line.next(at..end, 0, [1, 2, 3].into_iter(), missing);
        assert_eq!(range.start, at);
        (range.end - range.start) as f64 / MIB as f64
    }

    #[test]
    fn a_range_is_what_its_connection_carries_in_four_seconds() {
        assert_eq!(mib(&DownlinkEstimate::default(), 0, GIB), 4.0, "as long as nothing is known");
        assert_eq!(mib(&line(4, 8 * MIB, 1), 0, GIB), 32.0);
        assert_eq!(mib(&line(4, 64 * MIB, 1), 0, GIB), 64.0, "no more than the largest");
        assert_eq!(mib(&line(4, MIB, 100), 0, GIB), 0.25, "no less than the smallest");
    }

    #[test]
    fn from_one_range_to_the_next_sizes_grow_by_sixteen_at_most() {
        assert_eq!(mib(&line(4, MIB, 0), 0, GIB), 64.0);
        let mut slow = line(4, 256 * KIB, 10);
        assert_eq!(mib(&slow, 0, GIB), 0.25);
        slow.slots = line(4, GIB, 1).slots;
        assert_eq!(mib(&slow, 0, GIB), 64.0, "the first range would have been larger");
    }

    #[test]
    fn where_asking_takes_long_ranges_are_long() {
        let mut far = line(4, MIB, 1);
        assert_eq!(mib(&far, 0, GIB), 4.0);
        far.asking = Some(SECOND);
        assert_eq!(mib(&far, 0, GIB), 32.0);
    }

    #[test]
    fn towards_the_end_ranges_get_smaller_so_that_all_end_together() {
        // Four connections of 8 MiB/s, so that the rest takes a 32nd of its MiB in seconds.
        let line = line(4, 8 * MIB, 1);
        let sizes = [512, 256, 128, 64, 32, 16, 8, 4, 2].map(|rest| mib(&line, GIB - rest * MIB, GIB));
        assert_eq!(sizes, [32.0, 32.0, 28.0, 14.0, 8.0, 4.0, 2.0, 1.3125, 1.3125]);
    }

    #[test]
    fn large_ranges_end_on_whole_mebibytes_and_small_ones_on_whole_pages() {
        let [fast, slow] = [line(4, 8 * MIB, 1), line(4, MIB, 1)];
        assert_eq!(mib(&fast, MIB / 2, GIB), 32.5);
        assert_eq!(mib(&line(4, 64 * MIB, 1), MIB / 2, GIB), 63.5);
        let range = slow.next(10..GIB, 0, [1].into_iter(), Missing { bytes: 9 * MIB, window: 2 });
        assert_eq!(range.end % ALIGNMENT, 0, "{range:?}");
    }

    #[test]
    fn a_crumb_goes_with_the_range_before_it() {
        let line = line(4, 8 * MIB, 1);
        let missing = Missing { bytes: GIB, window: 4 };
        let of = |end| line.next(0..end, 0, [1].into_iter(), missing).end;
        assert_eq!([39 * MIB + 5, 41 * MIB].map(of), [39 * MIB + 5, 32 * MIB]);
    }

    #[test]
    fn the_rest_of_an_interrupted_range_says_nothing_of_a_line() {
        let mut line = line(4, 8 * MIB, 1);
        let leg = DownlinkEstimate::leg(Duration::ZERO, |_| false);
        line.came(leg, 100 * KIB, SECOND);
        assert_eq!(mib(&line, 0, GIB), 32.0);
    }

    proptest! {
        #[test]
        fn a_range_lies_in_its_gap_and_is_neither_empty_nor_too_large(
            came in prop::collection::vec((0..8_usize, any::<u64>(), 0..1_000_000_u64, 0..1_000_000_u64), 0..8),
            (start, length) in (any::<u64>(), 1..u64::MAX),
            slot in 0..8_usize,
            others in prop::collection::vec(0..8_usize, 0..8),
            (bytes, window) in (any::<u64>(), 1..70_000_usize),
        ) {
            let mut line = DownlinkEstimate::default();
            for (slot, bytes, asking, moving) in came {
                let mut leg = Leg { slot, since: SECOND, answered: None };
                line.answered(&mut leg, SECOND + Duration::from_millis(asking));
                line.came(leg, bytes, SECOND + Duration::from_millis(asking + moving));
                line.begin();
            }
            let gap = start..start.saturating_add(length).max(start.saturating_add(1));
            prop_assume!(!gap.is_empty());
            let range = line.next(gap.clone(), slot, others.into_iter(), Missing { bytes, window });
            prop_assert!(range.start == gap.start && range.end > range.start && range.end <= gap.end, "{:?}", range);
            prop_assert!(range.end - range.start <= LARGEST);
            prop_assert!(range.end == gap.end || range.end % ALIGNMENT == 0);
        }
    }
}
