//! Sleep of the machine: time in which only the monotonic clock stands still.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// No connection is lost in a shorter sleep.
pub const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

/// Tells how long the machine has slept: the system, or what a test puts in its place.
#[derive(Clone, Default)]
pub struct SleepClock(Option<Arc<dyn Fn() -> Duration + Send + Sync>>);

impl SleepClock {
    /// A clock of the caller's.
    pub fn of(clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(clock)))
    }

    /// How long the machine has slept since it was started; zero where the system does not tell. Steps of the wall clock
    /// change nothing.
    #[must_use]
    pub fn slept(&self) -> Duration {
        self.0.as_ref().map_or_else(slept, |clock| clock())
    }
}

impl fmt::Debug for SleepClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SleepClock").finish_non_exhaustive()
    }
}

/// How far the time since the start is ahead of the time awake.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn slept() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    // In this order it is never too much.
    let since_start = read(ClockId::Boottime);
    since_start.saturating_sub(read(ClockId::Monotonic))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn slept() -> Duration {
    Duration::ZERO
}

/// Sees each sleep once.
#[derive(Debug)]
pub struct SleepWatch {
    clock: SleepClock,
    seen: Mutex<Duration>,
}

impl SleepWatch {
    /// A watch that has seen all sleeps so far.
    #[must_use]
    pub fn new(clock: SleepClock) -> Self {
        Self { seen: Mutex::new(clock.slept()), clock }
    }

    /// How long the machine has slept since this was last asked, if it has. `tell` is told of it first: nobody else finds a
    /// sleep seen that was not told yet.
    pub fn look(&self, tell: impl FnOnce(Duration)) -> Option<Duration> {
        let slept = self.clock.slept();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let new = slept.saturating_sub(*seen);
        if new < SHORTEST_SLEEP {
            return None;
        }
        tell(new);
        *seen = slept;
        Some(new)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    #[test]
    fn each_sleep_is_seen_once_and_what_is_too_short_is_none() {
        let slept = Arc::new(AtomicU64::new(7_000));
        let clock = SleepClock::of({
            let slept = slept.clone();
            move || Duration::from_millis(slept.load(Relaxed))
        });
        let watch = SleepWatch::new(clock);
        let look = || watch.look(|_| {});
        assert_eq!(look(), None, "it was before");
        slept.fetch_add(999, Relaxed);
        assert_eq!(look(), None);
        slept.fetch_add(60_000, Relaxed);
        assert_eq!(look(), Some(Duration::from_millis(60_999)));
        assert_eq!(look(), None);
    }

    #[test]
    fn nobody_looks_past_a_sleep_that_is_being_told() {
        let slept = Arc::new(AtomicU64::new(0));
        let clock = SleepClock::of({
            let slept = slept.clone();
            move || Duration::from_secs(slept.load(Relaxed))
        });
        let watch = SleepWatch::new(clock);
        slept.store(60, Relaxed);
        let mut told = Vec::new();
        watch.look(|new| told.push((new, watch.seen.try_lock().is_err())));
        assert_eq!(told, [(Duration::from_secs(60), true)]);
    }

    #[test]
    fn a_machine_that_is_awake_has_not_slept() {
        let watch = SleepWatch::new(SleepClock::default());
        for _ in 0..1000 {
            assert_eq!(watch.look(|_| {}), None);
        }
    }
}
