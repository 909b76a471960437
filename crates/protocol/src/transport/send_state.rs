//! How much of a request's body has left, as its transport tells.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{
        AtomicBool, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

use super::SendBuffer;

/// The state of one request's body on its way, shared by the caller, the body and the transport: how many bytes were taken of it,
/// how many have departed, and whether it is to stop. Cheap to clone; clones share the state.
///
/// A caller puts it into the [extensions](http::Request::extensions) of a request, where the transport finds it, whatever layers
/// lie in between. The body counts what it hands out ([`take`](Self::take)). A transport that does nothing at all leaves the
/// caller with an upper bound, which is enough to be right; one that reports what its sockets take
/// ([`begin_attempt`](Self::begin_attempt)) lets the caller see the line as it is.
///
/// A transport reports only of a body that is the caller's: of one with another length than the state's, which a layer has changed,
/// its figures would say nothing. A layer that sends the same request through several transports gives each a state of its own
/// unless all of them report.
///
/// ```
/// use partwise_protocol::transport::{SendBuffer, SendState};
///
/// let state = SendState::new(1000);
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(state.clone());
///
/// // The transport takes 700 bytes of the body, and writes 300 before the connection breaks.
/// let told: SendState = request.extensions().get().cloned().expect("it was put there");
/// let attempt = told.begin_attempt(SendBuffer::new(512 << 10, 4 << 20));
/// assert!(attempt.take(700));
/// attempt.note_departed(300);
/// attempt.note_closed();
///
/// assert_eq!(state.departed(), 300);
/// assert_eq!(state.stop(), 300, "no more than that has reached the service, and nothing more will");
/// assert!(!attempt.take(100));
/// ```
#[derive(Clone, Debug)]
pub struct SendState(Arc<Shared>);

/// One attempt to send the body, as the transport reports it: made by [`SendState::begin_attempt`]. Cheap to clone; clones share
/// the figures.
///
/// ```
/// use partwise_protocol::transport::{SendBuffer, SendState};
///
/// let state = SendState::new(10);
/// let attempt = state.begin_attempt(SendBuffer::default());
/// assert!(attempt.take(10));
/// attempt.note_departed(7);
/// assert_eq!(state.departed(), 7);
/// attempt.note_closed();
/// assert_eq!(state.stop(), 7, "nothing more departs");
/// ```
#[derive(Clone, Debug)]
pub struct SendAttempt {
    figures: Arc<Figures>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The length of the body; [`UNKNOWN`] until the end of one that nobody knows the length of.
    length: AtomicU64,
    /// What the body has handed out.
    taken: Taken,
    /// How often bytes that had departed were seen to move.
    movements: AtomicU64,
    reported: Mutex<Reported>,
}

#[derive(Debug, Default)]
struct Reported {
    attempts: Vec<Arc<Figures>>,
    /// What the transport may hold of the bytes that have departed.
    buffer: Option<SendBuffer>,
}

#[derive(Debug, Default)]
struct Figures {
    taken: Taken,
    departed: AtomicU64,
    /// Nothing more departs.
    is_closed: AtomicBool,
}

/// How many bytes were taken, and [`STOPPED`] once no more are.
#[derive(Debug, Default)]
struct Taken(AtomicU64);

const UNKNOWN: u64 = u64::MAX;
/// No body is as long as this.
const STOPPED: u64 = 1 << 63;

impl Taken {
    fn take(&self, bytes: u64) -> bool {
        let count = |taken: u64| (taken & STOPPED == 0).then(|| taken.saturating_add(bytes).min(STOPPED - 1));
        self.0.fetch_update(AcqRel, Acquire, count).is_ok()
    }

    fn count(&self) -> u64 {
        self.0.load(Acquire) & !STOPPED
    }

    fn stop(&self) -> u64 {
        self.0.fetch_or(STOPPED, AcqRel) & !STOPPED
    }

