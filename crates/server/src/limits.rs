//! Limits of what callers may take of a server, and of how long it waits for them.

use std::time::Duration;

/// Descriptors that one connection may hold: its socket, a blob or a staged write, and one more while it goes on to the next.
const PER_CONNECTION: u64 = 3;
/// Descriptors for the rest of the process: threads and their event queues, records that are read, callers that are turned away.
const RESERVE: u64 = 128;
/// Most threads for work that blocks. Each may hold a descriptor for a request that is gone already.
const MOST_BLOCKING_THREADS: u64 = 128;
/// Most connections by default, however many descriptors there are: a silent one takes some 11 KiB, one that has sent much and
/// waits up to 0.4 MiB, so that the worst take 1.5 GiB.
const MOST_CONNECTIONS: usize = 4096;

/// Limits of connections, for [`Builder::limits`](crate::Builder::limits).
///
/// None of them is about how long a transfer takes as a whole: a caller that keeps [`min_rate`](Self::min_rate) may take days.
/// The times for a head and for an idle connection, and all that concerns answers, hold on the server's own sockets
/// ([`Server::serve`](crate::Server::serve), [`Server::serve_on_threads`](crate::Server::serve_on_threads)); those of a
/// request's body hold wherever the server is mounted.
///
/// ```
/// use std::time::Duration;
///
/// use partwise_server::Limits;
///
/// let mut limits = Limits::default();
/// limits.max_connections = Some(100);
/// limits.write_stall_timeout = Duration::from_secs(20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most connections that are open at once; one more is answered with 503 and closed. `None`, the default, is
    /// [`connections_within`](Self::connections_within) the limit of descriptors that the process has when serving starts, and at most
    /// 4,096. A connection takes some 11 KiB of memory while it is silent, up to 0.4 MiB with a request that is not complete or after a
    /// large upload.
    pub max_connections: Option<usize>,
    /// The most of them that come from one address, of IPv6 from one network of 64 bits. `None`, the default, is no limit: a reverse proxy is one address.
    pub max_connections_per_peer: Option<usize>,
    /// Bytes of a request's head, at least 8 KiB: 64 KiB by default. A longer one is answered with 431.
    pub max_head_bytes: usize,
    /// The time that a connection has to its first byte, and the head of a request from its first byte to its last: 30 seconds
    /// by default. A head that takes longer is answered with 408.
    pub head_timeout: Duration,
    /// The time that a connection may be idle between two requests: 75 seconds by default.
    pub idle_timeout: Duration,
    /// The time that the next byte of a request's body has: 60 seconds by default. Then the answer is 408.
    pub body_stall_timeout: Duration,
    /// The time in which a caller has to take something of an answer: 60 seconds by default, and five times as long once it has taken some
    /// of it fast: its system may then have received more than can be seen to be read. Then the connection is reset.
    pub write_stall_timeout: Duration,
    /// Bytes a second, in either direction, averaged over [`rate_window`](Self::rate_window): 1 KiB by default, 0 for none. Only
    /// time counts in which the server waits for the caller. A slower body is answered with 408, a slower reader cut off.
    pub min_rate: u64,
    /// The time over which [`min_rate`](Self::min_rate) is averaged: a minute by default.
    pub rate_window: Duration,
    /// The time that requests in flight have when the server is told to stop: 30 seconds by default. Then they are cut off.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: None,
            max_connections_per_peer: None,
            max_head_bytes: 64 * 1024,
            head_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            body_stall_timeout: Duration::from_secs(60),
            write_stall_timeout: Duration::from_secs(60),
            min_rate: 1024,
            rate_window: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// The most connections that a process with this limit of descriptors can serve without lacking one for the store.
    ///
    /// That is a third of what is left after 128 for the process and one for each thread that does work that blocks, which are an
    /// eighth of the descriptors and at most 128: 32 connections of 256 descriptors, 256 of 1,024, 1,280 of 4,096. It is never less than
    /// one.
    #[must_use]
    pub fn connections_within(descriptors: u64) -> usize {
        let left = descriptors.saturating_sub(RESERVE + blocking_threads(descriptors));
        usize::try_from(left / PER_CONNECTION).unwrap_or(usize::MAX).max(1)
    }

    pub(crate) fn connections(&self) -> usize {
        let by_default = || Self::connections_within(descriptors()).min(MOST_CONNECTIONS);
        self.max_connections.unwrap_or_else(by_default)
    }
}

/// The most threads that block at once in a process with so many descriptors.
pub(crate) fn blocking_threads(descriptors: u64) -> u64 {
    (descriptors / 8).clamp(4, MOST_BLOCKING_THREADS)
}

/// The limit of descriptors that this process may have open.
pub(crate) fn descriptors() -> u64 {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    #[cfg(not(unix))]
    return u64::MAX;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_kept_for_the_store_before_connections_get_any() {
        let within = |descriptors| Limits::connections_within(descriptors);
        assert_eq!([0, 64, 128, 256, 1024].map(within), [1, 1, 1, 32, 256]);
        assert_eq!([4096, 20_000, 65_536].map(within), [1280, 6581, 21_760]);
        assert_eq!(Limits::default().connections(), within(descriptors()).min(4096));
        for descriptors in 256..20_000 {
            let connections = within(descriptors) as u64;
            assert!(connections * 3 + 128 + blocking_threads(descriptors) <= descriptors);
        }
    }
}
