//! The server on a socket of its own.

mod activity;
mod admission;
mod bare;
mod connection;
mod failures;
mod lanes;
mod outflow;

use std::{future::Future, io, net::SocketAddr, num::NonZeroUsize, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

pub(crate) use self::{
    activity::{Activity, OpenAnswer},
    outflow::Speed,
};
use self::{admission::Admission, connection::Connection, failures::Failures, lanes::Lanes};
use crate::{Server, notice::Notice, peer::network};

/// The most bytes that a connection reads at once; a request body comes in pieces of at most this size.
pub(crate) const READ_BUFFER: usize = 256 * 1024;
/// After the system refused to accept a connection, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The end of serving.
///
/// ```
/// use partwise_server::{Keys, Server, Store};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder(Store::memory()).keys(Keys::any()).build().await?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let stopped = server.serve(listener, std::future::ready(())).await;
/// assert_eq!(stopped.cut_off, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// The number of requests that were cut off because they took longer than [`Limits::shutdown_timeout`](crate::Limits::shutdown_timeout).
    pub cut_off: usize,
}

impl Server {
    /// Serves connections until `shutdown` is ready, then finishes the requests that are being served, for at most
    /// [`Limits::shutdown_timeout`](crate::Limits::shutdown_timeout), and returns; dropping the future ends everything at once. Sweeps the
    /// store now and every hour.
    ///
    /// Without [keys](crate::Keys::any), on connections to a loopback address, it takes requests for loopback names alone (`localhost`, names below
    /// it, `127.0.0.0/8`, `[::1]`): any other page that a browser on this machine shows could otherwise have its own name point
    /// here, and read and delete everything.
    ///
    /// On Linux, content on a local disk is sent with `sendfile`: nothing is copied, and what is not in the system's memory is
    /// read from the disk on the runtime's own threads.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> Stopped {
        let mut tasks = JoinSet::new();
        let serve = |stream, connection: Connection| {
            tasks.spawn(connection.serve(stream));
            // Tasks that have ended would gather here otherwise.
            while tasks.try_join_next().is_some() {}
        };
        self.accept(listener, shutdown, serve).await
    }

    /// As [`serve`](Self::serve), but each connection stays on one of so many threads, which this starts at once; the caller's
    /// runtime accepts and sweeps. Where a process does nothing else, that moves bytes in less processor time.
    ///
    /// A connection goes to a thread that has the fewest. While a thread waits for a disk, all its connections wait. When the future
    /// is dropped, the threads are told to end, and may outlive it by what they are doing. The store is to be in memory or on
    /// a local disk: connections of its own would belong to whichever thread made them first.
    ///
    /// # Errors
    /// When the system gives no more threads, or nothing for them to wait with.
    pub fn serve_on_threads(
        self,
        threads: NonZeroUsize,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<impl Future<Output = Stopped>> {
        let lanes = Lanes::start(threads)?;
        Ok(async move {
            let serve = |stream, connection| lanes.serve(stream, connection);
            let stopped = self.accept(listener, shutdown, serve).await;
            lanes.end().await;
            stopped
        })
    }

    /// Gives every connection to `serve` until it is time to stop, and waits for their end, or until they are to be cut off.
    async fn accept(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
        mut serve: impl FnMut(TcpStream, Connection),
    ) -> Stopped {
        let mut sweeping = JoinSet::new();
        sweeping.spawn(self.clone().sweep_regularly());
        let mut admission = Admission::new(self.limits());
        let failures = Notice::new(Failures::of_accepting);
        let (stop, stopping) = watch::channel(());
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut shutdown => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                // One caller has gone again before it was accepted.
                Err(error) if is_of_one_caller(&error) => continue,
                Err(error) => {
                    failures.add(|failures| failures.add(error));
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // A listener on all addresses has connections of both kinds; of one that is gone already nothing comes.
            let is_on_loopback = stream.local_addr().map_or(true, |address| is_loopback(&address));
            let (server, stopping) = (self.clone(), stopping.clone());
            match admission.admit(network(peer.ip())) {
                Ok(admitted) => {
                    serve(stream, Connection { server, peer, is_on_loopback, stopping, admitted });
                }
                Err(full) => admission.turn_away(stream, full),
            }
        }
        drop((listener, stopping));
        stop.send_replace(());
        let stopped = match timeout(self.limits().shutdown_timeout, stop.closed()).await {
            Ok(()) => Stopped::default(),
            Err(_) => Stopped { cut_off: self.requests_in_flight() },
        };
        // A line that waits for its second would hold the end up, or be lost.
        admission.flush();
        failures.flush();
        self.rejections().flush();
        self.log_lines().flush();
        stopped
    }
}

fn is_of_one_caller(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
