//! A wait that the service asked for, and how its end is not a storm.

use std::time::Duration;

/// While the one that goes first is not answered, the next one goes after this.
const APART: Duration = Duration::from_secs(1);
/// The others look again after this, so that they follow soon when it is.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// A wait that the service asked for. When it is over, one machine goes first, with all that it may send; the others follow
/// when anything was answered, and one by one until then.
#[derive(Debug, Default)]
pub(super) struct Hold {
    until: Duration,
    /// How many there were before.
    number: u64,
    /// When the next machine may go; `None` once the service has answered.
    next: Option<Duration>,
}

/// What a machine was let through after. Nothing holds it back until the service asks for another wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass(u64);

impl Hold {
    /// Nobody goes before this moment.
    pub(super) fn extend(&mut self, until: Duration) {
        if until > self.until {
            *self = Self { until, number: self.number + 1, next: Some(until) };
        }
    }

    /// The moment before which a machine with this pass may not go; `None` when it may.
    pub(super) fn closed_until(&self, pass: Option<Pass>, now: Duration) -> Option<Duration> {
        if now < self.until {
            return Some(self.until);
        }
        let next = self.next.filter(|next| now < *next && pass != Some(Pass(self.number)))?;
        Some(next.min(now.saturating_add(LOOK_AGAIN)))
    }

    /// A machine goes.
    pub(super) fn pass(&mut self, pass: Option<Pass>, now: Duration) -> Pass {
        let own = Pass(self.number);
        if pass != Some(own) && now >= self.until {
            self.next = self.next.map(|_| now.saturating_add(APART));
        }
        own
    }

    /// The service has answered: nothing holds anybody back, unless it was answered before the wait was over.
    pub(super) fn answered(&mut self, now: Duration) {
        self.next = self.next.filter(|_| now < self.until);
    }
}
