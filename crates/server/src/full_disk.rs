//! A disk that was full: for an hour what goes away gives its room back at once, and what went before is swept.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::MutexGuard as Turn,
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use crate::backend::{Backend, Clock};

/// The time for which a disk that was full counts as full: as long as freed bytes stay on one that is not.
const FULL_FOR: Duration = Duration::from_secs(60 * 60);
/// The time between two sweeps that a full disk is the reason for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// What one process knows of the room in a store.
#[derive(Default)]
pub(crate) struct FullDisk {
    state: Mutex<State>,
    sweeping: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// When a write last failed for want of room.
    was_full: Option<Instant>,
    /// The moment from which a full disk may be swept again.
    next: Option<Instant>,
    /// A sweep that has not begun yet.
    scheduled: Option<AbortHandle>,
    clock: Option<Clock>,
}

impl FullDisk {
    /// A write has failed for want of room just now.
    pub(crate) fn note(&self) {
        self.lock().was_full = Some(Instant::now());
    }

    /// Returns `true` if a write has failed for want of room in the last hour.
    pub(crate) fn was_full_lately(&self) -> bool {
        self.lock().was_full.is_some_and(|then| then.elapsed() < FULL_FOR)
    }

    /// Sweeps go by this clock from now on.
    pub(crate) fn set_clock(&self, clock: Clock) {
        self.lock().clock = Some(clock);
    }

    /// The turn to sweep: no two sweeps of one process run at the same time.
    pub(crate) async fn turn(&self) -> Turn<'_, ()> {
        self.sweeping.lock().await
    }

    /// Begins a sweep, or a minute after the last one began that was scheduled here. Until it begins it is the only one.
    fn schedule<F>(self: &Arc<Self>, sweep: impl FnOnce(Clock) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let mut state = self.lock();
        let is_scheduled = state.scheduled.as_ref().is_some_and(|task| !task.is_finished());
        // Without a runtime, or a server, nobody can sweep.
        let (false, Ok(runtime), Some(clock)) = (is_scheduled, Handle::try_current(), state.clock.clone())
        else {
            return;
        };
        let (at, disk) = (state.next, self.clone());
        let task = runtime.spawn(async move {
            if let Some(at) = at {
                sleep_until(at).await;
            }
            disk.begin();
            sweep(clock).await;
        });
        state.scheduled = Some(task.abort_handle());
    }

    fn begin(&self) {
        let mut state = self.lock();
        (state.scheduled, state.next) = (None, Some(Instant::now() + SWEEP_EVERY));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds it panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend {
    /// Has the store swept soon, in a task: its disk is full, or was and has room again. A sweep is no reason for another.
    pub(crate) fn sweep_soon(store: &crate::Store) {
        if store.is_swept {
            return;
        }
        let swept = store.clone();
        store.full_disk.schedule(|clock| async move {
            match Self::of_sweeper(swept, clock).sweep().await {
                Ok(swept) => tracing::debug!(?swept, "swept, since the disk was full"),
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, "the store cannot be swept although its disk is full");
                }
            }
        });
    }
}

impl fmt::Debug for FullDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FullDisk").field("was_full", &self.lock().was_full).finish_non_exhaustive()
    }
}
