//! Trying a single operation again.

use std::{fmt, time::Duration};

use partwise_protocol::{
    machine::Attempt,
    operations::OperationId,
    retry::{Call, CallAttempt, Verdict},
    transport::{Failure, FailureKind, Repeat},
    upload::Retry,
};

use crate::{Client, Error, system::Clock};

/// An attempt without success.
#[derive(Debug)]
pub(crate) struct FailedAttempt {
    pub(crate) error: Error,
    /// Whether the whole request may have reached the service.
    pub(crate) may_have_arrived: bool,
    /// Whether the service itself has answered, be it with a rejection.
    pub(crate) was_answered: bool,
}

impl From<Error> for FailedAttempt {
    fn from(error: Error) -> Self {
        let was_answered = matches!(error, Error::Rejected(_) | Error::Garbled(_));
        Self { error, may_have_arrived: true, was_answered }
    }
}

impl FailedAttempt {
    /// An attempt whose answer came from this host, when that is not the service.
    pub(crate) fn at(host: Option<&str>, error: Error) -> Self {
        let Some(host) = host else { return error.into() };
        let error = match error {
            Error::Failed(failure) => failure.behind_redirect(host).into(),
            error => error,
        };
        Self { was_answered: false, ..error.into() }
    }
}

/// The attempts of one operation so far.
pub(crate) struct Retries<'c> {
    client: &'c Client,
    /// The operation among the client's requests; `None` for one that a machine has let leave, and hears of.
    call: Option<Call>,
    operation: OperationId,
    /// What sending it twice can do.
    repeat: Repeat,
    clock: Clock,
    attempts: u64,
    failures: u32,
    /// How the latest attempt failed that another one follows.
    latest: Option<Error>,
    /// When the latest attempt left.
    left_at: Duration,
    /// The first attempt in a row that was not answered failed then.
    unanswered_since: Option<Duration>,
}

impl<'c> Retries<'c> {
    /// Of an operation of its own, which hears of an outage and tells of one as the client's uploads and downloads do.
    pub(crate) fn new(client: &'c Client, operation: OperationId) -> Self {
        Self { call: Some(client.state.call()), ..Self::of_machine(client, operation) }
    }

    /// Of an operation that belongs to a task of an upload or a download, whose machine hears of its end.
    pub(crate) fn of_machine(client: &'c Client, operation: OperationId) -> Self {
        let clock = client.clocks();
        Self {
            client,
            call: None,
            operation,
            repeat: operation.repeat(),
            left_at: clock.now().monotonic,
            clock,
            attempts: 0,
            failures: 0,
            latest: None,
            unanswered_since: None,
        }
    }

