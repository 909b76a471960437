//! How long a service takes to answer, and how long an answer is therefore waited for.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// An answer is waited for so many times as long as one took before.
const TIMES: u32 = 3;
/// No answer takes as long as this.
const UNKNOWN: u64 = u64::MAX;

/// How long the answers to parts took, from the last byte of the body on.
#[derive(Debug)]
pub(super) struct AnswerTimes {
    /// Milliseconds that the slowest took; [`UNKNOWN`] before the first. A slower one is forgotten by and by.
    longest: AtomicU64,
}

impl Default for AnswerTimes {
    fn default() -> Self {
        Self { longest: AtomicU64::new(UNKNOWN) }
    }
}

impl AnswerTimes {
    /// The answer to a part came after so long.
    pub(super) fn answered(&self, waited: Duration) {
        let waited = millis(waited);
        let slowest = |before| if before == UNKNOWN { waited } else { waited.max(before - before / 64) };
        self.update(slowest);
    }

    /// There was none for so long: the next may need more.
    pub(super) fn not_answered(&self, waited: Duration) {
        let longer = millis(waited * 2 / TIMES);
        self.update(|before| if before == UNKNOWN { longer } else { longer.max(before) });
    }

    fn update(&self, update: impl Fn(u64) -> u64) {
        let _ = self.longest.fetch_update(Relaxed, Relaxed, |before| Some(update(before)));
    }

    /// How long the answer to a part may take that moves nothing meanwhile; `None` before the first.
    pub(super) fn due(&self) -> Option<Duration> {
        let longest = Some(self.longest.load(Relaxed)).filter(|longest| *longest != UNKNOWN);
        longest.map(|longest| Duration::from_millis(longest) * TIMES)
    }
}

fn millis(time: Duration) -> u64 {
    // Within a year, so that no product overflows.
    u64::try_from(time.as_millis()).unwrap_or(UNKNOWN).min(365 * 24 * 3600 * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_answer_is_waited_for_as_others_took_and_longer_after_each_that_did_not_come() {
        let times = AnswerTimes::default();
        assert_eq!(times.due(), None);
        times.answered(Duration::from_millis(6400));
        assert_eq!(times.due(), Some(Duration::from_millis(19_200)));
        times.answered(seconds(1));
        assert_eq!(
            times.due(),
            Some(Duration::from_millis(18_900)),
            "what took longer is forgotten by and by"
        );
        for due in [60, 120, 240] {
            times.not_answered(seconds(due / 2));
            assert_eq!(times.due(), Some(seconds(due)));
        }
        times.not_answered(seconds(10));
        assert_eq!(times.due(), Some(seconds(240)));
        times.answered(Duration::MAX);
        assert!(times.due().is_some());
    }
}
