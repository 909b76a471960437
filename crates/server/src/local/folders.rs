//! The folders that lead to objects: made when they are needed, and synced before anything in them is acknowledged.

use std::{
    collections::HashSet,
    fs::{self, DirBuilder, File},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::presence::NotThere;

/// How often a folder is made that others remove at the same time.
pub(super) const TRIES: usize = 16;
/// The folders above this depth (`tenants/<tenant>/files`) are few, and stay.
const LASTING: usize = 3;

/// The folders below the root of a store.
#[derive(Debug)]
pub(super) struct Folders {
    root: PathBuf,
    is_synced: bool,
    /// Those whose entries this process has synced. Another process may have made one and ended before it did.
    known: Mutex<HashSet<PathBuf>>,
}

/// Folders that were made for a file, outermost first. They are removed when this is dropped, unless something stands in them.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Made(Vec<PathBuf>);

impl Made {
    /// Leaves the folders where they are.
    pub(super) fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

impl Folders {
    pub(super) fn new(root: PathBuf, is_synced: bool) -> Self {
        Self { root, is_synced, known: Mutex::default() }
    }

    /// Makes the folders that lead to `folder`, never the root itself: where that is gone, so is the disk.
    pub(super) fn make(&self, folder: &Path) -> io::Result<Made> {
        let mut made = Made::default();
        self.make_into(folder, &mut made)?;
        Ok(made)
    }

    fn make_into(&self, folder: &Path, made: &mut Made) -> io::Result<()> {
        if folder == self.root || !folder.starts_with(&self.root) {
            return Err(io::ErrorKind::NotFound.into());
        }
        for _ in 0..TRIES {
            match make_folder(folder) {
                Ok(()) => {
                    made.0.push(folder.to_owned());
                    return self.sync_entry(folder);
                }
                Err(error) => match (error.kind(), folder.parent()) {
                    (io::ErrorKind::AlreadyExists, _) if is_there(folder)? => return self.sync_entry(folder),
                    (io::ErrorKind::AlreadyExists, _) => {}
                    (io::ErrorKind::NotFound, Some(parent)) => self.make_into(parent, made)?,
                    _ => return Err(error),
                },
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// Checks that no folder on the way to `folder` is a link to nowhere. Any may be missing.
    ///
    /// # Errors
    /// [`NotThere::Folder`], inside, when one is: what was in it is not gone, its disk is not mounted.
    pub(super) fn check_way(&self, folder: &Path) -> io::Result<()> {
        for folder in folder.ancestors().take_while(|folder| *folder != self.root) {
            if is_there(folder)? {
                break;
            }
        }
        Ok(())
    }

    fn sync_entry(&self, folder: &Path) -> io::Result<()> {
        if self.is_synced { sync_parent(folder) } else { Ok(()) }
    }

    /// Syncs the entries of the lasting folders that lead to `object`, those that this process has not synced yet.
    pub(super) fn sync_way(&self, object: &Path) -> io::Result<()> {
        if !self.is_synced {
            return Ok(());
        }
        for folder in object.ancestors().skip(1).take_while(|folder| *folder != self.root) {
            let depth = folder.strip_prefix(&self.root).map_or(0, |below| below.components().count());
            if depth > LASTING || self.lock().contains(folder) {
                continue;
            }
            sync_parent(folder)?;
            self.lock().insert(folder.to_owned());
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says whether what has this name is a folder; `false` when it is gone by now.
///
/// # Errors
/// When it is something else than a folder, or a link that leads nowhere.
fn is_there(folder: &Path) -> io::Result<bool> {
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => Ok(true),
        Ok(_) => Err(io::ErrorKind::NotADirectory.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(folder) {
            Ok(_) => Err(io::Error::other(NotThere::Folder { path: folder.to_owned() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// Syncs the folder that `path` stands in. Only Unix can open and sync a folder.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Makes a folder for its owner alone.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    #[allow(unused_mut, reason = "elsewhere nothing need be said")]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
