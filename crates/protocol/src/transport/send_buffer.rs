//! What a connection may hold of the bytes that count as departed.

/// How many bytes of a connection count as departed and may still be on this machine, held by the kernel or by TLS.
///
/// A transport knows it, since it sets the sizes of its sockets, and says so with
/// [`SendState::begin_attempt`](super::SendState::begin_attempt). The default is a transport that holds nothing.
///
/// ```
/// use partwise_protocol::transport::SendBuffer;
///
/// let buffer = SendBuffer::new(512 << 10, 4 << 20);
/// assert!(buffer.usual < buffer.most);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SendBuffer {
    /// Seldom more than this many bytes.
    pub usual: u64,
    /// Never more than this many bytes, which a fast connection may have on its way.
    pub most: u64,
}

impl SendBuffer {
    /// A connection that seldom holds more than `usual` bytes, and never more than `most`.
    #[must_use]
    pub const fn new(usual: u64, most: u64) -> Self {
        Self { usual, most: if most < usual { usual } else { most } }
    }
}
