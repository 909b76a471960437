//! Notices that the folder of a store is not mounted any more, or that something else stands in its place.

use std::{
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use partwise_models::UnixSeconds;

use crate::record::Marker;

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

/// Knows the store by the identifier in its marker. Only the root is watched: another disk that is mounted below it is not.
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

#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    stat: Stat,
    name: Name,
}

/// What a marker says of its store.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Identifier(String),
    /// One of an earlier release has no identifier.
    Unnamed,
    /// A power cut has torn it, and there was no room for another. The next server that finds room replaces it.
    Torn,
}

/// As long as this is the same, so is the marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    folder: FileId,
    marker: FileId,
    /// When the marker was written.
    marked: Option<SystemTime>,
    /// When its entry was changed, which nobody can set: in seconds and nanoseconds.
    changed: (i64, i64),
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
        *self.lock() = Some(Identity::read(Stat::of(&self.root, &self.marker)?, &self.marker)?);
        Ok(())
    }

    /// Says whether the folder is the one that was remembered; before, any will do.
    pub(super) fn check(&self) -> Result<(), NotThere> {
        let Some(known) = self.lock().clone() else { return Ok(()) };
        self.checked.store(self.started.elapsed().as_secs(), Relaxed);
        match self.look(&known) {
            Some(found) if found == known => {}
            Some(found) => *self.lock() = Some(found),
            None => {
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

    /// The store as it is found, if it is the one that is known.
    fn look(&self, known: &Identity) -> Option<Identity> {
        let stat = Stat::of(&self.root, &self.marker).ok()?;
        if stat == known.stat {
            return Some(known.clone());
        }
        let found = Identity::read(stat, &self.marker).ok()?;
        found.is_same_store(known).then_some(found)
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

impl Stat {
    fn of(root: &Path, marker: &Path) -> io::Result<Self> {
        let folder = file_id(&fs::metadata(root)?);
        let marker = fs::metadata(marker)?;
        let (id, marked) = (file_id(&marker), marker.modified().ok());
        Ok(Self { folder, marker: id, marked, changed: changed(&marker) })
    }
}

impl Identity {
    fn read(stat: Stat, marker: &Path) -> io::Result<Self> {
        let name = match serde_json::from_slice::<Marker>(&fs::read(marker)?) {
            Ok(Marker { id: Some(id), .. }) => Name::Identifier(id),
            Ok(Marker { id: None, .. }) => Name::Unnamed,
            Err(_) => Name::Torn,
        };
        Ok(Self { stat, name })
    }

    /// A torn marker is replaced where it is, by one whose identifier follows from its time. Without an identifier the marker's
    /// time has to be the same, and something else: a disk that is mounted again may have another device number, and some
    /// file systems of a network change inodes. Neither says much alone, since device numbers are used again, and the
    /// root of every disk has the same inode.
    fn is_same_store(&self, known: &Self) -> bool {
        let (found, before) = (&self.stat, &known.stat);
        match (&self.name, &known.name) {
            (Name::Identifier(found), Name::Identifier(before)) => found == before,
            (Name::Identifier(found_name), Name::Torn) if found.folder == before.folder => {
                let since_epoch = before.marked.and_then(|marked| marked.duration_since(UNIX_EPOCH).ok());
                let written = since_epoch.map(|since| UnixSeconds(since.as_secs()));
                written.is_some_and(|written| Marker::replacing_torn(written).id.as_ref() == Some(found_name))
            }
            (Name::Unnamed, Name::Unnamed) | (Name::Torn, Name::Torn) => {
                let ((device, inode), (device_before, inode_before)) = (found.marker, before.marker);
                found.marked == before.marked
                    && (found.folder == before.folder || device == device_before || inode == inode_before)
            }
            _ => false,
        }
    }
}

#[cfg(unix)]
fn changed(metadata: &Metadata) -> (i64, i64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn changed(_: &Metadata) -> (i64, i64) {
    (0, 0)
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

    fn identity(name: Option<&str>, folder: FileId, marker: FileId, marked: u64) -> Identity {
        let marked = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(marked));
        let name = name.map_or(Name::Unnamed, |id| Name::Identifier(id.to_owned()));
        Identity { stat: Stat { folder, marker, marked, changed: (0, 0) }, name }
    }

    #[test]
    fn a_store_is_known_by_its_identifier() {
        let known = identity(Some("a"), (1, 10), (1, 11), 5);
        assert!(identity(Some("a"), (2, 20), (2, 21), 6).is_same_store(&known));
        for other in [Some("b"), None] {
            assert!(!identity(other, (1, 10), (1, 11), 5).is_same_store(&known));
        }
    }

    #[test]
    fn a_store_whose_marker_is_torn_is_known_by_its_folder_when_the_marker_is_replaced() {
        let torn =
            |folder, marker, marked| Identity { name: Name::Torn, ..identity(None, folder, marker, marked) };
        let known = torn((1, 10), (1, 11), 5);
        let name = Marker::replacing_torn(UnixSeconds(5)).id;
        assert!(identity(name.as_deref(), (1, 10), (1, 12), 6).is_same_store(&known));
        assert!(!identity(name.as_deref(), (1, 20), (1, 11), 5).is_same_store(&known), "in another folder");
        assert!(!identity(Some("a"), (1, 10), (1, 12), 6).is_same_store(&known), "another store's");
        assert!(torn((1, 20), (1, 11), 5).is_same_store(&known));
        assert!(!torn((1, 20), (1, 11), 6).is_same_store(&known));
        assert!(!torn((1, 10), (1, 11), 5).is_same_store(&identity(Some("a"), (1, 10), (1, 11), 5)));
    }

    #[test]
    fn a_store_without_an_identifier_is_known_by_the_time_and_the_place_of_its_marker() {
        let known = identity(None, (1, 10), (1, 11), 5);
        for (same, folder, marker, marked) in [
            (true, (1, 10), (1, 12), 5),
            (false, (1, 10), (1, 12), 6),
            (false, (1, 10), (1, 11), 6),
            (true, (2, 10), (2, 11), 5),
            (true, (1, 20), (1, 21), 5),
            (false, (2, 20), (2, 21), 5),
        ] {
            let found = identity(None, folder, marker, marked);
            assert_eq!(found.is_same_store(&known), same, "{found:?}");
        }
        assert!(!identity(Some("a"), (1, 10), (1, 11), 5).is_same_store(&known));
    }
}
