//! The time that a caller gives a call, an upload or a download.

use std::{future::pending, time::Duration};

use tokio::{
    task::unconstrained,
    time::{Instant, sleep_until},
};

use crate::Error;

/// A limit that has begun to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    limit: Duration,
    /// `None` when it lies beyond what clocks can show.
    pub(crate) at: Option<Instant>,
}

impl Deadline {
    /// The limit counts from now on.
    pub(crate) fn begin(limit: Duration) -> Self {
        Self { limit, at: Instant::now().checked_add(limit) }
    }

    /// The error of what has run out of time.
    pub(crate) fn passed(self, cause: Option<Error>) -> Error {
        Error::TimedOut { limit: self.limit, cause: cause.map(Box::new) }
    }
}

/// Runs `work`, and drops it when the deadline passes.
pub(crate) fn within<T>(
    deadline: Option<Deadline>,
    work: impl Future<Output = Result<T, Error>>,
) -> impl Future<Output = Result<T, Error>> {
    // Boxed, so that the futures of callers stay small.
    let work = Box::pin(work);
    async move {
        tokio::select! {
            biased;
            done = work => done,
            deadline = passed(deadline) => Err(deadline.passed(None)),
        }
    }
}

/// Waits until the deadline passes, if there is one.
pub(crate) async fn passed(deadline: Option<Deadline>) -> Deadline {
    match deadline.and_then(|deadline| Some((deadline, deadline.at?))) {
        Some((deadline, at)) => {
            // Work beside it that always has something to do must not keep it from being heard.
            unconstrained(sleep_until(at)).await;
            deadline
        }
        None => pending().await,
    }
}
