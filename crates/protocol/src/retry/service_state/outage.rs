//! Whether a service can be reached, from what became of the requests to it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    Blame, Failed, Gate, Offline,
    hold::{Hold, Pass},
};
use crate::transport::FailureKind;

/// The wait before the first attempt to reach the service again, at least; each failed attempt makes it longer by as much, up to
/// [`LONGEST`] with its spread.
const STEP: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5);
/// By so much a wait may be longer, so that many clients do not come back at once.
const SPREAD: f64 = 0.25;
/// Once in so many attempts the wait is short: on a line that is cut every few seconds, those that waited long all leave shortly
/// before a cut.
const SHORT_ONE_IN: u32 = 6;
const SHORT: Duration = Duration::from_secs(2);
/// While one request finds out, the others look again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Held by the machine whose request finds out whether the service can be reached: when it is dropped, another may.
pub(super) type Probe = Arc<()>;

/// Tells single operations from each other.
pub(super) type Caller = Arc<()>;

#[derive(Debug, Default)]
pub(super) struct Reachability {
    answered_at: Option<Duration>,
    /// One of its answers was in the API's words.
    is_understood: bool,
    /// The failures since then, if there are any.
    failing: Option<Failing>,
    /// The number of times that it has begun to fail.
    outages: u64,
    hold: Hold,
    /// When this machine last woke, and how long it has slept in all.
    woke_at: Option<Duration>,
    slept: Duration,
}

#[derive(Debug)]
struct Failing {
    since: Duration,
    /// Failed attempts to reach it.
    attempts: u32,
    state: State,
    concerned: Concerned,
}

/// The requests that have met an outage, as far as that makes a difference.
#[derive(Debug)]
enum Concerned {
    /// One single operation at a time: when it is dropped, the next one takes its place.
    Only(Weak<()>),
    Others,
}

#[derive(Debug)]
enum State {
    /// One of several connections broke, or bytes leave again: nothing is held back.
    Suspected,
    /// The service cannot be reached. A request that was to find out and is given up frees the next one at `next_attempt` at
    /// the earliest too.
    Confirmed { next_attempt: Duration, probe: Weak<()>, probed_at: Option<Duration> },
}

impl Reachability {
    pub(super) fn has_answered(&self) -> bool {
        self.answered_at.is_some()
    }

    pub(super) fn understood(&mut self) {
        self.is_understood = true;
    }

    pub(super) fn is_understood(&self) -> bool {
        self.is_understood
    }

    pub(super) fn offline(&self) -> Option<Offline> {
        let failing = self.failing.as_ref()?;
        let (next_attempt, _) = failing.next_attempt()?;
        Some(Offline { since: failing.since, next_attempt })
    }

    /// The number of the outage that lasts, or that one failure has made likely.
    pub(super) fn outage(&self) -> Option<u64> {
        self.failing.as_ref().map(|_| self.outages)
    }

    pub(super) fn held_until(&self, pass: Option<Pass>, now: Duration) -> Option<Duration> {
        self.hold.closed_until(pass, now)
    }

    /// What a machine with this pass may send.
    pub(super) fn gate(&self, pass: Option<Pass>, now: Duration) -> Gate {
        if let Some(until) = self.hold.closed_until(pass, now) {
            return Gate::Closed { until };
        }
        self.outage_gate(now)
    }

    /// The same without the waits that the service asked for.
    pub(super) fn outage_gate(&self, now: Duration) -> Gate {
        match self.failing.as_ref().and_then(Failing::next_attempt) {
            None => Gate::Open,
            Some((next_attempt, _)) if now < next_attempt => Gate::Closed { until: next_attempt },
            Some((_, false)) => Gate::OneRequest,
            Some((_, true)) => Gate::Closed { until: now.saturating_add(LOOK_AGAIN) },
        }
    }

    /// What a single operation that wants to leave may send. One that is alone with an outage has its own policy.
    pub(super) fn gate_of_call(&mut self, caller: &Caller, now: Duration) -> Gate {
        if self.failing.as_mut().is_some_and(|failing| failing.concerns_only(caller)) {
            return Gate::OneRequest;
        }
        self.outage_gate(now)
    }

    /// A machine has to do with the outage, if there is one.
    pub(super) fn concerns_machine(&mut self) {
        if let Some(failing) = &mut self.failing {
            failing.concerned = Concerned::Others;
        }
    }

