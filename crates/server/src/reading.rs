//! Records of files that are being read: those who read the same file at the same time read its record once, and share it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use object_store::path::Path;
use tokio::{sync::OnceCell, time::timeout};

use crate::{
    content::Manifest,
    memory::MemoryShare,
    record::FileRecord,
    refusal::Refusal,
    store::{Store, StoreError},
};

/// The time that a reader waits for a record, which another may be reading.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The records that are being read, by their paths. Clones share everything.
#[derive(Clone, Default)]
pub(crate) struct Reading(Arc<Mutex<HashMap<Path, Weak<Entry>>>>);

/// A record for as long as somebody reads it.
pub(crate) struct Entry {
    reading: Reading,
    path: Path,
    record: OnceCell<FileRecord>,
    /// The memory of its parts, once somebody keeps them.
    share: OnceCell<MemoryShare>,
}

impl Reading {
    /// The record at this path, which may not have been read yet.
    pub(crate) fn entry(&self, path: Path) -> Arc<Entry> {
        let mut entries = self.entries();
        if let Some(entry) = entries.get(&path).and_then(Weak::upgrade) {
            return entry;
        }
        let (record, share) = (OnceCell::new(), OnceCell::new());
        let entry = Arc::new(Entry { reading: self.clone(), path: path.clone(), record, share });
        entries.insert(path, Arc::downgrade(&entry));
        entry
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Path, Weak<Entry>>> {
        // Nothing that holds it panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Reads the record, unless another reader of it has; `None` when it is not there (any more).
    pub(crate) async fn record(&self, store: &Store) -> Result<Option<&FileRecord>, StoreError> {
        let is_read_now = AtomicBool::new(false);
        let read = || async {
            is_read_now.store(true, Relaxed);
            store.read(&self.path).await.map_err(Some)?.ok_or(None)
        };
        // Readers whose record cannot be read try one after the other.
        match timeout(LONGEST_WAIT, self.record.get_or_try_init(read)).await {
            // A reader may take hours, and the file may be gone by now.
            Ok(Ok(record)) if is_read_now.into_inner() || store.exists(&self.path).await? => Ok(Some(record)),
            Ok(Ok(_)) => Ok(None),
            Ok(Err(None)) => Ok(None),
            Ok(Err(Some(error))) => Err(error),
            Err(_) => Err(StoreError::Busy),
        }
    }

    /// Takes the memory of all parts from `share`, unless a reader of the same record has taken it. It is held until the last
    /// reader is done.
    pub(crate) async fn hold(&self, content: &Manifest, mut share: MemoryShare) -> Result<(), Refusal> {
        let take = || async {
            share.hold(Manifest::size_of(content.len()))?;
            Ok(share)
        };
        self.share.get_or_try_init(take).await.map(drop)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut entries = self.reading.entries();
        // Another reader may have come since, and have made another entry.
        if entries.get(&self.path).is_some_and(|entry| entry.strong_count() == 0) {
            entries.remove(&self.path);
        }
    }
}
