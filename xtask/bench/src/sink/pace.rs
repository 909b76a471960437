//! A link of limited rate.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How far ahead of its rate a link may be: what a router would keep in its queue.
const SLACK: Duration = Duration::from_millis(2);

/// A rate that one or several connections share; each has a clone.
pub(super) struct Pace {
    bits_per_second: f64,
    /// When what has come so far would have come at this rate.
    due: Arc<Mutex<Instant>>,
    slept: Mutex<Slept>,
}

/// How the last sleep ended.
#[derive(Clone, Copy)]
struct Slept {
    woke: Instant,
    late: Duration,
}

impl Slept {
    /// How much of the time that has passed was this process's own: a link goes on while its sink is waiting for a
    /// processor. What came only later had not been sent.
    fn late(self, now: Instant) -> Duration {
        if now.duration_since(self.woke) < SLACK { self.late } else { Duration::ZERO }
    }
}

impl Clone for Pace {
    fn clone(&self) -> Self {
        let slept = Slept { woke: Instant::now(), late: Duration::ZERO };
        Self { bits_per_second: self.bits_per_second, due: self.due.clone(), slept: slept.into() }
    }
}

impl Pace {
    pub(super) fn of_rate(bits_per_second: u64) -> Self {
        let now = Instant::now();
        let slept = Slept { woke: now, late: Duration::ZERO };
        Self { bits_per_second: bits_per_second as f64, due: Arc::new(Mutex::new(now)), slept: slept.into() }
    }

    /// How many bytes come in about a millisecond: reading more at once would come in bursts.
    pub(super) fn piece(&self) -> usize {
        ((self.bits_per_second / 8e3) as usize).clamp(4096, 256 * 1024)
    }

    /// So many bytes have come: waits until they may have.
    pub(super) fn took(&self, bytes: usize) {
        let now = Instant::now();
        let mut slept = self.slept.lock().unwrap_or_else(PoisonError::into_inner);
        let due = {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            let behind = SLACK + slept.late(now);
            *due = (*due).max(now.checked_sub(behind).unwrap_or(now))
                + Duration::from_secs_f64(bytes as f64 * 8.0 / self.bits_per_second);
            *due
        };
        thread::sleep(due.saturating_duration_since(now));
        let woke = Instant::now();
        *slept = Slept { woke, late: woke.saturating_duration_since(due) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_awakening_is_made_up_for_and_a_pause_of_the_sender_is_not() {
        let now = Instant::now();
        let slept = Slept { woke: now, late: Duration::from_millis(7) };
        assert_eq!(slept.late(now), Duration::from_millis(7));
        assert_eq!(slept.late(now + Duration::from_millis(3)), Duration::ZERO);
    }
}
