//! Opening a folder on a local disk as a store.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use object_store::local::LocalFileSystem;

use crate::store::Store;

/// What a success is worth when the power fails. A crash of the process loses nothing either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a caller chooses one of them; nothing else is ever returned")]
pub enum Durability {
    /// What was answered with success is on the disk: every file, and every folder that got an entry, is synced first.
    #[default]
    Strict,
    /// Nothing is synced. When the system stops, the last answers may be lost, in part or in whole, whatever they said;
    /// for stores that can be made again.
    None,
}

/// A folder cannot be used as a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Something else than a folder stands there.
    #[error("the store `{}` is not a folder", path.display())]
    NotAFolder {
        /// The path as given.
        path: PathBuf,
    },
    /// The folder is not there and cannot be made.
    #[error("the folder of the store, `{}`, cannot be made", path.display())]
    Create {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Files cannot be made in the folder.
    #[error("the store `{}` is not writable", path.display())]
    NotWritable {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A later release wrote the store, in a format that this one does not know.
    #[error(
        "the store has format {found}, but this release knows only format {known}: open it with a newer release"
    )]
    Format {
        /// The format of the store.
        found: u32,
        /// The format of this release.
        known: u32,
    },
    /// The store failed.
    #[error("the store cannot be opened")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Store {
    /// A folder on a local disk, made if it is not there. A write is answered only after it and the folders above it
    /// are synced. No lock is taken: several processes may serve the same folder at the same time.
    ///
    /// Needs a file system with hard links.
    ///
    /// # Errors
    /// [`OpenError`] when the path is no folder, cannot be made, or cannot be written to.
    pub fn local(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::local_with(path, Durability::Strict)
    }

    /// A folder on a local disk, as of [`local`](Self::local), with this durability instead. It is this process's choice and
    /// no property of the folder: another may serve the same one more strictly.
    ///
    /// # Errors
    /// As of [`local`](Self::local).
    pub fn local_with(path: impl AsRef<Path>, durability: Durability) -> Result<Self, OpenError> {
        let (path, is_synced) = (path.as_ref(), durability == Durability::Strict);
        make_folder(path, is_synced)?;
        check_writable(path).map_err(|source| OpenError::NotWritable { path: path.to_owned(), source })?;
        let objects =
            LocalFileSystem::new_with_prefix(path).map_err(|error| OpenError::Store(error.into()))?;
        let folder = path.canonicalize().map_err(|error| OpenError::Store(error.into()))?;
        Ok(Self { objects: Arc::new(objects.with_fsync(is_synced)), folder: Some(folder) })
    }
}

/// Makes the folder and those above it, and syncs whatever got a new entry if it is to be synced.
fn make_folder(path: &Path, is_synced: bool) -> Result<(), OpenError> {
    let failed = |source| OpenError::Create { path: path.to_owned(), source };
    if path.is_dir() {
        return Ok(());
    }
    if path.exists() {
        return Err(OpenError::NotAFolder { path: path.to_owned() });
    }
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let missing: Vec<PathBuf> = path.ancestors().take_while(is_missing).map(Path::to_owned).collect();
    fs::create_dir_all(path).map_err(failed)?;
    for folder in missing {
        // Only Unix can open and sync a folder.
        if is_synced && cfg!(unix) {
            let parent =
                folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)?;
        }
    }
    Ok(())
}

fn check_writable(folder: &Path) -> io::Result<()> {
    let probe = folder.join(format!("partwise-probe-{}", std::process::id()));
    fs::File::create(&probe)?;
    fs::remove_file(&probe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_folder_is_made_with_those_above_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b/c");
        Store::local(&path).unwrap();
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "opening leaves nothing behind");
    }

    #[test]
    fn a_file_is_no_store() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        fs::write(&path, "x").unwrap();
        let error = Store::local(&path).unwrap_err();
        assert!(matches!(error, OpenError::NotAFolder { .. }), "{error}");
        let error = Store::local(path.join("below")).unwrap_err();
        assert!(matches!(error, OpenError::Create { .. }), "{error}");
    }
}
