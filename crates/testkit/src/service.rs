//! The server in memory on a socket, with faults on demand.

use std::net::SocketAddr;

use partwise_server::{Keys, Server, Store, testing::Faults};
use tokio::{net::TcpListener, task::AbortHandle};

use crate::runtime::background;

/// A server that takes every key, beside a test that is not async; it serves until this is dropped.
pub struct FaultyService {
    /// The address that it listens at.
    pub address: SocketAddr,
    /// What goes wrong; nothing at first.
    pub faults: Faults,
    task: AbortHandle,
}

impl FaultyService {
    /// Starts one that has no files.
    pub fn start() -> Self {
        let faults = Faults::new();
        let (listener, server) = background().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            (listener, Server::builder(Store::memory()).keys(Keys::any()).build().await.unwrap())
        });
        let (address, serving) = (listener.local_addr().unwrap(), faults.clone());
        let task = background().spawn(async move { serving.serve(server, listener).await });
        Self { address, faults, task: task.abort_handle() }
    }

    /// Returns the origin that it listens at.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for FaultyService {
    fn drop(&mut self) {
        self.task.abort();
    }
}