    fn is_stopped(&self) -> bool {
        self.0.load(Acquire) & STOPPED != 0
    }
}

impl SendState {
    /// The state of a body of `length` bytes, of which nothing was taken yet.
    #[must_use]
    pub fn new(length: u64) -> Self {
        Self(Arc::new(Shared {
            length: AtomicU64::new(length),
            taken: Taken::default(),
            movements: AtomicU64::new(0),
            reported: Mutex::default(),
        }))
    }

    /// The state of a body whose length is known at its [end](Self::end) only.
    #[must_use]
    pub fn of_unknown_length() -> Self {
        Self::new(UNKNOWN)
    }

    /// The length of the body, in bytes, when it is known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        let length = self.0.length.load(Acquire);
        (length != UNKNOWN).then_some(length)
    }

    /// Counts bytes that the body is about to hand out; false when it is to hand out nothing more. One step, so that the count at
    /// the moment of a [stop](Self::stop) covers everything that was ever handed out. For the body alone: a transport counts in its
    /// [attempt](Self::begin_attempt).
    #[must_use]
    pub fn take(&self, bytes: u64) -> bool {
        self.0.taken.take(bytes)
    }

    /// Says that a body of unknown length has ended: it is as long as what was taken.
    pub fn end(&self) {
        let _ = self.0.length.compare_exchange(UNKNOWN, self.taken(), AcqRel, Acquire);
    }

    /// The number of bytes that the body has handed out.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.0.taken.count()
    }

    /// Whether the body has handed out all of its bytes.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.length() == Some(self.taken())
    }

    /// Stops the body: it hands out nothing more, and never ends. Returns the number of its bytes that may have reached the
    /// peer: an upper bound that is final.
    pub fn stop(&self) -> u64 {
        let taken = self.0.taken.stop();
        let reported = self.reported();
        let bounds = reported.attempts.iter().map(|attempt| attempt.stop());
        bounds.max().unwrap_or(taken)
    }

    /// Whether the body was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.taken.is_stopped()
    }

    /// Begins to report what the transport's socket takes of the body, and says how much of that the transport may hold. Each
    /// attempt sends the body from its beginning; one of a body that was [stopped](Self::stop) is stopped as well.
    #[must_use]
    pub fn begin_attempt(&self, buffer: SendBuffer) -> SendAttempt {
        let figures = Arc::<Figures>::default();
        let mut reported = self.reported();
        reported.buffer = Some(buffer);
        reported.attempts.push(figures.clone());
        // Looked at behind the lock that a stop takes after it has stopped the body: one of the two stops the attempt.
        if self.is_stopped() {
            figures.stop();
        }
        drop(reported);
        SendAttempt { figures, shared: self.0.clone() }
    }

    /// Returns what the transport may hold of the bytes that have departed, when it has said so.
    #[must_use]
    pub fn send_buffer(&self) -> Option<SendBuffer> {
        self.reported().buffer
    }

    /// The number of bytes that have departed, as far as the transport tells: those that its socket has taken in the latest
    /// attempt, else those that the body has handed out.
    #[must_use]
    pub fn departed(&self) -> u64 {
        let latest = self.reported().attempts.last().map(|attempt| attempt.departed.load(Acquire));
        latest.unwrap_or_else(|| self.taken())
    }

    /// The number of times that bytes which had departed were [seen to move](SendAttempt::note_movement).
    #[must_use]
    pub fn movements(&self) -> u64 {
        self.0.movements.load(Relaxed)
    }

    fn reported(&self) -> MutexGuard<'_, Reported> {
        self.0.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SendAttempt {
    /// Counts bytes that the transport has taken and is about to send; false when it is to send nothing more. One step, as
    /// [`SendState::take`].
    #[must_use]
    pub fn take(&self, bytes: u64) -> bool {
        self.figures.taken.take(bytes)
    }

    /// Stops this attempt alone: it sends nothing more.
    pub fn stop(&self) {
        self.figures.stop();
    }

    /// Whether this attempt is to send nothing more.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.figures.taken.is_stopped() || self.shared.taken.is_stopped()
    }

    /// Counts bytes that the socket has taken.
    pub fn note_departed(&self, bytes: u64) {
        self.figures.departed.fetch_add(bytes, Relaxed);
    }

    /// Says that the connection is closed, so that what was reported as departed is all that ever departs.
    pub fn note_closed(&self) {
        self.figures.is_closed.store(true, Release);
    }

    /// Says that bytes which had departed were seen to move.
    pub fn note_movement(&self) {
        self.shared.movements.fetch_add(1, Relaxed);
    }
}

