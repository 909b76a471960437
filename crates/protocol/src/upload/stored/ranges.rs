//! Where the parts of one block lie.

/// Ranges of parts that follow each other. None is empty, and each ends at a byte that can be numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ranges {
    /// Parts of one length without gaps, as they are in the end where the size is fixed: with small parts there are more than a
    /// hundred thousand.
    Even { start: u64, length: u64, count: usize },
    /// Where each begins, and how long it is.
    Each(Box<[(u64, u64)]>),
}

impl Ranges {
    pub(super) fn of(ranges: Vec<(u64, u64)>) -> Self {
        let Some((start, length)) = ranges.first().copied() else { return Self::Each(Box::default()) };
        // The end of each is in range, and so where the next of an even run begins.
        let is_even = ranges.iter().zip(0..).all(|(range, index)| *range == (start + length * index, length));
        if is_even { Self::Even { start, length, count: ranges.len() } } else { Self::Each(ranges.into()) }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Even { count, .. } => *count,
            Self::Each(ranges) => ranges.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<(u64, u64)> {
        match self {
            Self::Even { start, length, count } => {
                (index < *count).then(|| (start + length * index as u64, *length))
            }
            Self::Each(ranges) => ranges.get(index).copied(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// The number of those that begin before this byte.
    pub(super) fn before(&self, byte: u64) -> usize {
        match self {
            Self::Even { start, length, count } => {
                usize::try_from(byte.saturating_sub(*start).div_ceil(*length))
                    .map_or(*count, |before| before.min(*count))
            }
            Self::Each(ranges) => ranges.partition_point(|range| range.0 < byte),
        }
    }

    /// The same with this one before `index`.
    pub(super) fn with(&self, index: usize, range: (u64, u64)) -> Self {
        match self {
            Self::Even { start, length, count }
                if index == *count && range == (start + length * index as u64, *length) =>
            {
                Self::Even { start: *start, length: *length, count: count + 1 }
            }
            Self::Even { .. } => {
                let mut ranges = Vec::with_capacity(self.len() + 1);
                ranges.extend(self.iter());
                ranges.insert(index, range);
                Self::of(ranges)
            }
            Self::Each(ranges) => Self::of([&ranges[..index], &[range], &ranges[index..]].concat()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_one_length_without_gaps_are_one_run_whatever_order_they_come_in() {
        let [first, second, third] = [(10, 5), (15, 5), (20, 5)];
        let even = |count| Ranges::Even { start: 10, length: 5, count };
        assert_eq!(Ranges::of(vec![first]), even(1));
        assert_eq!(even(1).with(1, second), even(2));
        assert_eq!(even(2).with(2, third), even(3));
        let gap = even(1).with(1, third);
        assert_eq!(gap, Ranges::Each([first, third].into()));
        assert_eq!(gap.with(1, second), even(3));
        let late = Ranges::of(vec![second]).with(1, third);
        assert_eq!(late.with(0, first), even(3));
        assert_eq!(even(1).with(1, (15, 4)), Ranges::Each([first, (15, 4)].into()));
        assert_eq!(Ranges::of(Vec::new()).len(), 0);
    }

    #[test]
    fn a_run_tells_the_same_as_a_list() {
        let list = [(10, 5), (15, 5), (20, 5)];
        let (run, each) = (Ranges::of(list.into()), Ranges::Each(list.into()));
        assert!(run.iter().eq(each.iter()) && run.iter().eq(list));
        assert_eq!((run.get(2), run.get(3)), (each.get(2), each.get(3)));
        for byte in (0..30).chain([u64::MAX]) {
            assert_eq!(run.before(byte), each.before(byte), "before {byte}");
        }
        // What ends with the last byte that can be numbered.
        let last = Ranges::of(vec![(u64::MAX - 1, 1)]);
        assert_eq!((last.len(), last.before(u64::MAX)), (1, 1));
    }
}
