//! How a file is cut into parts: large ones first, and smaller ones towards the end.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::SourceRange;

const MIB: u64 = 1 << 20;
/// Smaller parts spend a noticeable share of their time waiting for the answer.
const SMALLEST_DEFAULT: u64 = 8 * MIB;
/// Larger parts lose too much when one fails; it is also the most that OpenAI takes.
const LARGEST_DEFAULT: u64 = 64 * MIB;
/// Cuts stay on whole pages.
const ALIGNMENT: u64 = 64 * 1024;
/// So many full parts a connection, which with the smaller ones makes about eight. With fewer, one that a slow connection
/// takes outlasts the rest of a file of some hundred megabytes; with more, fast connections wait for answers instead.
const FULL_PARTS_PER_CONNECTION: u64 = 4;

// What a wave at the end takes of what is left, and how small its parts may become. Chosen with the model in the tests,
// 40 ms an answer, over 64 MiB to 8 GB, up to 16 connections and one that is 2 to 8 times slower than the others:
// larger shares than two fifths leave a slow connection with a part that outlasts everything else (one half: 1.23 of
// the ideal for 2 GiB over four connections of which one has a quarter of the rate, two fifths: 1.11), smaller ones and
// smaller parts add waves, and every wave waits for an answer once (eight full parts a connection reach 0.971 of the
// link, three more waves 0.961).

/// The share of what is left that a wave takes: two fifths.
const WAVE: (u64, u64) = (2, 5);
/// The smallest part is this fraction of the largest, give or take what makes the last wave a whole one.
const SMALLEST_FRACTION: u64 = 4;

/// Where the parts of one file begin and end, by position. As small as the number of different sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    length: u64,
    count: u64,
    /// At least one, in the order of the file.
    runs: Vec<Run>,
}

/// Parts of one size, side by side. Of the last run, the last part may be smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// The position of its first part.
    first: u64,
    /// Where that begins in the file.
    start: u64,
    size: u64,
}

/// A run behind the first, as a checkpoint writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TailRun {
    size: u64,
    count: u64,
}

impl Cut {
    /// Parts of one size, which is not zero.
    pub(super) fn equal(length: u64, size: u64) -> Self {
        Self { length, count: length.div_ceil(size), runs: vec![Run { first: 0, start: 0, size }] }
    }

    /// What suits a file of this length over so many connections, none of whose rates is known: full parts, and then
    /// waves of one part a connection that get smaller, so that a part which a slow connection takes late costs little.
    /// `limit`, the most that the service takes, is not zero.
    pub(super) fn fitting(length: u64, parallel: u16, limit: u64) -> Self {
        let full = fitting_size(length, parallel, limit);
        match u64::from(parallel) {
            // Nobody waits for a straggler.
            0 | 1 => Self::equal(length, full),
            parallel => Self::in_waves(length, parallel, full),
        }
    }

    fn in_waves(length: u64, parallel: u64, full: u64) -> Self {
        let smallest = (full / SMALLEST_FRACTION).max(1);
        let alignment = if smallest < ALIGNMENT { 1 } else { ALIGNMENT };
        let mut cut = Self { length, count: 0, runs: Vec::new() };
        let mut left = length;
        let mut push = |size, count: u64, left: &mut u64| {
            if count > 0 && cut.runs.last().is_none_or(|run| run.size != size) {
                cut.runs.push(Run { first: cut.count, start: length - *left, size });
            }
            cut.count += count;
            *left = left.saturating_sub(size.saturating_mul(count));
        };
        let share = |left: u64| (left / (WAVE.1 * parallel) * WAVE.0).next_multiple_of(alignment);
        let tail = (full * parallel * WAVE.1).div_ceil(WAVE.0);
        let full_waves = left.checked_sub(tail).map_or(0, |before| before / (full * parallel) + 1);
        push(full, full_waves * parallel, &mut left);
        while share(left) > smallest {
            push(share(left).min(full), parallel, &mut left);
        }
        // Whole waves to the end: no connection has a part more to send than the others.
        let waves = left.div_ceil(parallel * smallest).max(1);
        let size = left.div_ceil(waves * parallel).max(smallest / 2).next_multiple_of(alignment).min(full);
        push(size, left.div_ceil(size), &mut left);
        cut
    }

    /// The cut that a checkpoint describes: so many parts, all of `size` but those of the tail. `None` when these are not
    /// the parts of a file of this length.
    pub(super) fn saved(length: u64, size: u64, tail: &[TailRun], count: usize) -> Option<Self> {
        let count = u64::try_from(count).ok()?;
        let in_tail = tail.iter().try_fold(0_u64, |sum, run| sum.checked_add(run.count))?;
        let head = TailRun { size, count: count.checked_sub(in_tail)? };
        let mut cut = Self { length, count: 0, runs: Vec::with_capacity(1 + tail.len()) };
        // The last part may reach beyond what 64 bits hold, before it is cut short by the end of the file.
        let (mut end, mut last) = (0_u128, 0);
        for run in std::iter::once(&head).chain(tail) {
            let start = u64::try_from(end).ok()?;
            if run.size == 0 || run.count == 0 {
                return None;
            }
            cut.runs.push(Run { first: cut.count, start, size: run.size });
            cut.count += run.count;
            last = u128::from(run.size);
            end += last * u128::from(run.count);
        }
        let length = u128::from(length);
        (end >= length && end - last < length).then_some(cut)
    }

    /// How many parts there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The size of the parts before the tail.
    pub(super) fn part_size(&self) -> u64 {
        self.runs[0].size
    }

    /// The parts that are not of that size, for a checkpoint; empty when all are.
    pub(super) fn tail(&self) -> Vec<TailRun> {
        let ends = self.runs.iter().skip(2).map(|run| run.first).chain([self.count]);
        let runs = self.runs.iter().skip(1);
        runs.zip(ends).map(|(run, end)| TailRun { size: run.size, count: end - run.first }).collect()
    }

    /// Where this part lies in the file.
    pub(super) fn range(&self, index: usize) -> SourceRange {
        let index = index as u64;
        let behind = self.runs.partition_point(|run| run.first <= index);
        let run = self.runs[behind.saturating_sub(1)];
        let start = run.start.saturating_add(run.size.saturating_mul(index - run.first)).min(self.length);
        SourceRange::new(start, start.saturating_add(run.size).min(self.length))
    }
}

/// The size of the largest parts that suit a file of this length over so many connections.
pub(super) fn fitting_size(length: u64, parallel: u16, limit: u64) -> u64 {
    let largest = LARGEST_DEFAULT.min(limit);
    let smallest = SMALLEST_DEFAULT.min(largest);
    let parts = match u64::from(parallel) {
        0 | 1 => length.div_ceil(largest).max(1),
        parallel => FULL_PARTS_PER_CONNECTION * parallel,
    };
    length.div_ceil(parts).min(largest).next_multiple_of(ALIGNMENT).clamp(smallest, largest)
}
