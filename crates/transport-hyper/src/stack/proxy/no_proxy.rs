//! `NO_PROXY`: the hosts that are reached directly.

use std::net::IpAddr;

/// The entries of a list, in any number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NoProxy(Vec<Entry>);

/// Hosts, and perhaps their port alone.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// This name, in lower case, and all below it.
    Name(String),
    /// All addresses with the first bits of this one.
    Network {
        address: IpAddr,
        bits: u32,
    },
}

impl NoProxy {
    /// Reads a list, separated by commas and blanks. What is no host is the name of none.
    pub(super) fn parse(list: &str) -> Self {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace());
        Self(entries.filter(|entry| !entry.is_empty()).map(Entry::parse).collect())
    }

    /// Whether `host`, as it stands in a URL, is reached directly.
    pub(super) fn matches(&self, host: &str, port: u16) -> bool {
        let bare = bare(host);
        let host = Host { name: bare.trim_end_matches('.').to_ascii_lowercase(), address: address(bare) };
        self.0.iter().any(|entry| entry.port.is_none_or(|of| of == port) && entry.hosts.have(&host))
    }
}

/// A host that is asked about.
struct Host {
    name: String,
    address: Option<IpAddr>,
}

impl Entry {
    fn parse(text: &str) -> Self {
        if let Some(hosts) = Hosts::of_addresses(text) {
            return Self { hosts, port: None };
        }
        let (hosts, port) = match text.rsplit_once(':') {
            Some((hosts, port)) => match port.parse() {
                Ok(port) => (hosts, Some(port)),
                Err(_) => (text, None),
            },
            None => (text, None),
        };
        Self { hosts: Hosts::parse(hosts), port }
    }
}

impl Hosts {
    fn parse(text: &str) -> Self {
        if text == "*" {
            return Self::All;
        }
        Self::of_addresses(text).unwrap_or_else(|| {
            let name = text.strip_prefix('*').unwrap_or(text);
            Self::Name(name.trim_matches('.').to_ascii_lowercase())
        })
    }

    /// An address, or a network such as `10.0.0.0/8`.
    fn of_addresses(text: &str) -> Option<Self> {
        let (text, bits) = match text.split_once('/') {
            Some((text, bits)) => (text, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let address = address(bare(text))?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        (bits <= all).then_some(Self::Network { address, bits })
    }

    fn have(&self, host: &Host) -> bool {
        match self {
            Self::All => true,
            Self::Name(name) => {
                let below = host.name.strip_suffix(name.as_str());
                // A name that ends in the same digits is no part of an address.
                host.address.is_none()
                    && !name.is_empty()
                    && below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
            }
            Self::Network { address, bits } => {
                let common = host.address.and_then(|host| leading_bits(*address, host));
                common.is_some_and(|common| common >= *bits)
            }
        }
    }
}

/// How many bits two addresses have in common, from the first on; `None` when they are of two kinds.
fn leading_bits(one: IpAddr, other: IpAddr) -> Option<u32> {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => Some((one.to_bits() ^ other.to_bits()).leading_zeros()),
        (IpAddr::V6(one), IpAddr::V6(other)) => Some((one.to_bits() ^ other.to_bits()).leading_zeros()),
        _ => None,
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn address(bare: &str) -> Option<IpAddr> {
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn direct(list: &str, host: &str) -> bool {
        NoProxy::parse(list).matches(host, 443)
    }

    #[test]
    fn names_mean_themselves_and_all_below_them() {
        for list in [
            "example.com",
            ".example.com",
            "*.example.com",
            "EXAMPLE.com.",
            " a, example.com\tb,,",
            "a example.com",
        ] {
            for host in ["example.com", "www.example.com", "a.b.Example.COM", "example.com."] {
                assert!(direct(list, host), "{list:?}, {host}");
            }
            for host in ["anexample.com", "example.com.org", "example", "10.0.0.1"] {
                assert!(!direct(list, host), "{list:?}, {host}");
            }
        }
    }

    #[test]
    fn a_star_means_all() {
        for list in ["*", "a, *", "* "] {
            assert!(direct(list, "example.com") && direct(list, "10.0.0.1") && direct(list, "[::1]"));
        }
        for list in ["", " , ", "*a", ".", "*."] {
            assert!(!direct(list, "example.com") && !direct(list, "10.0.0.1"), "{list:?}");
        }
    }

    #[test]
    fn addresses_and_networks_mean_addresses() {
        for (list, host, expected) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.11", false),
            ("0.0.0.1", "10.0.0.1", false),
            ("10.0.0.0/8", "10.255.3.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "10.example.com", false),
            ("192.168.1.128/25", "192.168.1.127", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "[::2]", false),
            ("::1", "[::1]", true),
            ("[::1]", "[0:0::1]", true),
            ("fe80::/10", "[febf::1]", true),
            ("fe80::/10", "[fec0::1]", false),
            ("10.0.0.1", "[::ffff:10.0.0.1]", true),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("10.0.0.0/x", "10.0.0.0", false),
        ] {
            assert_eq!(direct(list, host), expected, "{list}, {host}");
        }
    }

    #[test]
    fn a_port_narrows_an_entry() {
        for (list, host) in [
            ("example.com:443", "a.example.com"),
            ("10.0.0.1:443", "10.0.0.1"),
            ("[::1]:443", "[::1]"),
            ("*:443", "a"),
        ] {
            let list = NoProxy::parse(list);
            assert!(list.matches(host, 443) && !list.matches(host, 8080), "{list:?}");
        }
        assert!(!direct("example.com:port", "example.com"));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(list: String, host: String, port: u16) {
            NoProxy::parse(&list).matches(&host, port);
        }

        #[test]
        fn a_host_that_is_listed_is_direct(host in "[a-z][a-z0-9-]{0,8}(\\.[a-z][a-z0-9]{0,5}){0,3}", before in "[ ,a-z0-9.:/*]{0,12}[ ,]") {
            let list = format!("{before}{host}");
            prop_assert!(direct(&list, &host));
        }
    }
}
