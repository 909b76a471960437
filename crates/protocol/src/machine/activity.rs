//! What a transfer is doing and how fast it is, for people.

use std::{collections::VecDeque, time::Duration};

use crate::retry::Offline;

/// A transfer of which nothing has moved for this long is stalled.
const SILENCE: Duration = Duration::from_secs(10);
/// The time over which the rate is measured.
const WINDOW: Duration = Duration::from_secs(10);
/// A rate measured over less says little.
const RATE_NEEDS: Duration = Duration::from_secs(2);
/// How often it is.
const MEASURE_EVERY: Duration = Duration::from_millis(200);

/// What an upload or a download is doing at one moment. Moments are on the monotonic clock of the machine's driver;
/// `now` in the same progress is on it too.
///
/// ```
/// use std::time::Duration;
///
/// use partwise_protocol::machine::TransferState;
///
/// fn describe(state: TransferState, now: Duration) -> String {
///     match state {
///         TransferState::Stalled { since } => format!("nothing has moved for {} s", (now - since).as_secs()),
///         TransferState::Offline(_) => "the service cannot be reached".to_owned(),
///         TransferState::Done => "done".to_owned(),
///         _ => "in progress".to_owned(),
///     }
/// }
///
/// let stalled = TransferState::Stalled { since: Duration::from_secs(5) };
/// assert_eq!(describe(stalled, Duration::from_secs(20)), "nothing has moved for 15 s");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransferState {
    /// Nothing of the content is on its way: it begins, or a request goes again.
    #[default]
    Connecting,
    /// The content is on its way to the service.
    Sending,
    /// The content is on its way from the service.
    Receiving,
    /// The content is on its way, but for ten seconds or more no byte of it has moved and no answer has come.
    Stalled {
        /// The moment at which anything moved last.
        since: Duration,
    },
    /// The service cannot be reached.
    Offline(Offline),
    /// The service wants no requests for now.
    RateLimited {
        /// The moment of the next request.
        until: Duration,
    },
    /// The content is compared with what it is to be: the source is hashed, looked at again or compared with the file, or
    /// what was received is compared with the file's object; or a checkpoint is saved.
    Checking,
    /// All of the content has left, and the service makes the file of it.
    Assembling {
        /// The moment at which that began.
        since: Duration,
    },
    /// The answer that names the file was lost, and the service's list is searched for it.
    Reconciling,
    /// The upload is cancelled on the service.
    Cancelling,
    /// It was asked to stop, and what is in flight is given a moment.
    Stopping,
    /// It has ended.
    Done,
}

/// Counts that show that something moves, whatever they count.
pub(crate) type Moved = (u64, u64);

/// What was seen to move, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity {
    now: Duration,
    moved: Moved,
    moved_at: Duration,
    measured_at: Option<Duration>,
    /// How many bytes were there at which moment, from the beginning of the window on.
    there: VecDeque<(Duration, u64)>,
}

impl Activity {
    /// The moment of the last look.
    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    /// The moment at which anything moved last, or nothing could.
    pub(crate) fn moved_at(&self) -> Duration {
        self.moved_at
    }

    /// Looks at what moves; `None` while nothing could.
    pub(crate) fn look(&mut self, now: Duration, moved: Option<Moved>) {
        self.now = now;
        if moved.is_none_or(|moved| moved != self.moved) {
            self.moved_at = now;
        }
        self.moved = moved.unwrap_or(self.moved);
    }

    /// Whether it is time to measure the rate.
    pub(crate) fn is_due(&self) -> bool {
        self.measured_at.is_none_or(|at| self.now.saturating_sub(at) >= MEASURE_EVERY)
    }

    /// Says whether fewer bytes are there than when the rate was last measured.
    pub(crate) fn is_less(&self, there: u64) -> bool {
        self.there.back().is_some_and(|(_, before)| there < *before)
    }

    /// Measures the rate. `there` is how many bytes this run has brought to the other side, which may go back when some of them
    /// are lost; `None` while there is no rate.
    pub(crate) fn measure(&mut self, there: Option<u64>) {
        self.measured_at = Some(self.now);
        let Some(there) = there else { return self.there.clear() };
        self.there.push_back((self.now, there));
        // The last sample before the window begins is where it is measured from.
        let begin = self.now.saturating_sub(WINDOW);
        while self.there.get(1).is_some_and(|(at, _)| *at <= begin) {
            self.there.pop_front();
        }
    }

