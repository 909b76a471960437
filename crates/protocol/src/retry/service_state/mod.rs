//! What the uploads and downloads of one client know of their service together.

mod call;
mod hold;
mod outage;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use self::call::{Call, CallAttempt};
use self::{
    hold::Pass,
    outage::{Probe, Reachability},
};
use crate::{
    machine::RequestId,
    retry::RetryPolicy,
    transport::{FailureKind, SendBuffer},
    upload::UploadRegistry,
};

/// What the uploads and downloads of one client know of their service together: whether it can be reached, until when it wants
/// nothing, and which upload was answered with which file.
///
/// A client owns one and gives it to each of its machines ([`UploadMachine::with_service`](crate::upload::UploadMachine::with_service),
/// [`DownloadMachine::with_service`](crate::download::DownloadMachine::with_service)), whose clocks must have one origin, and asks it before each attempt of a
/// single operation ([`call`](Self::call)). When the service cannot be
/// reached, two thousand uploads then ask for it like one: one request at a time, once a second at first and every five
/// seconds later, and all of them go on as soon as one was answered. After a wait that the service asked for, one machine goes
/// first, and the others follow when it was answered, or one each second until then. A machine that gives a service up, and of which no
/// request has failed in this outage, sends one first. Cheap to clone; clones are the same state.
///
/// ```
/// use partwise_models::Purpose;
/// use partwise_protocol::{Api, upload::{Plan, SourceStamp, UploadMachine}, retry::ServiceState};
///
/// let service = ServiceState::default();
/// let plan = Plan::new("report.txt", "text/plain", Purpose::Assistants);
/// let first = UploadMachine::new(Api::openai(), plan.clone(), SourceStamp::new(4), [1; 32])?.with_service(&service);
/// let second = UploadMachine::new(Api::openai(), plan, SourceStamp::new(4), [2; 32])?.with_service(&service);
/// # drop((first, second));
/// # Ok::<(), partwise_protocol::upload::PlanError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ServiceState {
    line: Arc<Mutex<Reachability>>,
    pub(crate) uploads: UploadRegistry,
}

/// A service that cannot be reached.
///
/// ```
/// use std::time::Duration;
///
/// use partwise_protocol::retry::Offline;
///
/// fn line(offline: Offline, now: Duration) -> String {
///     let away = now.saturating_sub(offline.since).as_secs();
///     let next = offline.next_attempt.saturating_sub(now).as_secs();
///     format!("the service has been away for {away} s; the next attempt is in {next} s")
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offline {
    /// The moment, on the monotonic clock, of the first failure after the last answer.
    pub since: Duration,
    /// The moment of the next attempt; one that is past is under way.
    pub next_attempt: Duration,
}

/// What a request that failed without an answer was excused for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Excuse {
    /// The outage in which it failed last.
    outage: Option<u64>,
}

impl Excuse {
    /// It failed in this outage. What fails in one after another may be what breaks the connection: only the first excuses it.
    pub(crate) fn is_spent(&mut self, outage: u64) -> bool {
        self.outage.replace(outage).is_some_and(|before| before != outage)
    }
}

/// One machine among those that share a state.
#[derive(Debug, Default)]
pub(crate) struct Member {
    service: ServiceState,
    /// Held while this request of the machine finds out whether the service can be reached again.
    probe: Option<(RequestId, Probe)>,
    /// It was let through after the last wait that the service asked for.
    pass: Option<Pass>,
    /// The outage in which a request of it failed last.
    met: Option<u64>,
}

/// What a proxy on the way may take of a body whose service cannot be reached.
const HELD_ON_THE_WAY: u64 = 1 << 20;

/// Returns `true` if more of a body has departed than a connection to nowhere takes: what the transport holds, and what stands on the
/// way.
pub(crate) fn is_moving(departed: u64, buffer: SendBuffer) -> bool {
    // Twice the usual, to be sure. The most is held only where the other side has acknowledged much, and nowhere acknowledges nothing.
    departed > buffer.usual.saturating_mul(2).max(HELD_ON_THE_WAY)
}

