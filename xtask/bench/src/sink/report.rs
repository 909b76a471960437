//! What the sink saw, for whoever asks: when bytes of files began to come, and when the last of them were answered.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// What came since the last time somebody asked.
#[derive(Debug, Default)]
pub(super) struct Report(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    first: Option<Instant>,
    last: Option<Instant>,
    told: Told,
}

/// The part phase: from the first byte of the first part to the answer to the last. A file in one request is one part.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) seconds: f64,
    /// The lengths of the bodies, forms and all.
    pub(crate) bytes: u64,
    pub(crate) parts: u64,
    pub(crate) largest: u64,
    pub(crate) smallest: u64,
}

impl Report {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body of a part begins to come.
    pub(super) fn begin(&self) {
        self.seen().first.get_or_insert_with(Instant::now);
    }

    /// A part of so many bytes has been answered.
    pub(super) fn end(&self, bytes: u64) {
        let mut seen = self.seen();
        seen.last = Some(Instant::now());
        let told = &mut seen.told;
        told.bytes += bytes;
        told.parts += 1;
        told.largest = told.largest.max(bytes);
        told.smallest = if told.parts == 1 { bytes } else { told.smallest.min(bytes) };
    }

    /// Tells and forgets.
    pub(super) fn tell(&self) -> Told {
        let seen = std::mem::take(&mut *self.seen());
        let seconds = match (seen.first, seen.last) {
            (Some(first), Some(last)) => (last - first).as_secs_f64(),
            _ => 0.0,
        };
        Told { seconds, ..seen.told }
    }
}
