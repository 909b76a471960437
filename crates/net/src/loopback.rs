//! Which hosts are this very machine: no key is at risk on the way there.

use std::net::IpAddr;

use http::{Uri, uri::Scheme};

/// The host and port to which a key would go in the clear: over plain http, and to another machine.
#[must_use]
pub fn in_the_clear(uri: &Uri) -> Option<&str> {
    let is_at_risk = uri.scheme() == Some(&Scheme::HTTP) && !is_loopback(uri.host().unwrap_or_default());
    is_at_risk.then(|| uri.authority().map_or("", |authority| authority.as_str()))
}

/// Whether `host`, as it stands in a URL, is this machine: `localhost`, `127.0.0.0/8`, `[::1]`. Names below
/// `localhost` do not count: some resolvers ask the network for them.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    bare.trim_end_matches('.').eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_to_another_machine_is_in_the_clear() {
        assert_eq!(in_the_clear(&Uri::from_static("http://litellm:4000/v1")), Some("litellm:4000"));
        for safe in ["https://litellm:4000/v1", "http://localhost:4000/v1", "http://[::1]/v1"] {
            assert_eq!(in_the_clear(&Uri::from_static(safe)), None, "{safe}");
        }
    }

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
