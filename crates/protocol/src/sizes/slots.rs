//! What each of several connections carries.

use std::time::Duration;

/// What each connection carried with its last piece, in bytes a second. Which one a piece has is known only as far as this: one
/// that is free takes the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots(Vec<Option<f64>>);

/// What connections carry, in bytes a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// What the connection that takes the next piece carried, or what one carries on average.
    pub(crate) own: Option<f64>,
    pub(crate) usual: f64,
    /// What all carry together that are or may be busy.
    pub(crate) together: f64,
}

impl Slots {
    /// The first connection that is not taken.
    pub(crate) fn free(is_taken: impl Fn(usize) -> bool) -> usize {
        (0..).find(|slot| !is_taken(*slot)).unwrap_or_default()
    }

    /// A piece of so many bytes got there, which took so long and moved for a part of it. However long a service takes to answer,
    /// connections are to move bytes for most of the time.
    pub(crate) fn carried(&mut self, slot: usize, bytes: u64, took: Duration, moving: Duration) {
        if slot >= self.0.len() {
            self.0.resize(slot + 1, None);
        }
        self.0[slot] = Some(bytes as f64 / moving.max(took / 2).as_secs_f64());
    }

    /// What one carried with its last piece, if it has had any.
    pub(crate) fn of(&self, slot: usize) -> Option<f64> {
        self.0.get(slot).copied().flatten()
    }

    /// What is known of so many connections; of those that are given up, nothing counts.
    pub(crate) fn known(&self, window: usize) -> impl Iterator<Item = f64> {
        self.0.iter().take(window).flatten().copied()
    }

    /// What one of so many connections carries on average, if anything is known of them.
    pub(crate) fn usual(&self, window: usize) -> Option<f64> {
        let (count, sum) =
            self.known(window).fold((0_u32, 0.0), |(count, sum), rate| (count + 1, sum + rate));
        (count > 0).then(|| sum / f64::from(count))
    }

    /// The rates for a piece on `slot` while `others` are busy, of so many connections that may be.
    pub(crate) fn rates(
        &self,
        slot: usize,
        others: impl ExactSizeIterator<Item = usize>,
        window: usize,
    ) -> Rates {
        let usual = self.usual(window);
        let rate_of = |slot: usize| self.of(slot).or(usual);
        let own = rate_of(slot);
        let idle = window.saturating_sub(others.len() + 1) as f64 * usual.unwrap_or_default();
        let others: f64 = others.filter_map(rate_of).sum();
        Rates { own, usual: usual.unwrap_or_default(), together: others + own.unwrap_or_default() + idle }
    }
}
