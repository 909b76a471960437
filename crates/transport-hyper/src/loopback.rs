//! Which hosts are this very machine: no key is at risk on the way there.

use std::net::IpAddr;

/// Whether `host`, as it stands in a URL, is this machine: `localhost`, `127.0.0.0/8`, `[::1]`. Names below
/// `localhost` do not count: some resolvers ask the network for them.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    bare.trim_end_matches('.').eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_machine_is_loopback() {
        for host in ["localhost", "LOCALHOST.", "127.0.0.1", "127.8.9.1", "[::1]", "::ffff:127.0.0.1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["localhost.example", "api.localhost", "mylocalhost", "10.0.0.1", "[::2]", "128.0.0.1", ""]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
