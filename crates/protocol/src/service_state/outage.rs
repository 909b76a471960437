//! Whether a service can be reached, from what became of the requests to it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{Blame, Failed, Gate, Offline};
use crate::FailureKind;

/// The wait before the first attempt to reach the service again, at least; each attempt in vain makes it longer by as much.
const STEP: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5);
/// By so much a wait may be longer, so that many clients do not come back at once.
const SPREAD: f64 = 0.25;
/// While one request finds out, the others look again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Held by the machine whose request finds out whether the service can be reached: when it is dropped, another may.
pub(super) type Probe = Arc<()>;

#[derive(Debug, Default)]
pub(super) struct Line {
    answered_at: Option<Duration>,
    /// The failures since then, if there are any.
    failing: Option<Failing>,
    /// The number of times that it has begun to fail.
    outages: u64,
    /// Nothing may leave before.
    hold: Duration,
    /// When this machine last woke, and how long it has slept in all.
    woke_at: Option<Duration>,
    slept: Duration,
}

#[derive(Debug)]
struct Failing {
    since: Duration,
    /// Attempts to reach it that were in vain.
    attempts: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    /// One of several connections broke, or bytes leave again: nothing is held back.
    Suspected,
    /// The service cannot be reached.
    Confirmed { next_attempt: Duration, probe: Weak<()> },
}

impl Line {
    pub(super) fn has_answered(&self) -> bool {
        self.answered_at.is_some()
    }

    pub(super) fn offline(&self) -> Option<Offline> {
        match &self.failing {
            Some(Failing { since, state: State::Confirmed { next_attempt, .. }, .. }) => {
                Some(Offline { since: *since, next_attempt: *next_attempt })
            }
            _ => None,
        }
    }

    pub(super) fn gate(&self, now: Duration) -> Gate {
        let confirmed = self.failing.as_ref().and_then(|failing| match &failing.state {
            State::Suspected => None,
            State::Confirmed { next_attempt, probe } => Some((*next_attempt, probe.strong_count() > 0)),
        });
        match confirmed {
            _ if now < self.hold => Gate::Closed { until: self.hold },
            None => Gate::Open,
            Some((next_attempt, _)) if now < next_attempt => Gate::Closed { until: next_attempt },
            Some((_, false)) => Gate::OneRequest,
            Some((_, true)) => Gate::Closed { until: now.saturating_add(LOOK_AGAIN) },
        }
    }

    /// Lets one request find out.
    pub(super) fn probe(&mut self) -> Probe {
        let new = Probe::default();
        if let Some(Failing { state: State::Confirmed { probe, .. }, .. }) = &mut self.failing {
            *probe = Arc::downgrade(&new);
        }
        new
    }

    pub(super) fn answered(&mut self, now: Duration) {
        self.answered_at = Some(now);
        self.failing = None;
    }

    /// More of the body of the request that finds out has left than a connection to nowhere takes: the others need not wait for
    /// its end. Only an answer shows that the service is there.
    pub(super) fn is_moving(&mut self, probe: &Probe) {
        if let Some(failing) = self.failing.as_mut().filter(|failing| failing.is_probed_by(probe)) {
            failing.state = State::Suspected;
        }
    }

    pub(super) fn woke(&mut self, at: Duration, slept: Duration) {
        self.woke_at = self.woke_at.max(Some(at));
        self.slept = self.slept.saturating_add(slept);
        if let Some(failing) = &mut self.failing {
            failing.attempts = 0;
            if let State::Confirmed { next_attempt, .. } = &mut failing.state {
                *next_attempt = at.min(*next_attempt);
            }
        }
    }

    pub(super) fn slept(&self) -> Duration {
        self.slept
    }

    pub(super) fn has_slept_since(&self, left_at: Duration) -> bool {
        self.woke_at.is_some_and(|woke| left_at < woke)
    }

    pub(super) fn hold(&mut self, until: Duration) {
        self.hold = self.hold.max(until);
    }

    pub(super) fn failed(
        &mut self,
        failed: Failed,
        probe: Option<&Probe>,
        now: Duration,
        random: u64,
    ) -> Blame {
        if self.has_slept_since(failed.left_at) {
            return Blame::Sleep;
        }
        let is_of_request = self.answered_at.is_some_and(|answered| answered >= failed.left_at);
        let is_first = self.failing.is_none();
        self.outages += u64::from(is_first);
        let first = Failing { since: now, attempts: 0, state: State::Suspected };
        let failing = self.failing.get_or_insert(first);
        let is_news = match &failing.state {
            // What left before the service was known to be away tells nothing new.
            State::Confirmed { .. } => probe.is_some_and(|probe| failing.is_probed_by(probe)),
            // No connection at all, nothing else that could still be answered, or the second failure in a row.
            State::Suspected => failed.kind == FailureKind::Connect || failed.was_alone || !is_first,
        };
        if is_news {
            failing.attempts += 1;
            let next_attempt = now.saturating_add(wait(failing.attempts, random));
            failing.state = State::Confirmed { next_attempt, probe: Weak::new() };
        }
        if is_of_request { Blame::Request } else { Blame::Service { outage: self.outages } }
    }
}

impl Failing {
    fn is_probed_by(&self, by: &Probe) -> bool {
        matches!(&self.state, State::Confirmed { probe, .. } if Weak::ptr_eq(probe, &Arc::downgrade(by)))
    }
}

/// The wait before the attempt that follows so many in vain.
fn wait(attempts: u32, random: u64) -> Duration {
    let share = 1.0 + SPREAD * (random as f64 / u64::MAX as f64);
    STEP.saturating_mul(attempts).min(LONGEST).mul_f64(share).min(LONGEST)
}
