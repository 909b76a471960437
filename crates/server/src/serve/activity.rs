//! The state of one connection, as its socket, its service and its bodies see it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use super::outflow::{Outflow, Speed};
use crate::{limits::Limits, server::InFlight};

/// Shared by all who see a part of it.
#[derive(Clone)]
pub(crate) struct Activity(Arc<Mutex<State>>);

struct State {
    phase: Phase,
    /// The number of requests so far.
    requests: u64,
    /// HTTP has an answer, or the rest of one, that is not written yet.
    is_answering: bool,
    /// An answer that HTTP gave on its own to what is no request, and that was not written.
    held_back: Option<StatusCode>,
    /// Of some request, not all of the body was read.
    left_unread: bool,
    counted: Option<InFlight>,
    /// The number of the request that is answered, as its caller sees it.
    request: Option<HeaderValue>,
    out: Outflow,
    limits: Limits,
}

enum Phase {
    /// No byte of a request has come since then: the connection was opened.
    Fresh(Instant),
    /// The head of a request has been coming since then.
    Head(Instant),
    /// A request is being served.
    Request,
    /// The last request was done then.
    Idle(Instant),
}

/// The reason why a connection ends before its peer or HTTP wants it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// No request is begun.
    Silent,
    /// A head does not end.
    Head,
    /// The peer takes nothing of what it is sent, or hardly anything.
    Reader,
}

/// A request, from its head to the end of both its bodies.
pub(crate) struct Exchange {
    activity: Activity,
    /// Which request of the connection, counted from 1.
    number: u64,
}

impl Activity {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Mutex::new(State {
            phase: Phase::Fresh(Instant::now()),
            requests: 0,
            is_answering: false,
            held_back: None,
            left_unread: false,
            counted: None,
            request: None,
            out: Outflow::new(limits),
            limits: limits.clone(),
        })))
    }

    /// The head of a request was read.
    pub(super) fn begin(&self, counted: InFlight) -> Exchange {
        let mut state = self.lock();
        state.phase = Phase::Request;
        state.counted = Some(counted);
        state.requests += 1;
        Exchange { activity: self.clone(), number: state.requests }
    }

    /// HTTP is given an answer to the request of this number.
    pub(super) fn answer(&self, request: Option<&HeaderValue>) {
        let mut state = self.lock();
        state.request = request.cloned();
        state.is_answering = true;
        state.out.restart();
    }

    pub(super) fn leave_unread(&self) {
        self.lock().left_unread = true;
    }

    /// Bytes have come.
    pub(crate) fn received(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Fresh(_) | Phase::Idle(_)) {
            state.phase = Phase::Head(Instant::now());
        }
    }

    /// Keeps what HTTP wants to write when that is an answer of its own, which has not the shape of the API. It gives one to
    /// what is no request.
    pub(crate) fn hold_back(&self, bytes: &[u8]) -> bool {
        let mut state = self.lock();
        if state.is_answering || matches!(state.phase, Phase::Request) {
            return false;
        }
        let status = bytes.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
        state.held_back = status.and_then(|status| StatusCode::from_bytes(status).ok());
        state.held_back.is_some()
    }

    /// The socket has taken so many bytes. Says how fast its peer is when that is another speed than before.
    pub(crate) fn sent(&self, bytes: usize) -> Option<Speed> {
        self.lock().out.sent(bytes)
    }

    /// The number of the request that is answered.
    pub(crate) fn request(&self) -> String {
        let request = self.lock().request.clone();
        request.and_then(|id| id.to_str().map(str::to_owned).ok()).unwrap_or_default()
    }

    /// The socket takes nothing now.
    pub(crate) fn blocked(&self) {
        self.lock().out.blocked();
    }

    /// HTTP has nothing more to write.
    pub(crate) fn flushed(&self) {
        let mut state = self.lock();
        state.is_answering = false;
        state.settle();
    }

    /// The status of an answer that was held back.
    pub(super) fn held_back(&self) -> Option<StatusCode> {
        self.lock().held_back
    }

    pub(super) fn is_left_unread(&self) -> bool {
        self.lock().left_unread
    }

    /// The moment at which the connection is overdue if nothing happens until then.
    pub(super) fn deadline(&self) -> Option<(Instant, Overdue)> {
        let state = self.lock();
        if let Some(deadline) = state.out.deadline() {
            return Some((deadline, Overdue::Reader));
        }
        let Limits { head_timeout, idle_timeout, .. } = state.limits;
        match state.phase {
            Phase::Fresh(since) => Some((since + head_timeout, Overdue::Silent)),
            Phase::Head(since) => Some((since + head_timeout, Overdue::Head)),
            Phase::Request => None,
            Phase::Idle(since) => Some((since + idle_timeout, Overdue::Silent)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts a request as done once its bodies have ended and its answer is written.
    fn settle(&mut self) {
        if !self.is_answering && !matches!(self.phase, Phase::Request) {
            self.counted = None;
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut state = self.activity.lock();
        // What reads the rest of a body may end later than the next request begins.
        if state.requests == self.number {
            state.phase = Phase::Idle(Instant::now());
            state.settle();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Server, Store};

    #[tokio::test]
    async fn the_late_end_of_one_request_is_not_that_of_the_next() {
        let server = Server::builder(Store::memory()).build().await.unwrap();
        let activity = Activity::new(&Limits::default());
        let first = activity.begin(server.begin_request());
        activity.answer(None);
        activity.flushed();
        // Whatever reads what the first has left unread may learn of its end when the second has begun.
        let second = activity.begin(server.begin_request());
        drop(first);
        assert_eq!(activity.deadline(), None);
        assert_eq!(server.requests_in_flight(), 1);
        drop(second);
        assert!(activity.deadline().is_some());
        assert_eq!(server.requests_in_flight(), 0);
    }

    #[tokio::test]
    async fn a_request_is_in_flight_until_its_answer_is_written() {
        let server = Server::builder(Store::memory()).build().await.unwrap();
        let activity = Activity::new(&Limits::default());
        let exchange = activity.begin(server.begin_request());
        activity.answer(None);
        drop(exchange);
        assert_eq!(server.requests_in_flight(), 1);
        activity.flushed();
        assert_eq!(server.requests_in_flight(), 0);
    }
}
