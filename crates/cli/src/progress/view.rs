//! The progress of an upload or a download at the moment at which it is shown.

use std::time::Duration;

use partwise_protocol::{download::DownloadProgress, machine::TransferState, upload::Progress};

/// A shorter wait that the service asks for is no state of its own: it would only flicker.
const SHORT: Duration = Duration::from_secs(1);

/// The kinds of transfers that are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Upload,
    Download,
}

impl Direction {
    /// The word for bytes that have come to where they are to be.
    pub(super) fn there(self) -> &'static str {
        match self {
            Self::Upload => "stored",
            Self::Download => "written",
        }
    }
}

/// The last that an upload or a download told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    pub(super) now: Duration,
    pub(super) state: TransferState,
    pub(super) total: Option<u64>,
    pub(super) there: u64,
    /// Bytes that a later run need not move again, once they are saved.
    pub(super) resumable: u64,
    pub(super) in_flight: u64,
    /// Set when one request carries everything, which is stored when that has ended.
    pub(super) is_one_request: bool,
    pub(super) rate: Option<u64>,
    pub(super) time_left: Option<Duration>,
}

impl From<&Progress> for Snapshot {
    fn from(progress: &Progress) -> Self {
        // What went as one request is stored when it has ended.
        let is_in_parts = progress.upload_id.is_some();
        Self {
            is_one_request: !progress.is_in_parts,
            now: progress.now,
            state: progress.state,
            total: Some(progress.bytes_total),
            there: progress.bytes_acknowledged,
            resumable: if is_in_parts { progress.bytes_acknowledged } else { 0 },
            in_flight: progress.bytes_in_flight,
            rate: progress.rate,
            time_left: progress.time_left,
        }
    }
}

impl From<&DownloadProgress> for Snapshot {
    fn from(progress: &DownloadProgress) -> Self {
        Self {
            now: progress.now,
            state: progress.state,
            total: progress.bytes_total,
            there: progress.bytes_written,
            resumable: progress.bytes_resumable,
            in_flight: 0,
            is_one_request: false,
            rate: progress.rate,
            time_left: progress.time_left,
        }
    }
}

/// A transfer at the moment at which it is shown.
#[derive(Clone, Debug)]
pub(super) struct View<'v> {
    pub(super) name: &'v str,
    pub(super) direction: Direction,
    pub(super) total: Option<u64>,
    /// Bytes that are stored or written.
    pub(super) there: u64,
    /// Bytes that have left and may be on their way to there.
    pub(super) in_flight: u64,
    pub(super) is_one_request: bool,
    pub(super) rate: Option<u64>,
    pub(super) time_left: Option<Duration>,
    pub(super) situation: Situation,
    /// Set when a later run resumes from what is there.
    pub(super) is_kept: bool,
}

impl<'v> View<'v> {
    /// The view of a transfer that told `snapshot` and is in this situation by now. `is_saved` says that what is there is
    /// saved for a later run.
    pub(super) fn new(
        name: &'v str,
        direction: Direction,
        snapshot: &Snapshot,
        situation: Situation,
        is_saved: bool,
    ) -> Self {
        // They may be those of the moment before.
        let (rate, time_left) =
            if situation.moves() { (snapshot.rate, snapshot.time_left) } else { (None, None) };
        // What was in flight is lost, or is an attempt to find out whether the service is back.
        let is_offline = matches!(situation, Situation::Offline { .. });
        Self {
            name,
            direction,
            total: snapshot.total,
            there: snapshot.there,
            in_flight: if is_offline { 0 } else { snapshot.in_flight },
            is_one_request: snapshot.is_one_request,
            rate,
            time_left,
            situation,
            is_kept: is_saved && snapshot.resumable > 0,
        }
    }

    /// Bytes that are there or on their way to it.
    pub(super) fn moved(&self) -> u64 {
        self.there.saturating_add(self.in_flight)
    }

    /// Says whether all was sent in one request, of which nothing is stored before the service has made the file.
    pub(super) fn is_assembled_whole(&self) -> bool {
        self.is_one_request && matches!(self.situation, Situation::Assembling { .. })
    }
}

/// A [`TransferState`] whose moments are relative to the one at which it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Situation {
    Connecting,
    Sending,
    Receiving,
    Stalled {
        lasting: Duration,
    },
    Offline {
        lasting: Duration,
        /// `None` while the attempt is in flight.
        next_attempt: Option<Duration>,
    },
    RateLimited {
        rest: Duration,
    },
    Checking,
    Assembling {
        lasting: Duration,
    },
    Reconciling,
    Cancelling,
    Stopping,
    Done,
}

