//! The admission of connections.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::StatusCode;
use tokio::{net::TcpStream, task::JoinSet};

use super::bare;
use crate::{limits::Limits, notice::Notice};

/// The most callers that are told at once that there are too many; more are not told.
const MOST_TOLD: usize = 16;

/// Counts the connections of one server on one socket, and turns those away that are too many.
pub(super) struct Admission {
    most: usize,
    most_per_peer: Option<usize>,
    open: Arc<Mutex<Open>>,
    told: JoinSet<()>,
    notice: Notice<TurnedAway>,
}

/// Connections that there was no room for, for one line of the log.
#[derive(Default)]
struct TurnedAway {
    connections: u64,
    /// The reason for the last of them.
    reason: Option<Full>,
}

#[derive(Default)]
struct Open {
    all: usize,
    /// Of those that are counted by peer.
    by_peer: HashMap<IpAddr, usize>,
}

/// A connection that is counted for as long as this lives.
pub(super) struct Admitted {
    open: Arc<Mutex<Open>>,
    peer: Option<IpAddr>,
}

/// The reason why there is no room for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    All(usize),
    Peer(usize),
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            most: limits.connections(),
            most_per_peer: limits.max_connections_per_peer,
            open: Arc::default(),
            told: JoinSet::new(),
            notice: Notice::new(TurnedAway::say),
        }
    }

    pub(super) fn admit(&self, peer: IpAddr) -> Result<Admitted, Full> {
        let mut open = lock(&self.open);
        if open.all >= self.most {
            return Err(Full::All(self.most));
        }
        let peer = match self.most_per_peer {
            None => None,
            Some(most) => {
                let of_peer = open.by_peer.get(&peer).copied().unwrap_or_default();
                if of_peer >= most {
                    return Err(Full::Peer(most));
                }
                open.by_peer.insert(peer, of_peer + 1);
                Some(peer)
            }
        };
        open.all += 1;
        Ok(Admitted { open: self.open.clone(), peer })
    }

    /// Tells a caller to come back, or just closes when too many are being told already.
    pub(super) fn turn_away(&mut self, mut stream: TcpStream, full: Full) {
        while self.told.try_join_next().is_some() {}
        self.notice.add(|turned_away| {
            turned_away.connections += 1;
            turned_away.reason = Some(full);
        });
        if self.told.len() >= MOST_TOLD {
            return;
        }
        self.told.spawn(async move {
            let answer = bare::answer(StatusCode::SERVICE_UNAVAILABLE, &full.to_string(), &[bare::COME_BACK]);
            bare::say(&mut stream, &answer).await;
        });
    }

    /// Says in the log what was not said yet.
    pub(super) fn flush(&self) {
        self.notice.flush();
    }
}

impl TurnedAway {
    fn say(self) {
        let Some(reason) = self.reason else { return };
        tracing::warn!(connections = self.connections, %reason, "connections were turned away");
    }
}

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All(most) => {
                write!(f, "all {most} connections of this server are taken: try again later")
            }
            Self::Peer(most) => {
                write!(
                    f,
                    "this address has the {most} connections that this server takes from one: try again later"
                )
            }
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.all -= 1;
        let Some(peer) = self.peer else { return };
        if let Some(of_peer) = open.by_peer.get_mut(&peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                open.by_peer.remove(&peer);
            }
        }
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_for_as_long_as_they_are_open() {
        let mut limits = Limits::default();
        (limits.max_connections, limits.max_connections_per_peer) = (Some(3), Some(2));
        let admission = Admission::new(&limits);
        let admit = |last: u8| admission.admit(IpAddr::from([10, 0, 0, last]));
        let first = admit(1).map_err(drop).unwrap();
        let _second = admit(1).map_err(drop).unwrap();
        assert_eq!(admit(1).err(), Some(Full::Peer(2)));
        let _third = admit(2).map_err(drop).unwrap();
        assert_eq!(admit(3).err(), Some(Full::All(3)));
        drop(first);
        let fourth = admit(1).map_err(drop).unwrap();
        drop(fourth);
        assert_eq!(lock(&admission.open).by_peer.len(), 2);
    }
}
