//! Single operations among the uploads and downloads of a client.

use std::time::Duration;

use super::{
    Failed, Gate, ServiceState,
    outage::{Caller, Probe},
};
use crate::{machine::RequestId, retry::RetryPolicy, transport::FailureKind};

/// The only request that an attempt consists of.
const REQUEST: RequestId = RequestId(0);

/// A single operation, such as listing files, beside the uploads and downloads of its client. Clones are the same operation.
///
/// ```
/// use std::time::Duration;
///
/// use partwise_protocol::{
///     retry::{RetryPolicy, ServiceState},
///     transport::FailureKind,
/// };
///
/// let (service, policy, at) = (ServiceState::new(), RetryPolicy::default(), Duration::from_secs);
/// let call = service.call();
/// let attempt = call.start(&policy, at(0)).expect("nothing has failed yet");
/// attempt.failed(FailureKind::Connect, at(1), 42);
/// assert!(service.offline().is_some());
///
/// let attempt = call.start(&policy, at(60)).expect("another attempt is due");
/// attempt.answered(at(61));
/// assert_eq!(service.offline(), None);
/// ```
#[derive(Clone, Debug)]
pub struct Call {
    service: ServiceState,
    caller: Caller,
}

/// An attempt of a [`Call`] that is in flight.
///
/// It may be the one that finds out for all requests of its client whether the service is back, so report its end with
/// [`answered`](Self::answered) or [`failed`](Self::failed). One that is dropped says nothing of the service, and leaves it to
/// others to find out.
///
/// ```
/// use std::time::Duration;
///
/// use partwise_protocol::retry::{RetryPolicy, ServiceState};
///
/// let (service, at) = (ServiceState::new(), Duration::from_secs);
/// let attempt = service.call().start(&RetryPolicy::default(), at(0)).expect("nothing has failed yet");
/// attempt.answered(at(1));
/// assert_eq!(service.offline(), None);
/// ```
#[derive(Debug)]
#[must_use = "an attempt that is dropped counts as given up"]
pub struct CallAttempt {
    service: ServiceState,
    caller: Caller,
    /// Held while it finds out whether the service can be reached again.
    probe: Option<Probe>,
    left_at: Duration,
}

impl ServiceState {
    /// A single operation that hears of an outage and tells of one.
    #[must_use]
    pub fn call(&self) -> Call {
        Call { service: self.clone(), caller: Caller::default() }
    }
}

impl Call {
    /// Starts an attempt at this moment of the monotonic clock, which has to leave then.
    ///
    /// While the service is away it starts only when it is the one request that finds out whether the service is back, unless
    /// it is alone with the outage, or the policy does not wait for a service at all
    /// ([`give_up_after`](RetryPolicy::give_up_after) is zero). It is alone when the outage began with a single operation, no
    /// request of a machine has left or failed since then, and no other operation has asked while an earlier one was there.
    /// Waits that an overloaded service asked other requests for hold up no single operation.
    ///
    /// # Errors
    /// The moment at which it is worth asking again, when another request has to find out first.
    pub fn start(&self, policy: &RetryPolicy, now: Duration) -> Result<CallAttempt, Duration> {
        let mut line = self.service.lock();
        let probe = match line.gate_of_call(&self.caller, now) {
            Gate::Closed { until } if !policy.give_up_after.is_zero() => return Err(until),
            Gate::OneRequest => Some(line.probe(now)),
            Gate::Closed { .. } | Gate::Open => None,
        };
        drop(line);
        Ok(CallAttempt { service: self.service.clone(), caller: self.caller.clone(), probe, left_at: now })
    }
}

impl CallAttempt {
    /// The service has answered, whatever it said: it is there for all who wait for it.
    pub fn answered(self, now: Duration) {
        self.service.lock().answered(now);
    }

    /// The attempt has ended without an answer. The service is away for all when no connection came about, or when this was to
    /// find out whether it is back, and nothing else has found that out meanwhile; what was interrupted otherwise may be the
    /// operation's own fault. `random` is any number, drawn anew each time.
    pub fn failed(self, kind: FailureKind, now: Duration, random: u64) {
        let failed = Failed { kind, id: REQUEST, left_at: self.left_at, was_alone: false };
        self.service.lock().call_failed(failed, &self.caller, self.probe.as_ref(), now, random);
    }
}