impl Situation {
    /// The name of the state, which is the same for all its moments.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Sending => "sending",
            Self::Receiving => "receiving",
            Self::Stalled { .. } => "stalled",
            Self::Offline { .. } => "offline",
            Self::RateLimited { .. } => "rate_limited",
            Self::Checking => "checking",
            Self::Assembling { .. } => "assembling",
            Self::Reconciling => "reconciling",
            Self::Cancelling => "cancelling",
            Self::Stopping => "stopping",
            Self::Done => "done",
        }
    }

    pub(super) fn moves(&self) -> bool {
        matches!(self, Self::Sending | Self::Receiving)
    }

    pub(super) fn lasting(&self) -> Option<Duration> {
        match *self {
            Self::Stalled { lasting } | Self::Offline { lasting, .. } | Self::Assembling { lasting } => {
                Some(lasting)
            }
            _ => None,
        }
    }
}

/// Tells long waits that the service asks for from short ones.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// The end of the wait that is long, also when little is left of it.
    long: Option<Duration>,
}

impl Waits {
    /// The situation so long after the snapshot was taken.
    pub(super) fn situation(
        &mut self,
        direction: Direction,
        snapshot: &Snapshot,
        since: Duration,
    ) -> Situation {
        let now = snapshot.now.saturating_add(since);
        let lasting = |since: Duration| now.saturating_sub(since);
        let moves = match direction {
            Direction::Upload => Situation::Sending,
            Direction::Download => Situation::Receiving,
        };
        match snapshot.state {
            TransferState::Connecting => Situation::Connecting,
            TransferState::Stalled { since } => Situation::Stalled { lasting: lasting(since) },
            TransferState::Offline(offline) => Situation::Offline {
                lasting: lasting(offline.since),
                next_attempt: offline.next_attempt.checked_sub(now).filter(|rest| !rest.is_zero()),
            },
            TransferState::RateLimited { until } => {
                if until.saturating_sub(now) >= SHORT {
                    self.long = Some(until);
                }
                match until.saturating_sub(now) {
                    rest if self.long == Some(until) && !rest.is_zero() => Situation::RateLimited { rest },
                    _ => moves,
                }
            }
            TransferState::Checking => Situation::Checking,
            TransferState::Assembling { since } => Situation::Assembling { lasting: lasting(since) },
            TransferState::Reconciling => Situation::Reconciling,
            TransferState::Cancelling => Situation::Cancelling,
            TransferState::Stopping => Situation::Stopping,
            TransferState::Done => Situation::Done,
            _ => moves,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn snapshot(state: TransferState) -> Snapshot {
        Snapshot {
            now: secs(100),
            state,
            total: Some(1000),
            there: 0,
            resumable: 0,
            in_flight: 30,
            is_one_request: false,
            rate: Some(10),
            time_left: Some(secs(90)),
        }
    }

    #[test]
    fn nothing_is_in_flight_to_a_service_that_cannot_be_reached() {
        let snapshot = snapshot(TransferState::Sending);
        let offline = Situation::Offline { lasting: secs(3), next_attempt: None };
        let view = |situation| View::new("a", Direction::Upload, &snapshot, situation, true);
        let numbers = |view: View<'_>| (view.in_flight, view.rate, view.time_left);
        assert_eq!(numbers(view(Situation::Sending)), (30, Some(10), Some(secs(90))));
        assert_eq!(numbers(view(offline)), (0, None, None));
    }

    /// The situation at several times after the snapshot.
    fn later<const N: usize>(state: TransferState, times: [Duration; N]) -> [Situation; N] {
        let mut waits = Waits::default();
        times.map(|time| waits.situation(Direction::Upload, &snapshot(state), time))
    }

    #[test]
    fn times_go_on_although_no_progress_comes() {
        let stalled = later(TransferState::Stalled { since: secs(88) }, [secs(0), secs(3)]);
        assert_eq!(stalled, [12, 15].map(|lasting| Situation::Stalled { lasting: secs(lasting) }));
        let limited = later(TransferState::RateLimited { until: secs(127) }, [secs(0), secs(7)]);
        assert_eq!(limited, [27, 20].map(|rest| Situation::RateLimited { rest: secs(rest) }));
    }

    #[test]
    fn a_short_wait_is_no_state_of_its_own() {
        let until = secs(100) + Duration::from_millis(900);
        assert_eq!(later(TransferState::RateLimited { until }, [secs(0)]), [Situation::Sending]);
    }

    #[test]
    fn a_long_wait_is_told_to_its_end() {
        let state = TransferState::RateLimited { until: secs(102) };
        let rest = Duration::from_millis(300);
        assert_eq!(
            later(state, [secs(0), secs(2) - rest, secs(2)]),
            [Situation::RateLimited { rest: secs(2) }, Situation::RateLimited { rest }, Situation::Sending]
        );
    }
}
