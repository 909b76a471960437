//! A least rate that a peer has to keep, averaged over a time.

use std::time::Duration;

/// An allowance of waiting: bytes that move fill it, waiting for the peer drains it.
///
/// It is full at the beginning. A peer that moves at least `rate` bytes for each second that it was waited for never
/// drains it, whatever the bursts; one that moves nothing drains it in the `window`.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// Bytes a second; 0 asks for nothing.
    rate: u64,
    window: Duration,
    unseen: Duration,
    allowance: Duration,
}

impl Pace {
    pub(crate) fn new(rate: u64, window: Duration) -> Self {
        Self { rate, window, unseen: Duration::ZERO, allowance: window }
    }

    /// Waits longer, by the time that these bytes take at the least rate: bytes that may have moved unseen.
    pub(crate) fn set_unseen(&mut self, bytes: u64) {
        self.unseen = self.time_for(bytes);
    }

    /// Starts over with a full allowance.
    pub(crate) fn restart(&mut self) {
        self.allowance = self.most();
    }

    pub(crate) fn moved(&mut self, bytes: u64) {
        self.allowance = self.allowance.saturating_add(self.time_for(bytes)).min(self.most());
    }

    pub(crate) fn waited(&mut self, time: Duration) {
        if self.rate > 0 {
            self.allowance = self.allowance.saturating_sub(time);
        }
    }

    /// The time that the peer may still be waited for; `None` without a least rate.
    pub(crate) fn left(&self) -> Option<Duration> {
        (self.rate > 0).then_some(self.allowance)
    }

    fn most(&self) -> Duration {
        self.window.saturating_add(self.unseen)
    }

    fn time_for(&self, bytes: u64) -> Duration {
        match bytes.saturating_mul(1_000_000).checked_div(self.rate) {
            Some(micros) => Duration::from_micros(micros),
            None => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lasts(bytes_per_wait: u64, wait: Duration) -> bool {
        let mut pace = Pace::new(1024, 60 * SECOND);
        for _ in 0..10_000 {
            pace.waited(wait);
            if pace.left() == Some(Duration::ZERO) {
                return false;
            }
            pace.moved(bytes_per_wait);
        }
        true
    }

    #[test]
    fn who_keeps_the_rate_lasts_whatever_the_bursts() {
        assert!(lasts(1024, SECOND));
        assert!(lasts(59 * 1024, 59 * SECOND));
        assert!(lasts(1 << 40, 59 * SECOND));
        assert!(!lasts(1000, SECOND));
        assert!(!lasts(1, SECOND));
        assert!(!lasts(1 << 40, 60 * SECOND));
    }

    #[test]
    fn who_moves_nothing_is_waited_for_as_long_as_the_window() {
        let mut pace = Pace::new(1024, 60 * SECOND);
        pace.moved(1 << 40);
        pace.waited(59 * SECOND);
        assert_eq!(pace.left(), Some(SECOND));
        pace.waited(2 * SECOND);
        assert_eq!(pace.left(), Some(Duration::ZERO));
        pace.restart();
        assert_eq!(pace.left(), Some(60 * SECOND));
        pace.set_unseen(10 * 1024);
        pace.restart();
        assert_eq!(pace.left(), Some(70 * SECOND));
    }

    #[test]
    fn a_window_that_never_ends_never_ends() {
        let mut pace = Pace::new(1, Duration::MAX);
        pace.set_unseen(u64::MAX);
        pace.restart();
        pace.moved(u64::MAX);
        assert_eq!(pace.left(), Some(Duration::MAX));
    }

    #[test]
    fn without_a_rate_there_is_no_end() {
        let mut pace = Pace::new(0, 60 * SECOND);
        pace.waited(1000 * SECOND);
        pace.moved(1);
        assert_eq!(pace.left(), None);
    }
}
