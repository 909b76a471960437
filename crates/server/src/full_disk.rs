//! A disk that was full: for an hour what goes away gives its room back at once, and what went before is swept.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{MutexGuard as Turn, Notify},
    time::Instant,
};

/// The time for which a disk that was full counts as full: as long as freed bytes stay on one that is not.
const FULL_FOR: Duration = Duration::from_secs(60 * 60);

/// What one process knows of the room in a store.
#[derive(Debug, Default)]
pub(crate) struct FullDisk {
    /// When a write last failed for want of room.
    was_full: Mutex<Option<Instant>>,
    sweep_wanted: Notify,
    sweeping: tokio::sync::Mutex<()>,
}

impl FullDisk {
    /// A write has failed for want of room just now.
    pub(crate) fn note(&self) {
        *self.lock() = Some(Instant::now());
    }

    /// Returns `true` if a write has failed for want of room in the last hour.
    pub(crate) fn was_full_lately(&self) -> bool {
        self.lock().is_some_and(|then| then.elapsed() < FULL_FOR)
    }

    /// The turn to sweep: no two sweeps of one process run at the same time.
    pub(crate) async fn turn(&self) -> Turn<'_, ()> {
        self.sweeping.lock().await
    }

    /// Asks whoever sweeps this store to do so soon.
    pub(crate) fn want_sweep(&self) {
        self.sweep_wanted.notify_one();
    }

    /// Waits until a sweep is asked for.
    pub(crate) async fn sweep_wanted(&self) {
        self.sweep_wanted.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.was_full.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
