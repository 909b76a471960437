//! How much of a request's body has left, as its transport tells.

use std::sync::{
    Arc, OnceLock,
    atomic::{
        AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed},
    },
};

use super::SendBuffer;

/// The state of one request's body on its way, shared by the caller, the body and the transport: how many bytes the transport
/// has taken, how many have departed, and whether it is to stop. Cheap to clone; clones share the state.
///
/// A caller puts it into the [extensions](http::Request::extensions) of a request, where the transport finds it, whatever layers
/// lie in between. The body counts what it hands out ([`take`](Self::take)). A transport that does nothing at all leaves the
/// caller with an upper bound, which is enough to be right; one that reports what its sockets have taken
/// ([`report_departed`](Self::report_departed)) lets the caller see the line as it is.
///
/// ```
/// use partwise_protocol::transport::{SendBuffer, SendState};
///
/// let state = SendState::new(1000);
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(state.clone());
///
/// // The body hands out 700 bytes, of which the transport writes 300 before the connection breaks.
/// assert!(state.take(700));
/// let reported: SendState = request.extensions().get().cloned().expect("it was put there");
/// reported.report_departed(SendBuffer::new(512 << 10, 4 << 20));
/// reported.note_departed(300);
/// reported.note_closed();
///
/// assert_eq!(state.departed(), 300);
/// assert_eq!(state.stop(), 300, "no more than that has reached the service, and nothing more will");
/// assert!(!state.take(100));
/// ```
#[derive(Clone, Debug)]
pub struct SendState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The length of the body; [`UNKNOWN`] until the end of one that nobody knows the length of.
    length: AtomicU64,
    /// How much of the body the transport has taken, and [`STOPPED`] once it gets nothing more.
    taken: AtomicU64,
    /// How much of it the socket has taken, where that is known; else [`UNKNOWN`].
    departed: AtomicU64,
    /// What the transport may hold of those.
    buffer: OnceLock<SendBuffer>,
    /// How often bytes that had departed were seen to move.
    movements: AtomicU64,
    /// How much of the body has departed at most, once nothing more can depart.
    limit: OnceLock<u64>,
}

const UNKNOWN: u64 = u64::MAX;
/// No body is as long as this.
const STOPPED: u64 = 1 << 63;

impl SendState {
    /// The state of a body of `length` bytes, of which nothing was taken yet.
    #[must_use]
    pub fn new(length: u64) -> Self {
        Self(Arc::new(Shared {
            length: AtomicU64::new(length),
            taken: AtomicU64::new(0),
            departed: AtomicU64::new(UNKNOWN),
            buffer: OnceLock::new(),
            movements: AtomicU64::new(0),
            limit: OnceLock::new(),
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

    /// Counts bytes that the transport is about to get from the body; false when it is to get nothing more. One step, so that
    /// the count at the moment of a [stop](Self::stop) covers everything that was ever handed out.
    #[must_use]
    pub fn take(&self, bytes: u64) -> bool {
        let count = |taken: u64| (taken & STOPPED == 0).then(|| taken + bytes);
        self.0.taken.fetch_update(AcqRel, Acquire, count).is_ok()
    }

    /// Says that a body of unknown length has ended: it is as long as what was taken.
    pub fn end(&self) {
        let _ = self.0.length.compare_exchange(UNKNOWN, self.taken(), AcqRel, Acquire);
    }

    /// The number of bytes that the transport has taken.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.0.taken.load(Acquire) & !STOPPED
    }

    /// Whether the transport has taken the whole body.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.length() == Some(self.taken())
    }

    /// Stops the body: it hands out nothing more, and never ends. Returns the number of its bytes that may have reached the
    /// peer: an upper bound that is final.
    pub fn stop(&self) -> u64 {
        self.0.taken.fetch_or(STOPPED, AcqRel);
        self.0.limit.get().copied().unwrap_or_else(|| self.taken())
    }

    /// Whether the body was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.taken.load(Acquire) & STOPPED != 0
    }

    /// Says that the transport will report what its socket takes, beginning with nothing, and how much of that it may hold.
    pub fn report_departed(&self, buffer: SendBuffer) {
        let _ = self.0.buffer.set(buffer);
        self.0.departed.store(0, Relaxed);
    }

    /// Returns what the transport may hold of the bytes that have departed, when it has said so.
    #[must_use]
    pub fn send_buffer(&self) -> Option<SendBuffer> {
        self.0.buffer.get().copied()
    }

    /// Counts bytes that the socket has taken.
    pub fn note_departed(&self, bytes: u64) {
        self.0.departed.fetch_add(bytes, Relaxed);
    }

    /// The number of bytes that have departed, as far as the transport tells: those that its socket has taken, else those that
    /// it has taken itself.
    #[must_use]
    pub fn departed(&self) -> u64 {
        match self.0.departed.load(Relaxed) {
            UNKNOWN => self.taken(),
            departed => departed,
        }
    }

    /// Says that the connection is closed, so that what was reported as departed is all that ever departs.
    pub fn note_closed(&self) {
        let departed = self.0.departed.load(Acquire);
        if departed != UNKNOWN {
            let _ = self.0.limit.set(departed);
        }
    }

    /// Says that bytes that had departed were seen to move.
    pub fn note_movement(&self) {
        self.0.movements.fetch_add(1, Relaxed);
    }

    /// The number of times that [movement](Self::note_movement) was seen.
    #[must_use]
    pub fn movements(&self) -> u64 {
        self.0.movements.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_that_reports_nothing_has_sent_at_most_what_it_has_taken() {
        let state = SendState::new(10);
        assert!(state.take(4));
        assert_eq!((state.departed(), state.is_taken()), (4, false));
        assert!(state.take(6));
        assert!(state.is_taken());
        state.note_closed();
        assert_eq!(state.stop(), 10);
    }

    #[test]
    fn nothing_is_taken_of_a_body_that_was_stopped() {
        let state = SendState::new(10);
        assert!(state.take(4));
        assert_eq!((state.stop(), state.is_stopped()), (4, true));
        assert!(!state.take(1));
        assert_eq!((state.taken(), state.stop()), (4, 4));
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