impl Figures {
    /// Returns how much may have reached the peer: while the connection is open, what the socket has not taken yet may follow.
    fn stop(&self) -> u64 {
        let taken = self.taken.stop();
        match self.is_closed.load(Acquire) {
            true => self.departed.load(Relaxed),
            false => taken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(state: &SendState) -> SendAttempt {
        state.begin_attempt(SendBuffer::default())
    }

    #[test]
    fn a_transport_that_reports_nothing_has_sent_at_most_what_it_has_taken() {
        let state = SendState::new(10);
        assert!(state.take(4));
        assert_eq!((state.departed(), state.is_taken()), (4, false));
        assert!(state.take(6));
        assert!(state.is_taken());
        assert_eq!(state.stop(), 10);
    }

    #[test]
    fn nothing_is_taken_of_a_body_that_was_stopped() {
        let state = SendState::new(10);
        assert!(state.take(4));
        assert_eq!((state.stop(), state.is_stopped()), (4, true));
        assert!(!state.take(1));
        assert_eq!((state.taken(), state.stop()), (4, 4));
        let late = attempt(&state);
        assert!(late.is_stopped() && !late.take(1));
        assert_eq!(state.stop(), 0, "and that attempt has sent nothing");
    }

    #[test]
    fn a_body_that_counts_nothing_has_sent_what_its_transport_has_taken() {
        let state = SendState::new(10);
        let attempt = attempt(&state);
        assert!(attempt.take(10));
        attempt.note_departed(7);
        assert_eq!(
            (state.departed(), state.stop()),
            (7, 10),
            "the rest may follow while the connection is open"
        );
        attempt.note_departed(2);
        attempt.note_closed();
        assert_eq!(state.stop(), 9);
    }

    #[test]
    fn of_several_attempts_the_one_that_has_sent_most_counts() {
        for [first, second] in [[3, 10], [10, 3]] {
            let state = SendState::new(10);
            assert!(state.take(10), "a layer keeps it all, to send it again");
            for bytes in [first, second] {
                let attempt = attempt(&state);
                assert!(attempt.take(bytes));
                attempt.note_departed(bytes);
                attempt.note_closed();
                assert_eq!(state.departed(), bytes);
            }
            assert_eq!(state.stop(), 10);
        }
    }

    #[test]
    fn an_attempt_that_is_stopped_stops_neither_the_body_nor_the_next_attempt() {
        let state = SendState::new(10);
        let first = attempt(&state);
        first.stop();
        assert!(first.is_stopped() && !first.take(1));
        assert!(!state.is_stopped());
        assert!(attempt(&state).take(1));
    }

    #[test]
    fn no_count_becomes_a_stop_by_overflow() {
        let state = SendState::new(10);
        assert!(state.take(u64::MAX));
        assert!(state.take(u64::MAX));
        assert!(!state.is_stopped());
    }

    #[test]
    fn a_body_of_unknown_length_is_as_long_as_what_was_taken_by_its_end() {
        let state = SendState::of_unknown_length();
        assert!(state.take(4));
        assert_eq!((state.length(), state.is_taken()), (None, false));
        state.end();
        assert_eq!((state.length(), state.is_taken()), (Some(4), true));
    }
}
