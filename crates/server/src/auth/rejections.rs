//! Keys that were rejected: counted, told in the log, and slowed down.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, sleep_until},
};

use crate::peer::{self, Peer};

/// Wrong keys that a peer has in a [`WINDOW`] before answers to more of them wait.
const FREE: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// The time by which each answer waits longer than the one before.
const STEP: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The most answers that wait at the same time; others do not wait, so that waiting costs a server only so many connections.
const MOST_WAITING: usize = 64;
/// The most peers that are remembered.
const MOST_PEERS: usize = 1024;
/// The log has at most one line of it in this time.
const SAID_EVERY: Duration = Duration::from_secs(1);

/// The rejections of one server.
#[derive(Clone)]
pub(crate) struct Rejections(Arc<Inner>);

struct Inner {
    table: Mutex<Table>,
    waiting: Semaphore,
}

#[derive(Default)]
struct Table {
    peers: HashMap<IpAddr, Attempts>,
    /// Rejections since the last line in the log.
    unsaid: u64,
    /// The peer whose was the last.
    latest: Option<IpAddr>,
    /// The moment from which the next line may stand in the log.
    quiet_until: Option<Instant>,
    is_scheduled: bool,
}

/// Wrong keys of one peer.
struct Attempts {
    since: Instant,
    count: u32,
}

impl Rejections {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner { table: Mutex::default(), waiting: Semaphore::new(MOST_WAITING) }))
    }

    /// Notes a wrong key, and waits before it is answered if its sender has sent many. One that tries keys one after the other
    /// gets through few, and one that made a mistake is not kept waiting.
    pub(crate) async fn note(&self, peer: Option<Peer>) {
        let wait = self.count(peer.map(|peer| peer.address().ip().to_canonical()));
        if wait.is_zero() {
            return;
        }
        if let Ok(_turn) = self.0.waiting.try_acquire() {
            sleep(wait).await;
        }
    }

    fn count(&self, address: Option<IpAddr>) -> Duration {
        let now = Instant::now();
        let mut table = self.lock();
        table.unsaid += 1;
        table.latest = address;
        match table.quiet_until.filter(|until| *until > now) {
            None => table.say(now),
            Some(until) if !table.is_scheduled => {
                table.is_scheduled = true;
                let rejections = self.clone();
                tokio::spawn(async move {
                    sleep_until(until).await;
                    rejections.lock().say(Instant::now());
                });
            }
            Some(_) => {}
        }
        address.map_or(Duration::ZERO, |address| table.wait(peer::network(address), now))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn say(&mut self, now: Instant) {
        let count = std::mem::take(&mut self.unsaid);
        (self.is_scheduled, self.quiet_until) = (false, Some(now + SAID_EVERY));
        if count > 0 {
            let peer = self.latest.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
            tracing::warn!(count, peer, "wrong keys were rejected");
        }
    }

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

    #[tokio::test(start_paused = true)]
    async fn a_second_has_one_line_and_none_is_lost() {
        let rejections = Rejections::new();
        rejections.count(None);
        assert_eq!(rejections.lock().unsaid, 0);
        for _ in 0..5 {
            rejections.count(None);
        }
        assert_eq!(rejections.lock().unsaid, 5);
        sleep(SAID_EVERY * 2).await;
        assert_eq!(rejections.lock().unsaid, 0);
        rejections.count(None);
        assert_eq!(rejections.lock().unsaid, 0);
    }
}