/// What may leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// One request alone, which finds out whether the service can be reached.
    OneRequest,
    /// Nothing before this moment.
    Closed {
        until: Duration,
    },
}

/// The meaning of a failure without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// Nobody: this machine has slept since the request left.
    Sleep,
    /// The service, or the way to it: nothing was answered since the request left. Outages are numbered.
    Service { outage: u64 },
    /// Perhaps the request: others were answered meanwhile.
    Request,
}

impl ServiceState {
    /// A service that is taken for reachable.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How the service is away; `None` as long as it is taken for reachable.
    #[must_use]
    pub fn offline(&self) -> Option<Offline> {
        self.lock().offline()
    }

    /// The machine has slept for so long and woke at this moment of the clients' monotonic clock, which stands still meanwhile.
    ///
    /// No connection from before can be relied on. A request that left before this moment and ends without an answer spends no
    /// budget, says nothing of the service, and goes again at once; a service that cannot be reached is tried at once; and the
    /// service's clock has gone on by as much.
    pub fn woke(&self, at: Duration, slept: Duration) {
        self.lock().woke(at, slept);
    }

    /// Says whether the machine has slept since a request left at this moment.
    #[must_use]
    pub fn has_slept_since(&self, left_at: Duration) -> bool {
        self.lock().has_slept_since(left_at)
    }

    /// The service has answered at this moment, other than to a machine or a [`call`](Self::call): with a redirect to another
    /// host, whose answer says nothing of the service.
    pub fn answered(&self, now: Duration) {
        self.lock().answered(now);
    }

    /// The service has answered in the API's words, with a success or an error: it is there, and is the right one.
    pub fn understood(&self) {
        self.lock().understood();
    }

    /// Says whether the service has ever been [understood](Self::understood), by a machine or by others.
    #[must_use]
    pub fn is_understood(&self) -> bool {
        self.lock().is_understood()
    }

