//! A link of limited rate.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How far ahead of its rate a link may be: what a router would keep in its queue.
const SLACK: Duration = Duration::from_millis(2);

/// A rate that one or several connections share.
#[derive(Clone)]
pub(super) struct Pace {
    bits_per_second: f64,
    /// When what has come so far would have come at this rate.
    due: Arc<Mutex<Instant>>,
}

impl Pace {
    pub(super) fn of_rate(bits_per_second: u64) -> Self {
        Self { bits_per_second: bits_per_second as f64, due: Arc::new(Mutex::new(Instant::now())) }
    }

    /// How many bytes come in about a millisecond: reading more at once would come in bursts.
    pub(super) fn piece(&self) -> usize {
        ((self.bits_per_second / 8e3) as usize).clamp(4096, 256 * 1024)
    }

    /// So many bytes have come: waits until they may have.
    pub(super) fn took(&self, bytes: usize) {
        let now = Instant::now();
        let due = {
            let mut due = self.due.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *due = (*due).max(now.checked_sub(SLACK).unwrap_or(now))
                + Duration::from_secs_f64(bytes as f64 * 8.0 / self.bits_per_second);
            *due
        };
        thread::sleep(due.saturating_duration_since(now));
    }
}
