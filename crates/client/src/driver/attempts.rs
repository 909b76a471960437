//! Tasks under way, each on a task of the runtime that ends with this.

use std::{
    collections::HashMap,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use partwise_protocol::{
    machine::RequestId,
    transport::{Failure, FailureKind},
};
use tokio::task::{AbortHandle, Id, JoinSet};
use tracing::Span;

/// The tasks that a machine has asked for and that have not ended.
pub(crate) struct Attempts<T> {
    tasks: JoinSet<T>,
    by_task: HashMap<Id, Running>,
}

/// What a task has moved.
pub(crate) trait Moved: Send + Sync {
    fn bytes(&self) -> u64;

    /// How often bytes were seen to get on that were counted before.
    fn signs(&self) -> u64 {
        0
    }
}

impl Moved for AtomicU64 {
    fn bytes(&self) -> u64 {
        self.load(Relaxed)
    }
}

struct Running {
    id: RequestId,
    moved: Arc<dyn Moved>,
    reported: u64,
    signs_reported: u64,
    task: AbortHandle,
    span: Span,
}

/// A task that has ended.
pub(crate) struct Ended<T> {
    pub(crate) id: RequestId,
    /// Bytes that it has moved since the last report.
    pub(crate) moved: u64,
    /// A failure when the task broke down.
    pub(crate) outcome: Result<T, Failure>,
}

impl<T> Default for Attempts<T> {
    fn default() -> Self {
        Self { tasks: JoinSet::new(), by_task: HashMap::new() }
    }
}

impl<T: Send + 'static> Attempts<T> {
    /// Starts a task that moves no bytes.
    pub(crate) fn start(&mut self, id: RequestId, task: impl Future<Output = T> + Send + 'static) {
        self.start_moving(id, Arc::new(AtomicU64::new(0)), Span::none(), task);
    }

    /// Starts a task whose bytes are counted; `span` is told when it is abandoned.
    pub(crate) fn start_moving(
        &mut self,
        id: RequestId,
        moved: Arc<dyn Moved>,
        span: Span,
        task: impl Future<Output = T> + Send + 'static,
    ) {
        let task = self.tasks.spawn(task);
        self.by_task.insert(task.id(), Running { id, moved, reported: 0, signs_reported: 0, task, span });
    }

    /// Ends this task, if it still runs, and returns the bytes that it has moved since the last report.
    pub(crate) fn abandon(&mut self, id: RequestId) -> u64 {
        let mut moved = 0;
        self.by_task.retain(|_, running| {
            let is_abandoned = running.id == id;
            if is_abandoned {
                running.task.abort();
                running.span.record("failure", "abandoned");
                moved += running.newly_moved();
            }
            !is_abandoned
        });
        moved
    }

    /// Ends every task, and waits until none of them runs any more.
    pub(crate) async fn shutdown(&mut self) {
        self.by_task.clear();
        self.tasks.shutdown().await;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_task.is_empty()
    }

    /// The next task that ends; waits for ever when there is none. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Ended<T> {
        loop {
            let Some(ended) = self.tasks.join_next_with_id().await else { return pending().await };
            let (task, outcome) = match ended {
                Ok((task, outcome)) => (task, Ok(outcome)),
                Err(stopped) => (stopped.id(), Err(Failure::with_cause(FailureKind::Other, stopped))),
            };
            // One that was abandoned is no longer known, and nobody waits for it.
            if let Some(mut running) = self.by_task.remove(&task) {
                return Ended { id: running.id, moved: running.newly_moved(), outcome };
            }
        }
    }

    /// Bytes that were moved since the last report, task by task; none of a task of which something else was seen to move.
    pub(crate) fn newly_moved(&mut self) -> Vec<(RequestId, u64)> {
        let moved = self.by_task.values_mut().filter_map(|running| {
            let (bytes, has_sign) = (running.newly_moved(), running.has_new_sign());
            (bytes > 0 || has_sign).then_some((running.id, bytes))
        });
        moved.collect()
    }
}

impl Running {
    fn newly_moved(&mut self) -> u64 {
        let moved = self.moved.bytes();
        let new = moved.saturating_sub(self.reported);
        self.reported = self.reported.max(moved);
        new
    }

    fn has_new_sign(&mut self) -> bool {
        let signs = self.moved.signs();
        std::mem::replace(&mut self.signs_reported, signs) != signs
    }
}
