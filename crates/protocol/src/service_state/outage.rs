//! Whether a service can be reached, from what became of the requests to it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{Blame, Failed, Gate, Offline};
use crate::FailureKind;

/// The wait before the first attempt to reach the service again; each attempt in vain makes it longer by as much.
const STEP: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5);
/// While one request finds out, the others look again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Held by the machine whose request finds out whether the service can be reached: when it is dropped, another may.
pub(super) type Probe = Arc<()>;

#[derive(Debug, Default)]
pub(super) struct Line {
    answered_at: Option<Duration>,
    outage: Option<Outage>,
    /// Nothing may leave before.
    hold: Duration,
}

/// The failures since the last answer.
#[derive(Debug)]
struct Outage {
    since: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    /// One of several connections broke: that happens.
    Suspected,
    /// The service cannot be reached.
    Confirmed { attempts: u32, next_attempt: Duration, probe: Weak<()> },
}

impl Line {
    pub(super) fn has_answered(&self) -> bool {
        self.answered_at.is_some()
    }

    pub(super) fn offline(&self) -> Option<Offline> {
        match &self.outage {
            Some(Outage { since, state: State::Confirmed { next_attempt, .. } }) => {
                Some(Offline { since: *since, next_attempt: *next_attempt })
            }
            _ => None,
        }
    }

    pub(super) fn gate(&self, now: Duration) -> Gate {
        let confirmed = self.outage.as_ref().and_then(|outage| match &outage.state {
            State::Suspected => None,
            State::Confirmed { next_attempt, probe, .. } => Some((*next_attempt, probe.strong_count() > 0)),
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
        if let Some(Outage { state: State::Confirmed { probe, .. }, .. }) = &mut self.outage {
            *probe = Arc::downgrade(&new);
        }
        new
    }

    pub(super) fn answered(&mut self, now: Duration) {
        self.answered_at = Some(now);
        self.outage = None;
    }

    pub(super) fn hold(&mut self, until: Duration) {
        self.hold = self.hold.max(until);
    }

    pub(super) fn failed(&mut self, failed: Failed, was_probe: bool, now: Duration, random: u64) -> Blame {
        let is_of_request = self.answered_at.is_some_and(|answered| answered >= failed.left_at);
        let is_first = self.outage.is_none();
        let outage = self.outage.get_or_insert(Outage { since: now, state: State::Suspected });
        match &mut outage.state {
            State::Confirmed { attempts, next_attempt, .. } if was_probe => {
                *attempts += 1;
                *next_attempt = now.saturating_add(wait(*attempts, random));
            }
            // It left before the service was known to be away, and tells nothing new.
            State::Confirmed { .. } => {}
            State::Suspected => {
                // No connection at all, nothing else that could still be answered, or the second failure in a row.
                if failed.kind == FailureKind::Connect || failed.was_alone || !is_first {
                    let next_attempt = now.saturating_add(wait(1, random));
                    outage.state = State::Confirmed { attempts: 1, next_attempt, probe: Weak::new() };
                }
            }
        }
        if is_of_request { Blame::Request } else { Blame::Service }
    }
}

/// The wait before the attempt that follows so many in vain: a little less than the longest that it may be, so that many
/// clients do not come back at once.
fn wait(attempts: u32, random: u64) -> Duration {
    let longest = STEP.saturating_mul(attempts).min(LONGEST);
    let share = 0.8 + 0.2 * (random as f64 / u64::MAX as f64);
    longest.mul_f64(share).max(STEP)
}
