//! What a client takes from the system beside sockets: the time of day, and random numbers.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use partwise_models::UnixSeconds;
use partwise_net::sleep::SleepWatch;
use partwise_protocol::{machine::Now, retry::ServiceState};
use tokio::time::Instant;

use crate::Error;

/// The system, or what a test puts in its place.
#[derive(Clone, Default)]
pub(crate) struct System {
    time_of_day: Option<Arc<dyn Fn() -> UnixSeconds + Send + Sync>>,
    entropy: Option<Arc<dyn Fn() -> [u8; 32] + Send + Sync>>,
}

impl System {
    pub(crate) fn set_time_of_day(&mut self, clock: impl Fn() -> UnixSeconds + Send + Sync + 'static) {
        self.time_of_day = Some(Arc::new(clock));
    }

    pub(crate) fn set_entropy(&mut self, random: impl Fn() -> [u8; 32] + Send + Sync + 'static) {
        self.entropy = Some(Arc::new(random));
    }

    /// Clocks that began at this moment, on which a sleep of the machine is seen.
    pub(crate) fn clock_since(&self, began: Instant, alarm: Alarm) -> Clock {
        Clock { began, system: self.clone(), alarm }
    }

    pub(crate) fn entropy(&self) -> Result<[u8; 32], Error> {
        if let Some(random) = &self.entropy {
            return Ok(random());
        }
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy).map_err(Error::Entropy)?;
        Ok(entropy)
    }

    pub(crate) fn random(&self) -> Result<u64, Error> {
        let [a, b, c, d, e, f, g, h, ..] = self.entropy()?;
        Ok(u64::from_ne_bytes([a, b, c, d, e, f, g, h]))
    }

    fn unix(&self) -> UnixSeconds {
        match &self.time_of_day {
            Some(clock) => clock(),
            None => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                UnixSeconds(since_epoch.as_secs())
            }
        }
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").finish_non_exhaustive()
    }
}

/// Tells the uploads and downloads of a client that the machine has slept.
#[derive(Clone, Debug)]
pub(crate) struct Alarm {
    pub(crate) watch: Arc<SleepWatch>,
    pub(crate) state: ServiceState,
}

/// The clocks of a client: how long it has been there, on tokio's clock, and the time of day, which may jump.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    began: Instant,
    system: System,
    alarm: Alarm,
}

impl Clock {
    /// What the clocks read. The first to ask after a sleep has everybody told of it.
    pub(crate) fn now(&self) -> Now {
        let slept = self.alarm.watch.look(|slept| self.alarm.state.woke(self.began.elapsed(), slept));
        if let Some(slept) = slept {
            tracing::info!(?slept, "the machine has slept");
        }
        // After the look: what leaves now has not left before the sleep.
        Now { monotonic: self.began.elapsed(), unix: self.system.unix() }
    }

    /// Says whether the machine has slept since a request left at this moment.
    pub(crate) fn has_slept_since(&self, left_at: Duration) -> bool {
        self.now();
        self.alarm.state.has_slept_since(left_at)
    }

    /// The moment of the run as timers take it; `None` when it is too far away to ever come.
    pub(crate) fn instant(&self, monotonic: Duration) -> Option<Instant> {
        self.began.checked_add(monotonic)
    }
}
