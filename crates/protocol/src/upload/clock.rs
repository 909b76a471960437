//! The service's clock, and when an upload expires on it.

use std::time::Duration;

use partwise_models::{UnixSeconds, Upload};
use serde::{Deserialize, Serialize};

use crate::machine::Now;

/// How far the service's clock is ahead of ours, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ClockOffset(i64);

impl ClockOffset {
    /// The offset that a moment which the service calls now shows.
    pub(super) fn between(service: UnixSeconds, now: Now) -> Self {
        Self(signed(service).saturating_sub(signed(now.unix)))
    }

    /// What the service's clock reads now.
    pub(super) fn service_time(self, now: Now) -> UnixSeconds {
        self.apply(now.unix)
    }

    /// What the service's clock read when ours read this.
    pub(super) fn apply(self, ours: UnixSeconds) -> UnixSeconds {
        UnixSeconds(u64::try_from(signed(ours).saturating_add(self.0)).unwrap_or(0))
    }
}

/// Clocks are read in whole seconds and an answer takes its time: a smaller difference is none.
pub(super) const CLOCK_SLACK: u64 = 2;

/// The service's clock, as its answers show it, or an earlier run's. Within a run it goes on with our monotonic clock, so that
/// no step of our wall clock changes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServiceClock {
    /// The offset for a checkpoint, which has to be written whole for a new one.
    offset: ClockOffset,
    /// What it read when our monotonic clock read this. It is never ahead of the service's.
    reading: Option<(UnixSeconds, Duration)>,
    /// An answer of this run has shown it.
    is_shown: bool,
}

impl ServiceClock {
    /// A clock that an earlier run has seen.
    pub(super) fn saved(offset: ClockOffset) -> Self {
        Self { offset, reading: None, is_shown: false }
    }

    /// A clock that an answer has shown now, if it has.
    pub(super) fn shown(reading: Option<UnixSeconds>, now: Now) -> Self {
        let offset = reading.map(|reading| ClockOffset::between(reading, now)).unwrap_or_default();
        let is_shown = reading.is_some();
        Self { offset, reading: reading.map(|reading| (reading, now.monotonic)), is_shown }
    }

    /// Takes in what another answer shows.
    pub(super) fn refresh(&mut self, reading: UnixSeconds, now: Now) {
        let shown = Self::shown(Some(reading), now);
        (self.reading, self.is_shown) = (shown.reading, true);
        if shown.offset.0.abs_diff(self.offset.0) > CLOCK_SLACK {
            self.offset = shown.offset;
        }
    }

    /// Goes on with our monotonic clock from now on, if no answer has set it.
    pub(super) fn keep(&mut self, now: Now) {
        if self.reading.is_none() {
            self.reading = Some((self.offset.service_time(now), now.monotonic));
        }
    }

    /// Goes on by the time that this machine has slept, in which our monotonic clock stood still.
    pub(super) fn slept(&mut self, slept: Duration) {
        if let Some((reading, _)) = &mut self.reading {
            reading.0 = reading.0.saturating_add(slept.as_secs());
        }
    }

    /// What it reads now.
    pub(super) fn time(&self, now: Now) -> UnixSeconds {
        match self.reading {
            Some((reading, at)) => {
                let since = now.monotonic.saturating_sub(at);
                UnixSeconds(reading.0.saturating_add(since.as_secs()))
            }
            None => self.offset.service_time(now),
        }
    }

    /// What it reads now, as an answer of this run has shown it.
    pub(super) fn shown_time(&self, now: Now) -> Option<UnixSeconds> {
        self.is_shown.then(|| self.time(now))
    }

    /// How far it is ahead of our wall clock.
    pub(super) fn offset(&self) -> ClockOffset {
        self.offset
    }
}

/// Whether our wall clock was set since it read `unix`: it is behind that, or has not gone on for as long as that `lasted`,
/// when this is known.
pub(super) fn was_set(unix: UnixSeconds, lasted: Option<Duration>, now: Now) -> bool {
    let Some(since) = now.unix.0.checked_sub(unix.0) else { return true };
    lasted.is_some_and(|lasted| lasted.as_secs().abs_diff(since) > CLOCK_SLACK)
}

fn signed(moment: UnixSeconds) -> i64 {
    i64::try_from(moment.0).unwrap_or(i64::MAX)
}

/// When an upload expires, if it does.
pub(super) enum Expiry {
    /// At this moment of the service's clock.
    At(UnixSeconds),
    /// The service named none.
    Never,
    /// The service named a moment before the upload began, which cannot be meant.
    Nonsense,
}

impl Expiry {
    pub(super) fn of(upload: &Upload) -> Self {
        match (upload.expires_at, upload.created_at) {
            (None, _) => Self::Never,
            (Some(expires), Some(created)) if expires <= created => Self::Nonsense,
            (Some(expires), _) => Self::At(expires),
        }
    }
}

/// How long until `moment` of the service's clock; zero when it is past.
pub(super) fn until(moment: UnixSeconds, clock: &ServiceClock, now: Now) -> Duration {
    Duration::from_secs(moment.0.saturating_sub(clock.time(now).0))
}
