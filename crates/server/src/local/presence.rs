//! Notices that the folder of a store is not mounted any more, or that something else stands in its place.

use std::{
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Instant, SystemTime},
};

/// Seconds of successful reads that may pass without a check.
const CHECK_EVERY: u64 = 3;

/// A folder is gone, or is another one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotThere {
    #[error("the store `{}` is not there: its marker is missing or another store's. Is its disk mounted?", root.display())]
    Store { root: PathBuf },
    #[error("the link `{}` leads nowhere. Is the disk mounted that it leads to?", path.display())]
    Folder { path: PathBuf },
}

/// Knows the folder by its device and inode, and by its marker.
#[derive(Debug)]
pub(super) struct Presence {
    root: PathBuf,
    marker: PathBuf,
    known: Mutex<Option<Identity>>,
    is_missing: AtomicBool,
    started: Instant,
    /// Seconds from the start to the last check.
    checked: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    folder: FileId,
    marker: FileId,
    marked: Option<SystemTime>,
}

/// Device and inode.
type FileId = (u64, u64);

impl Presence {
    pub(super) fn new(root: PathBuf, marker: PathBuf) -> Self {
        let (known, is_missing) = (Mutex::default(), AtomicBool::default());
        Self { root, marker, known, is_missing, started: Instant::now(), checked: AtomicU64::default() }
    }

    /// Takes the folder as it is now for the right one.
    pub(super) fn remember(&self) -> io::Result<()> {
        *self.lock() = Some(Identity::of(&self.root, &self.marker)?);
        Ok(())
    }

    /// Says whether the folder is the one that was remembered; before, any will do.
    pub(super) fn check(&self) -> Result<(), NotThere> {
        let Some(known) = *self.lock() else { return Ok(()) };
        self.checked.store(self.started.elapsed().as_secs(), Relaxed);
        let found = Identity::of(&self.root, &self.marker);
        match found {
            Ok(found) if found == known => {}
            Ok(found) if found.is_same_store(&known) => *self.lock() = Some(found),
            _ => {
                if !self.is_missing.swap(true, Relaxed) {
                    tracing::error!(store = %self.root.display(), "the store is not there");
                }
                return Err(NotThere::Store { root: self.root.clone() });
            }
        }
        if self.is_missing.swap(false, Relaxed) {
            tracing::info!(store = %self.root.display(), "the store is there again");
        }
        Ok(())
    }

    /// Checks if that was some seconds ago.
    pub(super) fn check_now_and_then(&self) -> Result<(), NotThere> {
        let elapsed = self.started.elapsed().as_secs();
        if elapsed.saturating_sub(self.checked.load(Relaxed)) < CHECK_EVERY && !self.is_missing.load(Relaxed)
        {
            return Ok(());
        }
        self.check()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Identity>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Identity {
    fn of(root: &Path, marker: &Path) -> io::Result<Self> {
        let folder = file_id(&fs::metadata(root)?);
        let marker = fs::metadata(marker)?;
        Ok(Self { folder, marker: file_id(&marker), marked: marker.modified().ok() })
    }

    /// A disk that is mounted again may have another device number, and some file systems of a network change inodes; the
    /// marker may be written anew. All at once are another store.
    fn is_same_store(&self, known: &Self) -> bool {
        let (device, inode) = self.marker;
        let is_same_marker =
            self.marked == known.marked && (device == known.marker.0 || inode == known.marker.1);
        self.folder == known.folder || is_same_marker
    }
}

#[cfg(unix)]
fn file_id(metadata: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

/// Elsewhere there is no telling: the marker's being there has to do.
#[cfg(not(unix))]
fn file_id(_: &Metadata) -> FileId {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_store_is_known_by_its_folder_or_by_its_marker() {
        let time = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let known = Identity { folder: (1, 10), marker: (1, 11), marked: time(5) };
        for (same, folder, marker, marked) in [
            (true, (1, 10), (1, 12), time(6)),
            (true, (2, 10), (2, 11), time(5)),
            (true, (1, 20), (1, 21), time(5)),
            (false, (2, 10), (2, 11), time(6)),
            (false, (1, 20), (1, 21), time(6)),
            (false, (2, 20), (2, 21), time(5)),
        ] {
            let found = Identity { folder, marker, marked };
            assert_eq!(found.is_same_store(&known), same, "{found:?}");
        }
    }
}
