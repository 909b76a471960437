//! For which host a request is.

/// How a request reached this process, as an extension of the server's own sockets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// It came to an address that only this machine can reach.
    pub(crate) is_on_loopback: bool,
}
