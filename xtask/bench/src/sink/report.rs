//! What the sink saw, for whoever asks: when bytes of files began to come, and when the last of them were answered.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How long the connections of a client that has ended may take to be seen to end.
const GONE: Duration = Duration::from_secs(1);

/// What came since the last time somebody asked.
#[derive(Debug, Default)]
pub(super) struct Report(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    first: Option<Instant>,
    last: Option<Instant>,
    open: u64,
    told: Told,
}

/// The part phase: from the first byte of the first part to the answer to the last. A file in one request is one part.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) seconds: f64,
    /// The lengths of the bodies that were answered, forms and all.
    pub(crate) bytes: u64,
    /// All bytes of bodies that came, of those too that broke off.
    pub(crate) came: u64,
    /// What of it came over the slow connection.
    pub(crate) came_slowly: u64,
    /// The most connections that were open at once, for whatever.
    pub(crate) connections: u64,
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

    /// A connection begins.
    pub(super) fn open(&self) {
        let mut seen = self.seen();
        seen.open += 1;
        seen.told.connections = seen.told.connections.max(seen.open);
    }

    /// A connection has ended.
    pub(super) fn close(&self) {
        self.seen().open -= 1;
    }

    /// So many bytes of a part have come, or of what might have become one.
    pub(super) fn came(&self, bytes: u64, is_slow: bool) {
        let told = &mut self.seen().told;
        told.came += bytes;
        told.came_slowly += if is_slow { bytes } else { 0 };
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

    /// Tells and forgets. Whoever asks after a client has ended is not told of its connections again.
    pub(super) fn tell(&self) -> Told {
        let begin = Instant::now();
        while self.seen().open > 0 && begin.elapsed() < GONE {
            thread::sleep(Duration::from_millis(1));
        }
        let seen = {
            let mut seen = self.seen();
            let open = seen.open;
            let told = Told { connections: open, ..Told::default() };
            std::mem::replace(&mut *seen, Seen { open, told, ..Seen::default() })
        };
        let seconds = match (seen.first, seen.last) {
            (Some(first), Some(last)) => (last - first).as_secs_f64(),
            _ => 0.0,
        };
        Told { seconds, ..seen.told }
    }
}