    fn lock(&self) -> MutexGuard<'_, Reachability> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    pub(crate) fn of(service: &ServiceState) -> Self {
        Self { service: service.clone(), ..Self::default() }
    }

    pub(crate) fn offline(&self) -> Option<Offline> {
        self.service.offline()
    }

    /// The end of a wait that the service has asked for, or when it is this machine's turn after one.
    pub(crate) fn held_until(&self, now: Duration) -> Option<Duration> {
        self.service.lock().held_until(self.pass, now)
    }

    /// Says whether the service has answered any request of this client.
    pub(crate) fn has_answered(&self) -> bool {
        self.service.lock().has_answered()
    }

    /// How long this machine has slept, all in all.
    pub(crate) fn slept(&self) -> Duration {
        self.service.lock().slept()
    }

    pub(crate) fn has_slept_since(&self, left_at: Duration) -> bool {
        self.service.has_slept_since(left_at)
    }

    /// A look: only what [leaves](Self::leaves) or fails has to do with an outage.
    pub(crate) fn gate(&self, now: Duration) -> Gate {
        self.service.lock().gate(self.pass, now)
    }

    /// The same for a machine with this policy, which waits no longer for others to find out once it has to try for itself: always
    /// when it waits for no service, else when its `limit` is over and it has not [met](Self::has_met_outage) the outage. One that has
    /// a request in flight waits for its end, and gives no limit.
    pub(crate) fn gate_within(
        &self,
        retry: &RetryPolicy,
        limit: Option<(Duration, Duration)>,
        now: Duration,
    ) -> Gate {
        let gate = self.gate(now);
        if !matches!(gate, Gate::Closed { .. }) || self.held_until(now).is_some() {
            return gate;
        }
        let is_over = limit.is_some_and(|(since, limit)| now.saturating_sub(since) >= limit);
        match gate {
            _ if retry.give_up_after.is_zero() => Gate::Open,
            _ if is_over && !self.has_met_outage() => Gate::OneRequest,
            gate => gate,
        }
    }

    /// Returns `true` if a request of this machine has failed in the outage that lasts: before that it cannot say that the service is
    /// away.
    pub(crate) fn has_met_outage(&self) -> bool {
        let outage = self.service.lock().outage();
        outage.is_some() && outage == self.met
    }

    /// Since when the service is away for a machine that began then, and for how long that is waited for. `is_known` says whether
    /// the service is known to be there. There is no limit for a policy that waits for no service: its requests have their own.
    pub(crate) fn give_up_limit(
        &self,
        retry: &RetryPolicy,
        began: Duration,
        is_known: bool,
    ) -> Option<(Duration, Duration)> {
        let offline = self.offline().filter(|_| !retry.give_up_after.is_zero())?;
        let unknown = retry.give_up_before_contact.min(retry.give_up_after);
        let limit = if is_known { retry.give_up_after } else { unknown };
        // What others waited for before this began is not its own.
        Some((offline.since.max(began), limit))
    }

    /// The time until the service is tried again; a connection that broke while others stood says nothing of it.
    pub(crate) fn wait(&self, retry: &RetryPolicy, now: Duration, random: u64) -> Duration {
        match self.offline() {
            Some(offline) => offline.next_attempt.saturating_sub(now),
            None => retry.wait(1, random),
        }
    }

    /// A request leaves, as the gate allows it.
    pub(crate) fn leaves(&mut self, id: RequestId, now: Duration) {
        let mut line = self.service.lock();
        line.concerns_machine();
        if line.outage_gate(now) == Gate::OneRequest {
            self.probe = Some((id, line.probe(now)));
        }
        self.pass = Some(line.pass(self.pass, now));
    }

    /// The service has answered, whatever it said.
    pub(crate) fn answered(&mut self, now: Duration) {
        self.probe = None;
        self.service.lock().answered(now);
    }

    /// Content has come for this machine: the service is there for it, whatever failed before.
    pub(crate) fn received(&mut self) {
        self.met = None;
    }

    /// The service has answered in the API's words.
    pub(crate) fn understood(&self) {
        self.service.understood();
    }

    /// The body of this request is [moving](is_moving).
    pub(crate) fn moves(&mut self, id: RequestId) {
        if let Some((_, probe)) = self.probe.as_ref().filter(|(probe, _)| *probe == id) {
            self.service.lock().is_moving(probe);
        }
    }

    /// The service wants nothing from anybody before this moment.
    pub(crate) fn hold(&self, until: Duration) {
        self.service.lock().hold(until);
    }

    /// A request that left at some moment has ended without an answer. It may have been the one that was to find out
    /// whether the service can be reached, and the only one of this machine.
    pub(crate) fn failed(&mut self, failed: Failed, now: Duration, random: u64) -> Blame {
        let probe = self.probe.take_if(|(probe, _)| *probe == failed.id);
        let probe = probe.map(|(_, probe)| probe);
        let mut line = self.service.lock();
        let blame = line.failed(failed, probe.as_ref(), now, random);
        line.concerns_machine();
        if let Blame::Service { outage } = blame {
            self.met = Some(outage);
        }
        blame
    }

    /// Nothing more comes of this request: if it was to find out, another may.
    pub(crate) fn gave_up(&mut self, id: RequestId) {
        self.probe.take_if(|(probe, _)| *probe == id);
    }

    /// Nothing more comes of any request.
    pub(crate) fn gave_up_all(&mut self) {
        self.probe = None;
    }
}

/// A request that has ended without an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed {
    pub(crate) kind: FailureKind,
    pub(crate) id: RequestId,
    pub(crate) left_at: Duration,
    /// No other request of its machine is under way.
    pub(crate) was_alone: bool,
}
