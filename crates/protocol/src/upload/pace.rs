//! How fast the machine may go: one gate and one window for the whole upload.

use std::time::Duration;

use super::RequestId;

/// Additive increase, multiplicative decrease, and a gate that nothing passes before it opens.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// As many as may ever fly, as far as is known now.
    ceiling: u16,
    window: u16,
    successes: u16,
    gate: Duration,
    /// The gate's time before this has passed or was counted.
    counted: Duration,
    held: Duration,
    /// Refusals of requests older than this tell nothing new: the window was halved after they were sent.
    halved_before: Option<RequestId>,
}

impl Pace {
    pub(super) fn new(ceiling: u16) -> Self {
        Self {
            ceiling,
            window: ceiling,
            successes: 0,
            gate: Duration::ZERO,
            counted: Duration::ZERO,
            held: Duration::ZERO,
            halved_before: None,
        }
    }

    /// How many parts may be in flight now.
    pub(super) fn window(&self) -> u16 {
        self.window
    }

    /// More or fewer may be in flight from now on. What overload has taken away comes back by success alone.
    pub(super) fn set_ceiling(&mut self, ceiling: u16) {
        self.window = if self.window == self.ceiling { ceiling } else { self.window.min(ceiling) };
        self.ceiling = ceiling;
    }

    /// When the next request may leave.
    pub(super) fn gate(&self) -> Duration {
        self.gate
    }

    /// How long the gate was closed so far.
    pub(super) fn held(&self) -> Duration {
        self.held
    }

    /// Time passes.
    pub(super) fn pass(&mut self, now: Duration) {
        self.held += now.min(self.gate).saturating_sub(self.counted);
        self.counted = self.counted.max(now);
    }

    /// The service is overloaded: nothing goes before `until`, and half as much at a time from then on. Whether that is
    /// news: of requests that were in flight together, the first refusal says all.
    pub(super) fn hold(
        &mut self,
        now: Duration,
        until: Duration,
        refused: RequestId,
        next: RequestId,
    ) -> bool {
        self.pass(now);
        self.gate = self.gate.max(until);
        let is_news = self.halved_before.is_none_or(|before| refused >= before);
        if is_news {
            self.window = (self.window / 2).max(1);
            self.successes = 0;
            self.halved_before = Some(next);
        }
        is_news
    }

    /// A part was taken: a whole window of them earns one more in flight.
    pub(super) fn success(&mut self) {
        self.successes += 1;
        if self.successes >= self.window && self.window < self.ceiling {
            self.window += 1;
            self.successes = 0;
        }
        self.successes = self.successes.min(self.ceiling);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_one_wave_halve_once_and_success_raises_slowly() {
        let mut pace = Pace::new(8);
        let until = Duration::from_secs(5);
        for id in 0..8 {
            assert_eq!(pace.hold(Duration::ZERO, until, RequestId(id), RequestId(8)), id == 0);
        }
        assert_eq!((pace.window(), pace.gate()), (4, until));
        pace.hold(Duration::ZERO, Duration::from_secs(1), RequestId(8), RequestId(9));
        assert_eq!((pace.window(), pace.gate()), (2, until));
        let mut windows = Vec::new();
        for _ in 0..40 {
            pace.success();
            windows.push(pace.window());
        }
        assert_eq!(windows[..9], [2, 3, 3, 3, 4, 4, 4, 4, 5]);
        assert_eq!(windows.last(), Some(&8));
    }

    #[test]
    fn another_ceiling_is_the_window_unless_overload_holds_it_down() {
        let mut pace = Pace::new(4);
        pace.set_ceiling(8);
        assert_eq!(pace.window(), 8);
        pace.hold(Duration::ZERO, Duration::ZERO, RequestId(0), RequestId(1));
        pace.set_ceiling(16);
        assert_eq!(pace.window(), 4);
        pace.set_ceiling(2);
        assert_eq!(pace.window(), 2);
    }

    #[test]
    fn at_least_one_part_may_always_fly() {
        let mut pace = Pace::new(2);
        for id in 0..5 {
            pace.hold(Duration::ZERO, Duration::ZERO, RequestId(id), RequestId(id + 1));
        }
        assert_eq!(pace.window(), 1);
    }

    #[test]
    fn the_gate_counts_the_time_that_it_was_closed_and_no_time_twice() {
        let seconds = Duration::from_secs;
        let mut pace = Pace::new(2);
        let mut hold = |now, until| {
            pace.hold(seconds(now), seconds(until), RequestId(0), RequestId(1));
            pace.pass(seconds(until));
            pace.held()
        };
        assert_eq!(hold(10, 12), seconds(2));
        assert_eq!(hold(11, 13), seconds(3), "two refusals of one moment hold once");
        assert_eq!(hold(20, 25), seconds(8));
        pace.hold(seconds(30), seconds(90), RequestId(0), RequestId(1));
        pace.pass(seconds(31));
        assert_eq!(pace.held(), seconds(9), "what has not passed yet is not counted");
    }
}
