//! The time as identifiers have it: finer than a second, and never the same twice.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use partwise_models::UnixSeconds;

/// The bits of a moment below its seconds: room for a million microseconds.
const FINE_BITS: u32 = 20;
/// The bits of a moment's seconds: 35,000 years.
const SECOND_BITS: u32 = 40;
/// The bits of a moment.
pub(crate) const MOMENT_BITS: u32 = SECOND_BITS + FINE_BITS;
/// The distance by which a clock may be set back before what is made follows it: within this the order of what was made counts more, beyond
/// it the time.
const TOLERANCE: u64 = 2 << FINE_BITS;

/// A point in time since 1970, in microseconds. What is before is 1970, and what does not fit is the end of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) const MAX: Self = Self((1 << MOMENT_BITS) - 1);

    pub(crate) fn new(seconds: UnixSeconds, micros: u32) -> Self {
        if seconds.0 >> SECOND_BITS != 0 {
            return Self(((1 << SECOND_BITS) - 1) << FINE_BITS);
        }
        Self(seconds.0 << FINE_BITS | u64::from(micros.min(999_999)))
    }

    /// The time of the system's clock.
    pub(crate) fn of(time: SystemTime) -> Self {
        let since_epoch: Duration = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::new(UnixSeconds(since_epoch.as_secs()), since_epoch.subsec_micros())
    }

    pub(crate) fn seconds(self) -> UnixSeconds {
        UnixSeconds(self.0 >> FINE_BITS)
    }

    /// As a number of [`MOMENT_BITS`] bits, whose order is that of time.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits.min(Self::MAX.0))
    }
}

impl From<UnixSeconds> for Moment {
    fn from(seconds: UnixSeconds) -> Self {
        Self::new(seconds, 0)
    }
}

/// The moments that one process has given away.
#[derive(Debug, Default)]
pub(crate) struct Sequence(AtomicU64);

impl Sequence {
    /// A moment behind all before it: `now`, or as little later as that takes while a clock stands still or is set back a
    /// little. A clock that is set far back is followed.
    pub(crate) fn next(&self, now: Moment) -> Moment {
        let after = |last: u64| {
            let is_ahead = last >= now.0 && last - now.0 <= TOLERANCE;
            if is_ahead { (last + 1).min(Moment::MAX.0) } else { now.0 }
        };
        let last = self.0.fetch_update(Relaxed, Relaxed, |last| Some(after(last)));
        Moment(after(last.unwrap_or_else(|last| last)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64, micros: u32) -> Moment {
        Moment::new(UnixSeconds(seconds), micros)
    }

    #[test]
    fn what_no_clock_should_say_is_a_moment_too() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(86_400);
        assert_eq!(Moment::of(before), at(0, 0));
        for seconds in [1 << 40, u64::MAX] {
            assert_eq!(at(seconds, 5).seconds(), UnixSeconds((1 << 40) - 1));
        }
        let sequence = Sequence::default();
        for _ in 0..3 {
            assert_eq!(sequence.next(Moment::MAX), Moment::MAX);
        }
        assert_eq!(sequence.next(at(0, 0)), at(0, 0));
    }

    #[test]
    fn a_clock_that_stands_still_gives_moments_of_its_second() {
        let sequence = Sequence::default();
        let moments: Vec<Moment> = (0..10_000).map(|_| sequence.next(at(7, 0))).collect();
        assert!(moments.is_sorted_by(|earlier, later| earlier < later));
        assert!(moments.iter().all(|moment| moment.seconds() == UnixSeconds(7)));
    }

    #[test]
    fn threads_never_get_the_same_moment() {
        let sequence = Sequence::default();
        let mut moments: Vec<Moment> = std::thread::scope(|scope| {
            let take = || (0..1000).map(|_| sequence.next(at(7, 0))).collect::<Vec<_>>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        moments.sort();
        assert!(moments.is_sorted_by(|earlier, later| earlier < later));
    }

    proptest! {
        #[test]
        fn moments_increase_until_the_clock_is_set_far_back(
            steps in prop::collection::vec((0u64..4, 0u32..1_000_000), 1..50), back in 10u64..1_000_000,
        ) {
            let sequence = Sequence::default();
            let (mut seconds, mut last) = (2_000_000, at(0, 0));
            for (step, micros) in steps {
                // Forwards by up to two seconds, or back by one.
                seconds = seconds + step - 1;
                let next = sequence.next(at(seconds, micros));
                if at(seconds, micros) > last {
                    prop_assert_eq!(next, at(seconds, micros));
                } else if last.bits() - at(seconds, micros).bits() <= TOLERANCE {
                    prop_assert!(next > last);
                }
                last = next;
            }
            let back = at(last.seconds().0 - back, 5);
            prop_assert_eq!(sequence.next(back), back);
        }
    }
}
