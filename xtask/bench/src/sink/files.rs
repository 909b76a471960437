//! How long the files are: all that the sink keeps of them.

use std::sync::{Mutex, PoisonError};

/// The lengths of the files whose uploads were begun, in the order in which that was.
pub(super) struct Files {
    announced: Mutex<Vec<u64>>,
    /// Of files that nobody uploaded.
    other: u64,
}

impl Files {
    pub(super) fn of_length(other: u64) -> Self {
        Self { announced: Mutex::default(), other }
    }

    /// The number of an upload that shall have so many bytes.
    pub(super) fn announce(&self, length: u64) -> usize {
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        announced.push(length);
        announced.len()
    }

    pub(super) fn length(&self, number: usize) -> u64 {
        let announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        number.checked_sub(1).and_then(|index| announced.get(index).copied()).unwrap_or(self.other)
    }
}
