//! Sets of bytes of a file.

use std::collections::BTreeMap;
use std::ops::Range;

/// Ranges that neither overlap nor touch, by their starts.
#[derive(Debug, Default)]
pub(super) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds a range, and says how many of its bytes are new.
    pub(super) fn add(&mut self, range: Range<u64>) -> u64 {
        let before = self.total();
        let (mut start, mut end) = (range.start, range.end);
        // The last one that touches it comes first, and those before it end earlier.
        while let Some((&at, &until)) = self.0.range(..=end).next_back() {
            if until < start {
                break;
            }
            self.0.remove(&at);
            (start, end) = (start.min(at), end.max(until));
        }
        if start < end {
            self.0.insert(start, end);
        }
        self.total() - before
    }

    /// The number of bytes.
    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_there_already_are_not_added_again() {
        let mut ranges = Ranges::default();
        assert_eq!(
            [0..10, 20..30, 5..25, 0..30, 30..31, 7..7].map(|range| ranges.add(range)),
            [10, 10, 10, 0, 1, 0]
        );
        assert_eq!(ranges.0, BTreeMap::from([(0, 31)]));
        assert_eq!([40..50, 60..70, 35..80].map(|range| ranges.add(range)), [10, 10, 25]);
        assert_eq!(ranges.total(), 31 + 45);
    }
}
