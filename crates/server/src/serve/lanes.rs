//! Threads that each serve the connections they were given, on a runtime of their own.
//!
//! Where a few connections do nothing but move bytes, one runtime whose threads take them from each other needs more
//! processor time for the same bytes (`docs/defaults.md` says how much).

use std::{
    io,
    net::TcpStream,
    num::NonZeroUsize,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{connection::Connection, failures::Failures};
use crate::{limits, notice::Notice};

/// The time for which a lane that ends lets requests that were cut off take back what they have written. The sweeper finds the rest.
const PATIENCE: Duration = Duration::from_secs(1);

/// Told to end, with all that they serve, when dropped.
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    lost: Lost,
}

/// Connections that were accepted and cannot be served.
type Lost = Notice<Failures>;

/// One thread.
struct Lane {
    given: UnboundedSender<Given>,
    /// Held once more by each connection of the lane, and so counts them.
    connections: Arc<()>,
    ended: oneshot::Receiver<()>,
}

struct Given {
    stream: TcpStream,
    connection: Connection,
    counted: Arc<()>,
}

impl Lanes {
    pub(super) fn start(count: NonZeroUsize) -> io::Result<Self> {
        // Of all lanes together.
        let blocking = (limits::blocking_threads(limits::descriptors()) as usize / count).max(1);
        let lost = Lost::new(Failures::of_serving);
        let lanes =
            (0..count.get()).map(|_| Lane::start(blocking, lost.clone())).collect::<io::Result<_>>()?;
        Ok(Self { lanes, lost })
    }

    /// Has the connection served by a lane that has the fewest.
    pub(super) fn serve(&self, stream: tokio::net::TcpStream, connection: Connection) {
        let Some(lane) = self.lanes.iter().min_by_key(|lane| lane.connections()) else { return };
        match stream.into_std() {
            Ok(stream) => {
                let given = Given { stream, connection, counted: lane.connections.clone() };
                // A lane takes what it is given for as long as this end is here.
                let _ = lane.given.send(given);
            }
            Err(error) => self.lost.add(|failures| failures.add(error)),
        }
    }

    /// Waits until what the lanes have is done.
    pub(super) async fn end(self) {
        self.lost.flush();
        let ends: Vec<_> = self.lanes.into_iter().map(|lane| lane.ended).collect();
        for end in ends {
            let _ = end.await;
        }
    }
}

impl Lane {
    fn start(blocking_threads: usize, lost: Lost) -> io::Result<Self> {
        let (given, taken) = unbounded_channel();
        let (started, is_started) = mpsc::channel();
        let (ends, ended) = oneshot::channel();
        // The runtime is made on its own thread: where another one is at work, none may even be dropped.
        thread::Builder::new().name("partwise-lane".to_owned()).spawn(move || {
            match runtime(blocking_threads) {
                Ok(runtime) => {
                    let _ = started.send(Ok(()));
                    run(runtime, taken, &lost);
                    let _ = ends.send(());
                }
                Err(error) => drop(started.send(Err(error))),
            }
        })?;
        is_started.recv().map_err(io::Error::other)??;
        Ok(Self { given, connections: Arc::new(()), ended })
    }

    fn connections(&self) -> usize {
        Arc::strong_count(&self.connections) - 1
    }
}

fn runtime(blocking_threads: usize) -> io::Result<Runtime> {
    Builder::new_current_thread().max_blocking_threads(blocking_threads).enable_all().build()
}

fn run(runtime: Runtime, mut taken: UnboundedReceiver<Given>, lost: &Lost) {
    runtime.block_on(async {
        let mut connections = JoinSet::new();
        while let Some(Given { stream, connection, counted }) = taken.recv().await {
            match tokio::net::TcpStream::from_std(stream) {
                Ok(stream) => drop(connections.spawn(async move {
                    connection.serve(stream).await;
                    drop(counted);
                })),
                Err(error) => lost.add(|failures| failures.add(error)),
            }
            // Tasks that have ended would gather here otherwise.
            while connections.try_join_next().is_some() {}
        }
        connections.shutdown().await;
        let _ = timeout(PATIENCE, no_task_is_left()).await;
    });
    runtime.shutdown_timeout(PATIENCE);
}

/// Of those that requests leave behind.
async fn no_task_is_left() {
    while Handle::current().metrics().num_alive_tasks() > 0 {
        sleep(Duration::from_millis(5)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{net::TcpListener, sync::watch};

    use super::*;
    use crate::{Server, Store, serve::Admission};

    #[tokio::test]
    async fn a_connection_goes_to_a_lane_that_has_the_fewest() {
        let server = Server::builder(Store::memory()).build().await.unwrap();
        let lanes = Lanes::start(2.try_into().unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admission = Admission::new(server.limits());
        let (stop, stopping) = watch::channel(());
        let counts = || [lanes.lanes[0].connections(), lanes.lanes[1].connections()];
        let connect = async || {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, peer) = listener.accept().await.unwrap();
            let admitted = admission.admit(peer.ip()).map_err(drop).unwrap();
            let (server, stopping) = (server.clone(), stopping.clone());
            lanes.serve(stream, Connection { server, peer, is_on_loopback: true, stopping, admitted });
            client
        };
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(connect().await);
        }
        assert_eq!(counts(), [3, 2]);
        // The first, third and fifth are the first lane's.
        clients.remove(2);
        clients.remove(0);
        timeout(Duration::from_secs(60), async {
            while counts() != [1, 2] {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .expect("what has ended is not counted any more");
        clients.push(connect().await);
        assert_eq!(counts(), [2, 2]);
        drop((clients, stopping));
        stop.send_replace(());
        lanes.end().await;
    }
}