    /// The rate is measured from this earlier moment on, at which so many bytes were there.
    pub(crate) fn measure_from(&mut self, at: Duration, there: u64) {
        self.there.clear();
        self.there.push_back((at, there));
        self.measured_at = None;
    }

    /// Since when nothing has moved, when that is long ago.
    pub(crate) fn stalled_since(&self) -> Option<Duration> {
        (self.now.saturating_sub(self.moved_at) >= SILENCE).then_some(self.moved_at)
    }

    /// Bytes per second over the last ten seconds, or over what there is of them; `None` while that says little, and when
    /// none has come.
    pub(crate) fn rate(&self) -> Option<u64> {
        let ((began, before), (ended, after)) = (*self.there.front()?, *self.there.back()?);
        let time = ended.saturating_sub(began);
        if time < RATE_NEEDS {
            return None;
        }
        let rate = u128::from(after.saturating_sub(before)) * 1000 / time.as_millis().max(1);
        (rate > 0).then(|| u64::try_from(rate).unwrap_or(u64::MAX))
    }

    /// How long so many bytes take at that rate; `None` while there is none.
    pub(crate) fn time_for(&self, bytes: u64) -> Option<Duration> {
        let rate = self.rate()?;
        Some(Duration::try_from_secs_f64(bytes as f64 / rate as f64).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Looks every half second for so long, at what a line of 1,000 bytes a second brings.
    fn steady(activity: &mut Activity, from: u64, to: u64) {
        for at in (from..=to).step_by(500) {
            activity.look(millis(at), Some((at, 0)));
            activity.measure(Some(at));
        }
    }

    fn measured(activity: &mut Activity, at: u64, there: Option<u64>) -> Option<u64> {
        activity.look(millis(at), None);
        activity.measure(there);
        activity.rate()
    }

    #[test]
    fn the_rate_is_that_of_the_last_ten_seconds() {
        let mut activity = Activity::default();
        assert_eq!(measured(&mut activity, 0, Some(7_000_000)), None);
        assert_eq!(measured(&mut activity, 1500, Some(7_001_500)), None, "too early");
        assert_eq!(activity.time_for(5000), None);
        assert_eq!(measured(&mut activity, 2000, Some(7_002_000)), Some(1000));
        assert_eq!(activity.time_for(5000), Some(millis(5000)));
        for at in (2500..=14_000).step_by(500) {
            measured(&mut activity, at, Some(7_002_000));
        }
        assert_eq!(
            (activity.rate(), activity.time_for(5000)),
            (None, None),
            "nothing has come for ten seconds"
        );
    }

    #[test]
    fn what_is_lost_again_makes_no_rate_below_zero() {
        let mut activity = Activity::default();
        steady(&mut activity, 0, 4000);
        assert_eq!(measured(&mut activity, 5000, Some(0)), None);
    }

    #[test]
    fn after_a_time_without_a_rate_it_is_measured_anew() {
        let mut activity = Activity::default();
        steady(&mut activity, 0, 10_000);
        assert_eq!(measured(&mut activity, 10_050, None), None);
        steady(&mut activity, 60_000, 61_500);
        assert_eq!(activity.rate(), None);
        steady(&mut activity, 62_000, 62_000);
        assert_eq!(activity.rate(), Some(1000));
    }

    #[test]
    fn it_is_stalled_when_nothing_has_moved_for_ten_seconds_although_it_could() {
        let mut activity = Activity::default();
        let mut since = |at, moved| {
            activity.look(millis(at), moved);
            activity.stalled_since()
        };
        assert_eq!(since(0, None), None);
        assert_eq!(since(50_000, None), None, "nothing was to move");
        assert_eq!(since(51_000, Some((5, 0))), None);
        assert_eq!(since(60_999, Some((5, 0))), None);
        assert_eq!(since(61_000, Some((5, 0))), Some(millis(51_000)));
        assert_eq!(since(61_500, Some((5, 3))), None, "an answer has come");
        assert_eq!(since(71_500, Some((5, 3))), Some(millis(61_500)));
        assert_eq!(since(71_600, Some((6, 3))), None);
    }
}
