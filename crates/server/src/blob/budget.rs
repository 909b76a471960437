//! How much each of those who write blobs may gather: the more there are, the less.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

const MIB: usize = 1024 * 1024;

/// The least that is written at once: smaller pieces cost more hand-overs between threads than they save.
const SMALLEST: usize = MIB / 4;
/// The most: up to about here, larger pieces cost the system's page cache less.
const LARGEST: usize = MIB;
/// What all are to gather together, while that is more than the smallest piece for each. Who has gathered more when others
/// come keeps it until its next bytes arrive.
const TOGETHER: usize = 8 * MIB;

/// What all who write blobs in one server may gather.
#[derive(Clone, Default)]
pub(crate) struct Budget(Arc<AtomicUsize>);

/// What one of them may, for as long as it writes.
pub(super) struct Share(Budget);

impl Budget {
    pub(super) fn join(&self) -> Share {
        self.0.fetch_add(1, Relaxed);
        Share(self.clone())
    }
}

impl Share {
    /// How many bytes are to be gathered before they are written. As many again may be on their way to the disk.
    pub(super) fn bytes(&self) -> usize {
        (TOGETHER / self.0.0.load(Relaxed).max(1)).clamp(SMALLEST, LARGEST)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_there_are_the_less_each_gathers_down_to_what_is_worth_a_write() {
        let budget = Budget::default();
        let mut shares: Vec<_> = (0..8).map(|_| budget.join()).collect();
        assert_eq!(shares[0].bytes(), MIB);
        shares.extend((0..8).map(|_| budget.join()));
        assert_eq!(shares[0].bytes(), MIB / 2);
        shares.extend((0..1000).map(|_| budget.join()));
        assert_eq!(shares[0].bytes(), MIB / 4);
        shares.truncate(1);
        assert_eq!(shares[0].bytes(), MIB);
    }
}
