//! Which bytes of a content are there.

use std::ops::Range;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Ranges of bytes, in order; none is empty, and none touches the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Coverage(Vec<Range<u64>>);

impl Coverage {
    pub(super) const NOTHING: Self = Self(Vec::new());

    /// How many bytes these are.
    pub(super) fn len(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// Where the last range ends.
    pub(super) fn end(&self) -> u64 {
        self.0.last().map_or(0, |range| range.end)
    }

    pub(super) fn insert(&mut self, new: Range<u64>) {
        if new.is_empty() {
            return;
        }
        let first = self.0.partition_point(|range| range.end < new.start);
        let behind = self.0.partition_point(|range| range.start <= new.end);
        let touched = &self.0[first..behind];
        let start = touched.first().map_or(new.start, |range| range.start.min(new.start));
        let end = touched.last().map_or(new.end, |range| range.end.max(new.end));
        self.0.splice(first..behind, std::iter::once(start..end));
    }

    /// The first bytes before `end` that are not there.
    pub(super) fn first_gap(&self, end: u64) -> Option<Range<u64>> {
        let start = match self.0.first() {
            Some(first) if first.start == 0 => first.end,
            _ => 0,
        };
        let next = self.0.iter().map(|range| range.start).find(|next| *next > start);
        let gap = start..next.unwrap_or(end).min(end);
        (!gap.is_empty()).then_some(gap)
    }
}

impl Serialize for Coverage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|range| [range.start, range.end]))
    }
}

impl<'de> Deserialize<'de> for Coverage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = Vec::<[u64; 2]>::deserialize(deserializer)?;
        let mut end = None;
        for [start, behind] in &pairs {
            if end.is_some_and(|end| end >= *start) || start >= behind {
                return Err(D::Error::custom("the ranges are not in order"));
            }
            end = Some(*behind);
        }
        Ok(Self(pairs.into_iter().map(|[start, end]| start..end).collect()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_that_touch_become_one() {
        let mut there = Coverage::default();
        for range in [4..6, 0..2, 10..12, 2..4, 8..8] {
            there.insert(range);
        }
        assert_eq!(there.0, [0..6, 10..12]);
        assert_eq!((there.len(), there.end(), there.first_gap(20)), (8, 12, Some(6..10)));
        there.insert(5..10);
        assert_eq!(there.first_gap(12), None);
        assert_eq!(there.first_gap(20), Some(12..20));
    }

    #[test]
    fn what_is_not_in_order_is_not_read() {
        for text in ["[[0,2],[2,4]]", "[[3,3]]", "[[5,2]]", "[[4,6],[0,2]]", "[[0,4],[2,6]]"] {
            serde_json::from_str::<Coverage>(text).expect_err(text);
        }
    }

    proptest! {
        #[test]
        fn it_knows_of_every_byte_whether_it_is_there(ranges in prop::collection::vec((0..60_u64, 0..9_u64), 0..24)) {
            let (mut there, mut bytes) = (Coverage::default(), [false; 70]);
            for (start, len) in ranges {
                there.insert(start..start + len);
                bytes[start as usize..(start + len) as usize].fill(true);
            }
            prop_assert_eq!(there.len(), bytes.iter().filter(|byte| **byte).count() as u64);
            prop_assert!(there.0.windows(2).all(|pair| pair[0].end < pair[1].start));
            let gap = there.first_gap(70);
            let first = bytes.iter().position(|byte| !byte).map(|first| first as u64);
            prop_assert_eq!(gap.as_ref().map(|gap| gap.start), first);
            if let Some(gap) = gap {
                let behind = bytes[gap.start as usize..].iter().position(|byte| *byte);
                prop_assert_eq!(gap.end, behind.map_or(70, |behind| gap.start + behind as u64));
            }
            let json = serde_json::to_string(&there).unwrap();
            prop_assert_eq!(serde_json::from_str::<Coverage>(&json).unwrap(), there);
        }
    }
}
