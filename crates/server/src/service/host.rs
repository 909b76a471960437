//! The host that a request is for.

use std::net::IpAddr;

use http::{Version, header, request::Parts, uri::Authority};

use crate::refusal::Refusal;

/// The way on which a request reached this process, as an extension of the server's own sockets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// It came to an address that only this machine can reach.
    pub(crate) is_on_loopback: bool,
}

/// Checks that a request names one host, where HTTP has it name one.
pub(super) fn check_count(parts: &Parts) -> Result<(), Refusal> {
    match parts.headers.get_all(header::HOST).iter().count() {
        0 if parts.version == Version::HTTP_11 => Err(Refusal::NoHost),
        0 | 1 => Ok(()),
        _ => Err(Refusal::SeveralHosts),
    }
}

/// Tells whether all hosts that a request names are names of this machine that no other machine can have.
pub(super) fn is_for_loopback(parts: &Parts) -> bool {
    let named = parts.headers.get_all(header::HOST).iter().map(|value| value.to_str().ok());
    let named = named.map(|value| value.and_then(|value| value.parse::<Authority>().ok()));
    let mut hosts = named.chain(parts.uri.authority().cloned().map(Some));
    hosts.all(|host| host.is_some_and(|host| is_loopback(host.host())))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}
