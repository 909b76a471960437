//! One connection, from its first request to its end.

use std::convert::Infallible;

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::Watcher,
};
use partwise_sendfile::Files;
use tokio::net::TcpStream;
use tower_service::Service as _;

use super::{HEAD_TIMEOUT, READ_BUFFER};
use crate::{
    Server,
    socket::{Socket, SocketBody},
};

/// A connection that was accepted, but for its stream, which belongs to the runtime that is to serve it.
pub(super) struct Connection {
    pub(super) server: Server,
    /// Says when the server stops, and tells it when this has ended.
    pub(super) watcher: Watcher,
}

impl Connection {
    /// Serves what comes from this stream, on the runtime that the stream belongs to.
    pub(super) async fn serve(self, stream: TcpStream) {
        let Self { server, watcher } = self;
        // Answers are small and whole: nothing is gained by waiting for more.
        let _ = stream.set_nodelay(true);
        let files = Files::of_connection();
        let stream = Socket::new(stream, files.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (mut server, files) = (server.clone(), files.clone());
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
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "a connection broke");
        }
    }
}
