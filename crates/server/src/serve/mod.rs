//! The server on a socket of its own.

mod connection;
mod lanes;

use std::{future::Future, io, num::NonZeroUsize, time::Duration};

use hyper_util::server::graceful::GracefulShutdown;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use self::{connection::Connection, lanes::Lanes};
use crate::Server;

/// How long a connection may be idle, and how long a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// What a connection reads at once; a request body comes in pieces of at most this size.
const READ_BUFFER: usize = 256 * 1024;
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);
/// After the system refused to accept a connection, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Server {
    /// Serves connections until `shutdown` is ready, then finishes the requests that are being served, however long
    /// they take, and returns; dropping the future ends everything at once. Sweeps the store now and every hour.
    ///
    /// On Linux, content on a local disk is sent with `sendfile`: nothing is copied, and what is not in the system's memory is
    /// read from the disk on the runtime's own threads.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let mut tasks = JoinSet::new();
        let serve = |stream, connection: Connection| {
            tasks.spawn(connection.serve(stream));
            // Tasks that have ended would gather here otherwise.
            while tasks.try_join_next().is_some() {}
        };
        self.accept(listener, shutdown, serve).await;
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
    ) -> io::Result<impl Future<Output = ()>> {
        let lanes = Lanes::start(threads)?;
        Ok(async move {
            self.accept(listener, shutdown, |stream, connection| lanes.serve(stream, connection)).await;
            lanes.end().await;
        })
    }

    /// Gives every connection to `serve` until it is time to stop, and waits for their end.
    async fn accept(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
        mut serve: impl FnMut(TcpStream, Connection),
    ) {
        let mut sweeping = JoinSet::new();
        sweeping.spawn(self.clone().sweep_for_ever());
        let graceful = GracefulShutdown::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut shutdown => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let connection = Connection { server: self.clone(), watcher: graceful.watcher() };
                    serve(stream, connection);
                }
                Err(error) => pause(&error).await,
            }
        }
        drop(listener);
        graceful.shutdown().await;
    }

    async fn sweep_for_ever(self) {
        let mut sweeps = interval(SWEEP_EVERY);
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            sweeps.tick().await;
            match self.sweep().await {
                Ok(swept) => tracing::debug!(?swept, "swept"),
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the sweeper failed"),
            }
        }
    }
}

async fn pause(error: &io::Error) {
    tracing::warn!(error = error as &dyn std::error::Error, "no connection can be accepted");
    sleep(ACCEPT_PAUSE).await;
}
