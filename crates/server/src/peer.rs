//! The address that a request came from.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The address of a request's caller, as an extension of the request.
///
/// The server's own sockets set it. Who mounts the [`Server`](crate::Server) elsewhere may set it too: rejected keys are then
/// logged and slowed down by address. Behind a reverse proxy that is the proxy's address, or, where the proxy is trusted to
/// tell it, the address that it tells.
///
/// ```
/// use partwise_server::Peer;
///
/// let mut request = http::Request::get("/v1/files").body(())?;
/// request.extensions_mut().insert(Peer::new("192.0.2.7:50000".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(SocketAddr);

impl Peer {
    /// A caller at this address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self(address)
    }

    /// The address of the caller.
    #[must_use]
    pub fn address(self) -> SocketAddr {
        self.0
    }
}

/// The address that stands for a caller: with one address of IPv6 comes its whole network of 64 bits.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}