    /// A machine sends something.
    pub(super) fn pass(&mut self, pass: Option<Pass>, now: Duration) -> Pass {
        self.hold.pass(pass, now)
    }

    /// Lets one request find out.
    pub(super) fn probe(&mut self, now: Duration) -> Probe {
        let new = Probe::default();
        if let Some(Failing { state: State::Confirmed { probe, probed_at, .. }, .. }) = &mut self.failing {
            (*probe, *probed_at) = (Arc::downgrade(&new), Some(now));
        }
        new
    }

    fn is_probed_by(&self, probe: &Probe) -> bool {
        self.failing.as_ref().is_some_and(|failing| failing.is_probed_by(probe))
    }

    pub(super) fn answered(&mut self, now: Duration) {
        self.answered_at = Some(now);
        self.failing = None;
        self.hold.answered(now);
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
        self.hold.extend(until);
    }

    /// An attempt of a single operation has ended without an answer. The service is away when no connection came about, or
    /// when this was to find out whether it is back; what was interrupted otherwise may be the operation's own fault.
    pub(super) fn call_failed(
        &mut self,
        failed: Failed,
        caller: &Caller,
        probe: Option<&Probe>,
        now: Duration,
        random: u64,
    ) {
        let finds_out = probe.is_some_and(|probe| self.is_probed_by(probe));
        if failed.kind != FailureKind::Connect && !(finds_out && failed.kind.is_transient()) {
            return;
        }
        let is_first = self.failing.is_none();
        self.failed(failed, probe, now, random);
        if let Some(failing) = &mut self.failing {
            if is_first {
                failing.concerned = Concerned::Only(Arc::downgrade(caller));
            } else {
                failing.concerns_only(caller);
            }
        }
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
        let first =
            Failing { since: now, attempts: 0, state: State::Suspected, concerned: Concerned::Others };
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
            failing.state = State::Confirmed { next_attempt, probe: Weak::new(), probed_at: None };
        }
        if is_of_request { Blame::Request } else { Blame::Service { outage: self.outages } }
    }
}

impl Failing {
    /// Says whether nothing else that is still there has had to do with the outage than this operation, which now has.
    fn concerns_only(&mut self, caller: &Caller) -> bool {
        let own = Arc::downgrade(caller);
        let is_alone =
            matches!(&self.concerned, Concerned::Only(by) if by.strong_count() == 0 || by.ptr_eq(&own));
        self.concerned = if is_alone { Concerned::Only(own) } else { Concerned::Others };
        is_alone
    }

    /// When one request may find out, and whether one does; `None` while nothing is held back.
    fn next_attempt(&self) -> Option<(Duration, bool)> {
        let State::Confirmed { next_attempt, probe, probed_at } = &self.state else { return None };
        let is_probed = probe.strong_count() > 0;
        // However often they are given up, they are no more frequent than those that fail.
        let apart =
            probed_at.filter(|_| !is_probed).map(|at| at.saturating_add(shortest_wait(self.attempts)));
        Some((apart.map_or(*next_attempt, |apart| apart.max(*next_attempt)), is_probed))
    }

    fn is_probed_by(&self, by: &Probe) -> bool {
        matches!(&self.state, State::Confirmed { probe, .. } if Weak::ptr_eq(probe, &Arc::downgrade(by)))
    }
}

/// The wait before the attempt that follows this many failed ones. It is never twice the same, or a line that is cut at regular times
/// could cut each attempt.
fn wait(attempts: u32, random: u64) -> Duration {
    let share = 1.0 + SPREAD * (random as f64 / u64::MAX as f64);
    shortest_wait(attempts).mul_f64(share)
}

fn shortest_wait(attempts: u32) -> Duration {
    if attempts > 0 && attempts % SHORT_ONE_IN == 0 {
        return SHORT;
    }
    STEP.saturating_mul(attempts).min(LONGEST.div_f64(1.0 + SPREAD))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// One that leaves in the first half of the time between two cuts gets through.
        #[test]
        fn on_a_line_that_is_cut_at_regular_times_some_attempt_leaves_long_before_the_next_cut(
            every in 5.0f64..90.0, randoms in prop::collection::vec(any::<u64>(), SHORT_ONE_IN as usize), first in 1u32..1000,
        ) {
            let leaves = (first..).zip(randoms).map(|(attempts, random)| wait(attempts, random).as_secs_f64() % every);
            prop_assert!(leaves.into_iter().any(|after| after <= every / 2.0));
        }
    }
}
