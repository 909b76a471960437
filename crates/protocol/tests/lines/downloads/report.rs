//! What is seen of a download from outside.

use std::{collections::BTreeMap, ops::Range, time::Duration};

/// What one download came to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) ended: Duration,
    /// Requests for content, and the bytes that they asked for.
    pub(crate) requests: u64,
    pub(crate) asked: u64,
    /// The most that one asked for, and the most that were under way at once.
    pub(crate) largest: u64,
    pub(crate) most_at_once: usize,
    /// Requests that found no connection.
    pub(crate) refused: u64,
    /// Bytes that were received, and how many of them were there already.
    pub(crate) received: u64,
    pub(crate) twice: u64,
    /// The error that it ended with.
    pub(crate) failure: Option<String>,
    /// The ranges that were written, by where they begin; none touches the next.
    written: BTreeMap<u64, u64>,
}

impl Report {
    /// A request leaves, with which so many are under way.
    pub(crate) fn asks(&mut self, bytes: u64, at_once: usize) {
        self.requests += 1;
        self.asked += bytes;
        self.largest = self.largest.max(bytes);
        self.most_at_once = self.most_at_once.max(at_once);
    }

    /// These bytes are written.
    pub(crate) fn writes(&mut self, new: Range<u64>) {
        if new.is_empty() {
            return;
        }
        self.received += new.end - new.start;
        let before = self.written();
        let (mut start, mut end) = (new.start, new.end);
        while let Some((first, behind)) = self.touching(start..end) {
            self.written.remove(&first);
            (start, end) = (start.min(first), end.max(behind));
        }
        self.written.insert(start, end);
        self.twice += before + (new.end - new.start) - self.written();
    }

    /// How many bytes are there.
    pub(crate) fn written(&self) -> u64 {
        self.written.iter().map(|(start, end)| end - start).sum()
    }

    fn touching(&self, range: Range<u64>) -> Option<(u64, u64)> {
        let last = self.written.range(..=range.end).next_back()?;
        (*last.1 >= range.start).then_some((*last.0, *last.1))
    }
}
