//! The state of one connection, as its socket, its service and its bodies see it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use super::outflow::{Outflow, Speed};
use crate::{limits::Limits, server::InFlight};

/// The time that a head, or what is left of a request that was answered, has to its end when the server stops. Nothing is lost
/// with either.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Shared by all who see a part of it.
#[derive(Clone)]
pub(crate) struct Activity(Arc<Mutex<State>>);

struct State {
    phase: Phase,
    /// The number of requests so far.
    requests: u64,
    /// An answer that HTTP gave on its own to what is no request, and that was not written.
    held_back: Option<StatusCode>,
    /// The last bytes that came.
    tail: [u8; 3],
    /// The request that is served has a body: which bytes are its own is not known here.
    has_body: bool,
    /// Bytes have come behind the request that is served.
    is_followed: bool,
    /// Of some request, not all of the body was read.
    left_unread: bool,
    answer: Answer,
    counted: Option<InFlight>,
    /// The number of the request that is answered, as its caller sees it.
    request: Option<HeaderValue>,
    out: Outflow,
    /// Wakes the task of the connection.
    waker: Option<Waker>,
    /// HTTP is at work: what changes now is seen when it returns.
    is_polled: bool,
    limits: Limits,
}

enum Phase {
    /// No byte of a request has come since then: the connection was opened.
    Fresh(Instant),
    /// The head of a request has been coming since then.
    Head(Instant),
    /// A request is being served: one of its bodies has not ended.
    Request,
    /// Both bodies have ended; HTTP may not have written all of the answer yet.
    Answered,
    /// The last answer was written then.
    Idle(Instant),
}

/// The progress of the answer to the request that is being served.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Coming,
    /// Its body has ended; HTTP may not have written all of it yet.
    Ended,
    Written,
}

/// The reason why a connection ends before its peer or HTTP wants it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// No request is begun.
    Silent,
    /// A head does not end.
    Head,
    /// The server stops, and a head has not ended.
    HeadAtStop,
    /// The server stops, and a request that was answered has not ended.
    RestAtStop,
    /// The peer takes nothing of what it is sent, or hardly anything.
    Reader,
}