    /// The same for a caller to whom sending the operation twice does this.
    pub(crate) fn repeating(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    /// Which attempt was started last, counted from 1.
    pub(crate) fn attempt(&self) -> u64 {
        self.attempts
    }

    /// Waits until an attempt may leave. While the service is known to be away, one request of the client at a time finds out
    /// whether it is back. An attempt that is due by the policy and is not the one counts as failed, although nothing was sent:
    /// so the operation is given up as soon as if it were alone. The wait is told once.
    pub(crate) async fn start(&mut self) -> Result<Option<CallAttempt>, Error> {
        let mut due = None;
        loop {
            let now = self.now();
            let policy = &self.client.retry;
            let started = self.call.as_ref().map(|call| call.start(policy, now)).transpose();
            let until = match started {
                Ok(call) => {
                    self.attempts += 1;
                    self.left_at = now;
                    return Ok(call);
                }
                Err(until) => until,
            };
            let next = match due.filter(|due| now < *due) {
                Some(due) => due,
                None => match self.missed()? {
                    Some(wait) => now.saturating_add(wait),
                    None => continue,
                },
            };
            if due.replace(next).is_none() {
                self.tell_away(until.saturating_sub(now));
            }
            tokio::time::sleep(until.min(next).saturating_sub(now)).await;
        }
    }

    /// The attempt that is due cannot leave. Returns how long until the next one is due; `None` when this one can leave after
    /// all, since the service has answered in the meantime.
    fn missed(&mut self) -> Result<Option<Duration>, Error> {
        let Some(offline) = self.client.state.offline() else { return Ok(None) };
        self.failures += 1;
        let away = Failure::new(FailureKind::Connect);
        let random = self.client.system.random()?;
        match self.client.retry.on_failure(Repeat::Harmless, self.failures, &away, random) {
            Verdict::Retry { wait, .. } if !self.is_nobody_there(wait) => Ok(Some(wait)),
            Verdict::Retry { .. } | Verdict::GiveUp => {
                let away_for = self.now().saturating_sub(offline.since);
                Err(match self.latest.take() {
                    Some(error @ Error::Failed(_)) => error,
                    _ => Failure::with_cause(FailureKind::Connect, KnownAway(away_for)).into(),
                })
            }
        }
    }

    /// The attempt was answered with what was asked for.
    pub(crate) fn succeeded(&self, call: Option<CallAttempt>) {
        if let Some(call) = call {
            call.answered(self.now());
            self.client.state.understood();
        }
    }

    /// Waits until the operation may be tried again, or gives the error back when it must not.
    pub(crate) async fn after(
        &mut self,
        call: Option<CallAttempt>,
        attempt: impl Into<FailedAttempt>,
    ) -> Result<(), Error> {
        let FailedAttempt { error, may_have_arrived, was_answered } = attempt.into();
        // A sleep of the machine ends connections, which says nothing of the service.
        let is_excused = matches!(&error, Error::Failed(failure) if failure.kind.is_transient())
            && self.clock.has_slept_since(self.left_at);
        self.failures += u32::from(!is_excused);
        match (call, &error) {
            (Some(call), _) if was_answered => call.answered(self.now()),
            // Of another host, to which the service redirected, it says nothing.
            (Some(call), Error::Failed(failure)) if !is_excused && failure.redirected_to.is_none() => {
                call.failed(failure.kind, self.now(), self.client.system.random()?);
            }
            _ => {}
        }
        self.note(&error, is_excused);
        match self.judge(&error, may_have_arrived)? {
            Verdict::GiveUp => Err(error),
            Verdict::Retry { wait, .. } => {
                let wait = if is_excused { Duration::ZERO } else { wait };
                if !is_excused && self.is_nobody_there(wait) {
                    return Err(error);
                }
                tracing::debug!(?wait, failures = self.failures, "trying again");
                self.tell(&error, wait);
                self.latest = Some(error);
                tokio::time::sleep(wait).await;
                Ok(())
            }
        }
    }

    /// Takes in what a failed attempt says of whether the service is there.
    fn note(&mut self, error: &Error, is_excused: bool) {
        let makes_sense = match error {
            Error::Rejected(rejection) => rejection.is_of_the_api() && rejection.answered_by.is_none(),
            Error::Failed(failure) => failure.redirected_to.is_some(),
            _ => false,
        };
        if makes_sense {
            self.client.state.understood();
        }
        match error {
            Error::Failed(failure) if failure.redirected_to.is_none() => {
                if !is_excused {
                    self.unanswered_since.get_or_insert(self.now());
                }
            }
            _ => self.unanswered_since = None,
        }
    }

    /// Says whether the operation is given up sooner than its budget says, before it has waited for so long: the client has never had
    /// an answer that makes sense, and its endpoint may be mistyped. A task of an upload or a download has one that knows more.
    /// Attempts of the operation alone count, and none that others kept from leaving.
    fn is_nobody_there(&self, wait: Duration) -> bool {
        if self.call.is_none() || self.client.state.is_understood() {
            return false;
        }
        let policy = &self.client.retry;
        let limit = policy.give_up_before_contact.min(policy.give_up_after);
        let waited = self.unanswered_since.map(|since| self.now().saturating_sub(since).saturating_add(wait));
        // A policy that waits for no service counts attempts alone.
        let is_too_long = !policy.give_up_after.is_zero() && waited.is_some_and(|waited| waited > limit);
        is_too_long
            || u64::from(self.failures).min(self.attempts) > u64::from(policy.max_failures_before_contact)
    }

    /// The error of the operation: one that has run out of time says how its latest attempt failed.
    pub(crate) fn explained(self, error: Error) -> Error {
        match error {
            Error::TimedOut { limit, cause: None } => {
                Error::TimedOut { limit, cause: self.latest.map(Box::new) }
            }
            error => error,
        }
    }

    /// Tells whoever wants to hear of it.
    fn tell(&self, error: &Error, wait: Duration) {
        let Some(told) = &self.client.on_retry else { return };
        let attempt = Attempt::new(self.operation, self.attempts);
        match error {
            Error::Rejected(refusal) => told(&Retry::after_rejection(attempt, refusal, wait)),
            Error::Failed(failure) => told(&Retry::after_failure(attempt, failure, wait)),
            _ => {}
        }
    }

    /// Tells that the next attempt cannot leave for this long.
    fn tell_away(&self, wait: Duration) {
        let Some(told) = &self.client.on_retry else { return };
        let attempt = Attempt::new(self.operation, self.attempts + 1);
        told(&Retry::after_failure(attempt, &Failure::new(FailureKind::Connect), wait));
    }

    fn judge(&self, error: &Error, may_have_arrived: bool) -> Result<Verdict, Error> {
        let (policy, failures) = (&self.client.retry, self.failures.max(1));
        let repeat = match self.repeat {
            // Of half a request no service makes a file.
            Repeat::Ambiguous if !may_have_arrived => Repeat::Orphans,
            repeat => repeat,
        };
        let random = self.client.system.random()?;
        Ok(match error {
            Error::Rejected(refusal) => {
                policy.on_rejection(repeat, failures, refusal, self.clock.now(), random)
            }
            Error::Failed(failure) => policy.on_failure(repeat, failures, failure, random),
            _ => Verdict::GiveUp,
        })
    }

    fn now(&self) -> Duration {
        self.clock.now().monotonic
    }
}

/// Other requests have found out that the service is away.
#[derive(Debug)]
struct KnownAway(Duration);

impl fmt::Display for KnownAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => f.write_str("another request has just failed to reach it"),
            seconds => write!(f, "other requests have not reached it for {seconds} s"),
        }
    }
}

impl std::error::Error for KnownAway {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

    use std::convert::Infallible;

    use http::{Request, Response};
    use http_body_util::Empty;
    use partwise_protocol::{Api, Credential, retry::RetryPolicy};

    use super::*;
    use crate::RequestBody;

    #[tokio::test]
    async fn an_attempt_that_missed_an_outage_which_is_over_is_no_failure() {
        let service = tower::service_fn(|_: Request<RequestBody>| async {
            Ok::<_, Infallible>(Response::new(Empty::<bytes::Bytes>::new()))
        });
        let mut policy = RetryPolicy::default();
        policy.max_failures = 0;
        let client = Client::builder(Api::openai(), Credential::key("key").unwrap())
            .transport(service)
            .retry(policy)
            .build();
        let mut retries = Retries::new(&client, OperationId::ListFiles);
        assert_eq!(retries.missed().unwrap(), None);
        let call = client.state.call();
        let attempt = call.start(&client.retry, retries.now()).unwrap();
        attempt.failed(FailureKind::Connect, retries.now(), 0);
        let error = retries.missed().unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "another request has just failed to reach it");
    }
}
