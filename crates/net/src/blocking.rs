//! Work on tokio's threads for blocking work.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::task::{JoinHandle, spawn_blocking};

/// Work that runs elsewhere. Dropped before it has begun it never begins; what has begun goes on to its end.
#[derive(Debug)]
pub struct Blocking<T>(JoinHandle<io::Result<T>>);

impl<T: Send + 'static> Blocking<T> {
    /// Starts the work.
    pub fn start(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Self {
        Self(spawn_blocking(work))
    }

    /// Whether the work has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for Blocking<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(cx)).unwrap_or_else(|stopped| Err(stopped.into())))
    }
}

impl<T> Drop for Blocking<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