/// The answer to a request, until its body has ended.
pub(crate) struct OpenAnswer(Arc<Exchange>);

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
            held_back: None,
            tail: [0; 3],
            has_body: false,
            is_followed: false,
            left_unread: false,
            answer: Answer::Coming,
            counted: None,
            request: None,
            out: Outflow::new(limits),
            waker: None,
            is_polled: false,
            limits: limits.clone(),
        })))
    }

    /// HTTP gets to work, in the task of this waker.
    pub(super) fn enter(&self, waker: &Waker) {
        let mut state = self.lock();
        state.is_polled = true;
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// HTTP has done what it can for now. Says whether it has to be asked again: a body may have ended behind its last look at what
    /// there is to write, or on another thread.
    pub(super) fn leave(&self) -> bool {
        let mut state = self.lock();
        state.is_polled = false;
        matches!(state.phase, Phase::Answered) && !state.out.is_blocked()
    }

    /// The head of a request was read, with a body behind it or without one.
    pub(super) fn begin(&self, counted: InFlight, has_body: bool) -> Exchange {
        let mut state = self.lock();
        state.phase = Phase::Request;
        state.held_back = None;
        // A head ends with an empty line: what came behind it was read together with it.
        state.is_followed = !(has_body || state.tail.ends_with(b"\n\r\n") || state.tail.ends_with(b"\n\n"));
        state.has_body = has_body;
        state.answer = Answer::Coming;
        state.counted = Some(counted);
        state.requests += 1;
        Exchange { activity: self.clone(), number: state.requests }
    }

    /// HTTP is given an answer to the request of this number.
    pub(super) fn answer(&self, request: Option<&HeaderValue>) {
        let mut state = self.lock();
        state.request = request.cloned();
        state.out.restart();
    }

    pub(super) fn leave_unread(&self) {
        self.lock().left_unread = true;
    }

    /// These bytes have come.
    pub(crate) fn received(&self, bytes: &[u8]) {
        let mut state = self.lock();
        for byte in &bytes[bytes.len().saturating_sub(state.tail.len())..] {
            state.tail.rotate_left(1);
            state.tail[2] = *byte;
        }
        // An empty line between requests begins none: some clients send one behind a form.
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return;
        }
        match state.phase {
            Phase::Fresh(_) | Phase::Idle(_) => state.phase = Phase::Head(Instant::now()),
            Phase::Request | Phase::Answered => state.is_followed |= !state.has_body,
            Phase::Head(_) => {}
        }
    }

    /// Keeps what HTTP wants to write when that is an answer of its own, which has not the shape of the API. It gives one to
    /// what is no request.
    pub(crate) fn hold_back(&self, bytes: &[u8]) -> bool {
        if !self.is_between_requests() {
            return false;
        }
        let mut state = self.lock();
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
        // Before that it has written what there is so far, and more may come.
        if state.answer == Answer::Ended {
            state.answer = Answer::Written;
            state.counted = None;
        }
        if matches!(state.phase, Phase::Answered) {
            let now = Instant::now();
            state.phase = if state.is_followed { Phase::Head(now) } else { Phase::Idle(now) };
        }
    }

    /// The status of an answer that was held back.
    pub(super) fn held_back(&self) -> Option<StatusCode> {
        self.lock().held_back
    }

    /// Says whether no request is being served.
    pub(super) fn is_between_requests(&self) -> bool {
        !matches!(self.lock().phase, Phase::Request | Phase::Answered)
    }

    pub(super) fn is_left_unread(&self) -> bool {
        self.lock().left_unread
    }

    /// The moment at which the connection is overdue if nothing happens until then, in a server that was told to stop at some
    /// time, or was not.
    pub(super) fn deadline(&self, stopped: Option<Instant>) -> Option<(Instant, Overdue)> {
        let state = self.lock();
        if let Some(deadline) = state.out.deadline() {
            return Some((deadline, Overdue::Reader));
        }
        let Limits { head_timeout, idle_timeout, .. } = state.limits;
        let at_stop = |overdue| stopped.map(|at| (at + STOP_GRACE, overdue));
        let (since, time, overdue, at_stop) = match state.phase {
            Phase::Fresh(since) => (since, head_timeout, Overdue::Silent, None),
            Phase::Head(since) => (since, head_timeout, Overdue::Head, at_stop(Overdue::HeadAtStop)),
            Phase::Request if state.answer == Answer::Written => return at_stop(Overdue::RestAtStop),
            Phase::Request | Phase::Answered => return None,
            Phase::Idle(since) => (since, idle_timeout, Overdue::Silent, None),
        };
        // A time that no clock reaches is no deadline.
        let deadline = since.checked_add(time).map(|deadline| (deadline, overdue));
        deadline.into_iter().chain(at_stop).min_by_key(|(moment, _)| *moment)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenAnswer {
    pub(super) fn new(exchange: Arc<Exchange>) -> Self {
        Self(exchange)
    }
}

impl Drop for OpenAnswer {
    fn drop(&mut self) {
        let mut state = self.0.activity.lock();
        if state.requests == self.0.number {
            state.answer = Answer::Ended;
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut state = self.activity.lock();
        // What reads the rest of a body may end later than the next request begins.
        if state.requests != self.number {
            return;
        }
        state.phase = Phase::Answered;
        // The connection may have nothing else that wakes it, neither bytes nor a timer.
        let waker = if state.is_polled { None } else { state.waker.clone() };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        task::Wake,
    };

    use super::*;
    use crate::{Server, Store};

    #[tokio::test]
    async fn the_late_end_of_one_request_is_not_that_of_the_next() {
        let server = Server::builder(Store::memory()).build().await.unwrap();
        let activity = Activity::new(&Limits::default());
        let first = Arc::new(activity.begin(server.begin_request(), true));
        activity.answer(None);
        drop(OpenAnswer::new(first.clone()));
        activity.flushed();
        assert_eq!(server.requests_in_flight(), 0, "its answer is written");
        // Whatever reads what the first has left unread may learn of its end when the second has begun.
        let second = Arc::new(activity.begin(server.begin_request(), true));
        drop(first);
        assert_eq!(activity.deadline(None), None);
        assert_eq!(server.requests_in_flight(), 1);
        drop(OpenAnswer::new(second));
        activity.flushed();
        assert!(activity.deadline(None).is_some());
        assert_eq!(server.requests_in_flight(), 0);
    }

    #[tokio::test]
    async fn a_request_is_in_flight_until_its_answer_is_written() {
        let server = Server::builder(Store::memory()).build().await.unwrap();
        let activity = Activity::new(&Limits::default());
        let exchange = Arc::new(activity.begin(server.begin_request(), true));
        activity.answer(None);
        // The head may leave before the content is there.
        activity.flushed();
        assert!(!activity.hold_back(b"HTTP/1.1 200 OK\r\n"), "it may be content");
        drop(OpenAnswer::new(exchange));
        assert!(!activity.hold_back(b"HTTP/1.1 200 OK\r\n"), "it may be the last of the content");
        assert_eq!(activity.deadline(None), None);
        assert_eq!(server.requests_in_flight(), 1);
        activity.flushed();
        assert_eq!(server.requests_in_flight(), 0);
        assert!(activity.hold_back(b"HTTP/1.1 400 Bad Request\r\n"), "nobody has asked for it");
    }

    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[tokio::test]
    async fn a_connection_sees_the_end_of_a_request_wherever_it_comes() {
        let server = Server::builder(Store::memory()).build().await.unwrap();
        let activity = Activity::new(&Limits::default());
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        let waker = Waker::from(woken.clone());

        activity.enter(&waker);
        let exchange = activity.begin(server.begin_request(), true);
        assert!(!activity.leave());
        drop(exchange);
        assert_eq!(woken.0.load(SeqCst), 1, "between two looks of HTTP");

        activity.enter(&waker);
        activity.flushed();
        let exchange = activity.begin(server.begin_request(), true);
        drop(exchange);
        assert!(activity.leave(), "behind the last look of HTTP");
        activity.enter(&waker);
        activity.blocked();
        assert!(!activity.leave(), "the socket wakes it");
        activity.sent(1);
        activity.flushed();
        assert!(!activity.leave());
        assert_eq!(woken.0.load(SeqCst), 1);
    }

    #[tokio::test]
    async fn times_that_no_clock_reaches_are_no_limits() {
        let mut limits = Limits::default();
        (limits.head_timeout, limits.idle_timeout) = (Duration::MAX, Duration::MAX);
        (limits.write_stall_timeout, limits.rate_window) = (Duration::MAX, Duration::MAX);
        let server = Server::builder(Store::memory()).build().await.unwrap();
        for rate in [0, 1, u64::MAX] {
            limits.min_rate = rate;
            let activity = Activity::new(&limits);
            assert_eq!(activity.deadline(None), None);
            activity.received(b"GET");
            assert_eq!(activity.deadline(None), None);
            let exchange = activity.begin(server.begin_request(), true);
            activity.answer(None);
            activity.blocked();
            assert_eq!(activity.deadline(None), None);
            // Fast.
            activity.sent(16 << 20);
            activity.blocked();
            assert_eq!(activity.deadline(None), None);
            activity.sent(usize::MAX / 2);
            drop(exchange);
            activity.flushed();
            assert_eq!(activity.deadline(None), None);
        }
    }
}
