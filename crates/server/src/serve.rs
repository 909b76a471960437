//! The server on a socket of its own.

use std::{convert::Infallible, future::Future, io, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use partwise_sendfile::Files;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tower_service::Service as _;

use crate::{
    Server,
    socket::{Socket, SocketBody},
};

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
        tasks.spawn(self.clone().sweep_for_ever());
        let graceful = GracefulShutdown::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut shutdown => break,
            };
            match accepted {
                Ok((stream, _)) => drop(tasks.spawn(self.clone().connection(stream, &graceful))),
                Err(error) => pause(&error).await,
            }
            // Tasks that have ended would gather here otherwise.
            while tasks.try_join_next().is_some() {}
        }
        drop(listener);
        graceful.shutdown().await;
    }

    /// Serves one connection.
    fn connection(
        self,
        stream: TcpStream,
        graceful: &GracefulShutdown,
    ) -> impl Future<Output = ()> + Send + 'static {
        // Answers are small and whole: nothing is gained by waiting for more.
        let _ = stream.set_nodelay(true);
        let files = Files::of_connection();
        let stream = Socket::new(stream, files.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (mut server, files) = (self.clone(), files.clone());
            async move {
                let response = server.call(request).await.unwrap_or_else(|never| match never {});
                Ok::<_, Infallible>(response.map(|body| SocketBody::new(body, files)))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(READ_BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = &error as &dyn std::error::Error, "a connection broke");
            }
        }
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
