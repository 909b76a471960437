//! Keys that were rejected: counted, told in the log, and slowed down.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{
    notice::Notice,
    peer::{self, Peer},
};

/// Wrong keys that a peer has in a [`WINDOW`] before answers to more of them wait.
const FREE: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// The time by which each answer waits longer than the one before.
const STEP: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The most answers that wait at the same time; others do not wait, so that waiting costs a server only so many connections.
const MOST_WAITING: usize = 64;
/// And of one peer, so that none takes all the places from the others.
const MOST_WAITING_OF_PEER: usize = 16;
/// The most peers that are remembered, and the most addresses that are told apart for one line of the log.
const MOST_PEERS: usize = 1024;

/// The rejections of one server.
#[derive(Clone)]
pub(crate) struct Rejections(Arc<Inner>);

struct Inner {
    table: Mutex<Table>,
    notice: Notice<Rejected>,
}

#[derive(Default)]
struct Table {
    peers: HashMap<IpAddr, Attempts>,
    /// The peers whose answers wait, once for each.
    waiting: Vec<IpAddr>,
}

/// A place among the answers that wait, free again when this is dropped: also when its caller has gone.
struct Turn<'a> {
    rejections: &'a Rejections,
    peer: IpAddr,
}

/// Rejections for one line of the log.
#[derive(Default)]
struct Rejected {
    count: u64,
    by_address: HashMap<IpAddr, u64>,
}

/// Wrong keys of one peer.
struct Attempts {
    since: Instant,
    count: u32,
}

impl Rejections {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner { table: Mutex::default(), notice: Notice::new(Rejected::say) }))
    }

    /// Notes a wrong key, and waits before it is answered if its sender has sent many. One that tries few keys at a time gets
    /// through few, and one that made a mistake is not kept waiting.
    pub(crate) async fn note(&self, peer: Option<Peer>) {
        let address = peer.map(|peer| peer.address().ip().to_canonical());
        self.0.notice.add(|rejected| rejected.add(address));
        let Some(peer) = address.map(peer::network) else { return };
        let wait = self.lock().wait(peer, Instant::now());
        if wait.is_zero() {
            return;
        }
        if let Some(_turn) = self.turn(peer) {
            sleep(wait).await;
        }
    }

    /// Says in the log what was not said yet.
    pub(crate) fn flush(&self) {
        self.0.notice.flush();
    }

    fn turn(&self, peer: IpAddr) -> Option<Turn<'_>> {
        let mut table = self.lock();
        let of_peer = table.waiting.iter().filter(|waiting| **waiting == peer).count();
        if table.waiting.len() >= MOST_WAITING || of_peer >= MOST_WAITING_OF_PEER {
            return None;
        }
        table.waiting.push(peer);
        Some(Turn { rejections: self, peer })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut table = self.rejections.lock();
        if let Some(place) = table.waiting.iter().position(|waiting| *waiting == self.peer) {
            table.waiting.swap_remove(place);
        }
    }
}

impl Rejected {
    fn add(&mut self, address: Option<IpAddr>) {
        self.count += 1;
        let Some(address) = address else { return };
        if self.by_address.len() < MOST_PEERS || self.by_address.contains_key(&address) {
            *self.by_address.entry(address).or_default() += 1;
        }
    }

    /// The address that has sent the most.
    fn peer(&self) -> String {
        let most = self.by_address.iter().max_by_key(|(address, count)| (**count, **address));
        most.map_or_else(|| "unknown".to_owned(), |(address, _)| address.to_string())
    }

    fn say(self) {
        let (count, addresses, peer) = (self.count, self.by_address.len(), self.peer());
        tracing::warn!(count, addresses, peer, "wrong keys were rejected");
    }
}

impl Table {
    fn wait(&mut self, peer: IpAddr, now: Instant) -> Duration {
        let is_over = |attempts: &Attempts| now - attempts.since >= WINDOW;
        if !self.peers.contains_key(&peer) && self.peers.len() >= MOST_PEERS {
            self.peers.retain(|_, attempts| !is_over(attempts));
            if self.peers.len() >= MOST_PEERS {
                let oldest =
                    self.peers.iter().min_by_key(|(_, attempts)| attempts.since).map(|(peer, _)| *peer);
                oldest.map(|oldest| self.peers.remove(&oldest));
            }
        }
        let attempts = self.peers.entry(peer).or_insert(Attempts { since: now, count: 0 });
        if is_over(attempts) {
            *attempts = Attempts { since: now, count: 0 };
        }
        attempts.count = attempts.count.saturating_add(1);
        (STEP * attempts.count.saturating_sub(FREE).min(LONGEST_WAIT.as_secs() as u32)).min(LONGEST_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_so_many_peers_are_remembered_and_the_latest_are() {
        let mut table = Table::default();
        let peer = |number: u32| IpAddr::from(number.to_be_bytes());
        for number in 0..5000 {
            tokio::time::advance(Duration::from_millis(1)).await;
            table.wait(peer(number), Instant::now());
        }
        assert_eq!(table.peers.len(), MOST_PEERS);
        assert!(table.peers.contains_key(&peer(4999)) && !table.peers.contains_key(&peer(0)));
        tokio::time::advance(WINDOW).await;
        table.wait(peer(9999), Instant::now());
        assert_eq!(table.peers.len(), 1, "what is over goes first");
    }

    #[tokio::test]
    async fn one_peer_leaves_others_a_place_to_wait() {
        let rejections = Rejections::new();
        let peer = |number: u32| IpAddr::from(number.to_be_bytes());
        let mut turns: Vec<_> =
            (0..MOST_WAITING_OF_PEER).map(|_| rejections.turn(peer(1)).unwrap()).collect();
        assert!(rejections.turn(peer(1)).is_none());
        turns.extend(
            (MOST_WAITING_OF_PEER..MOST_WAITING).map(|number| rejections.turn(peer(number as u32)).unwrap()),
        );
        assert!(rejections.turn(peer(9999)).is_none());
        turns.remove(0);
        assert!(rejections.turn(peer(9999)).is_some());
        assert!(rejections.turn(peer(1)).is_some());
        drop(turns);
        assert!(rejections.lock().waiting.is_empty());
    }

    #[test]
    fn a_line_names_the_address_that_has_sent_the_most() {
        let mut rejected = Rejected::default();
        assert_eq!(rejected.peer(), "unknown");
        let address = |number: u32| Some(IpAddr::from(number.to_be_bytes()));
        for number in [1, 2, 2, 3] {
            rejected.add(address(number));
        }
        rejected.add(None);
        assert_eq!(
            (rejected.count, rejected.by_address.len(), rejected.peer()),
            (5, 3, "0.0.0.2".to_owned())
        );
        for number in 0..5000 {
            rejected.add(address(number));
        }
        assert_eq!(rejected.by_address.len(), MOST_PEERS);
    }
}
