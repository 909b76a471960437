//! Opening a folder on a local disk as a store.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    layout,
    local::{LocalFolder, private},
    marker,
    store::{Store, is_full},
};

/// The guarantee that a success has when the power fails. A crash of the process loses nothing either way.
///
/// ```no_run
/// use partwise_server::{Durability, OpenError, Store};
///
/// # fn main() -> Result<(), OpenError> {
/// // For tests, which make their files again.
/// let store = Store::local_with("/tmp/partwise", Durability::None)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a caller chooses one of them; nothing else is ever returned")]
pub enum Durability {
    /// All that was answered with success is on the disk: every file, and every folder that got an entry, is synced first.
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
        /// The error of the system.
        source: io::Error,
    },
    /// Files cannot be made in the folder.
    #[error("the store `{}` is not writable", path.display())]
    NotWritable {
        /// The path as given.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// There is no store: the folder or its marker, `partwise.json`, is missing, and neither was to be made.
    #[error("there is no store in `{}`: it has no {}; is its disk mounted?", path.display(), layout::MARKER)]
    NoStore {
        /// The path as given.
        path: PathBuf,
    },
    /// There is no store elsewhere under this name, and none was to be made.
    #[error("there is no store in `{store}`: it has no {}", layout::MARKER)]
    NoMarkerYet {
        /// The store's name.
        store: String,
    },
    /// The object in the place of the marker was not written by any release.
    #[error(
        "`{marker}` is not the marker of a store: if the rest is one, remove that file and start again; if not, name another folder"
    )]
    NoMarker {
        /// Where it stands.
        marker: String,
    },
    /// The marker of the store, or the link to it, is there and cannot be read.
    #[error(
        "the marker of the store, `{}`, cannot be read: run as the user who made the store, or mount its disk", marker.display()
    )]
    Unreadable {
        /// Where it stands.
        marker: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another release wrote the store, in a format that this one does not know.
    #[error(
        "the store has format {found} (`{marker}`), but this release knows only format {known}: open it with the release that wrote it, or a newer one"
    )]
    Format {
        /// Where that is said.
        marker: String,
        /// The format of the store.
        found: u32,
        /// The format of this release.
        known: u32,
    },
    /// No store elsewhere is named by this URL.
    #[error(
        "the store `{url}` {problem}: name one as s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or gs://BUCKET/PREFIX"
    )]
    Url {
        /// The URL as given.
        url: String,
        /// What is wrong with it, in words that follow its name.
        problem: &'static str,
    },
    /// The environment does not say what a store elsewhere needs, or says what cannot be used.
    #[error("the store `{url}` cannot be set up from what the environment says")]
    Settings {
        /// The URL as given.
        url: String,
        /// What is missing or wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store answers, and has no such bucket or container.
    #[error("there is no bucket or container `{store}`")]
    NoBucket {
        /// The store's name.
        store: String,
        /// What it said.
        source: Box<object_store::Error>,
    },
    /// The store rejects the credentials, or lets them do too little.
    #[error("the store `{store}` rejects the credentials, or does not let them read and write")]
    NoAccess {
        /// The store's name.
        store: String,
        /// What it said.
        source: Box<object_store::Error>,
    },
    /// The store cannot be reached, or fails.
    #[error("the store `{store}` cannot be reached, or fails")]
    Unreachable {
        /// The store's name.
        store: String,
        /// The last of several attempts.
        source: Box<object_store::Error>,
    },
    /// The store answers, and does not do what this server relies on.
    #[error("the store `{store}` cannot be used: it {problem}")]
    Unsuited {
        /// The store's name.
        store: String,
        /// What it does, or does not do.
        problem: &'static str,
    },
    /// The store failed.
    #[error("the store cannot be opened")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Store {
    /// A folder on a local disk, made if it is not there. A write is answered only after it and the folders above it
    /// are synced. No lock is taken: several processes may serve the same folder at the same time.
    ///
    /// Needs a file system with hard links. What is made in the folder is for its owner alone (0700 and 0600). While the
    /// folder, or its marker `partwise.json`, is gone or another store's, as when a disk is not mounted, the server
    /// answers 503.
    ///
    /// # Errors
    /// [`OpenError`] when the path is no folder, cannot be made, or cannot be written to, but not when the disk is full;
    /// when its marker cannot be read, or is that of a store of another format.
    pub fn local(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::local_with(path, Durability::Strict)
    }

    /// A folder on a local disk, as of [`local`](Self::local), with this durability instead. It is this process's choice and
    /// no property of the folder: another may serve the same one more strictly.
    ///
    /// # Errors
    /// As of [`local`](Self::local).
    pub fn local_with(path: impl AsRef<Path>, durability: Durability) -> Result<Self, OpenError> {
        let path = path.as_ref();
        make_folder(path, durability == Durability::Strict)?;
        open(path, durability)
    }

    /// A folder on a local disk, as of [`local_with`](Self::local_with), that holds a store already: nothing is made where the disk
    /// of one is not mounted.
    ///
    /// # Errors
    /// As of [`local`](Self::local), and [`OpenError::NoStore`] when the folder or its marker is not there.
    pub fn local_existing(path: impl AsRef<Path>, durability: Durability) -> Result<Self, OpenError> {
        let path = path.as_ref();
        if !path.join(layout::MARKER).is_file() {
            return Err(OpenError::NoStore { path: path.to_owned() });
        }
        open(path, durability)
    }
}

fn open(path: &Path, durability: Durability) -> Result<Store, OpenError> {
    // Read before anything is written: a store of another release is left as it is.
    let marker = path.join(layout::MARKER);
    match fs::read(&marker) {
        Ok(bytes) => marker::Reading::of(&bytes).check(&marker.display().to_string())?,
        Err(_) if marker.is_dir() => {
            return Err(OpenError::NoMarker { marker: marker.display().to_string() });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(&marker).is_err() => {}
        Err(source) => return Err(OpenError::Unreadable { marker, source }),
    }
    check_writable(path).map_err(|source| OpenError::NotWritable { path: path.to_owned(), source })?;
    let folder = LocalFolder::new(path, durability == Durability::Strict)
        .map_err(|error| OpenError::Store(error.into()))?;
    Ok(Store::folder(folder))
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
    private_folders().create(path).map_err(failed)?;
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

fn private_folders() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Makes a file and removes it. For want of room a store can still be read and emptied.
fn check_writable(folder: &Path) -> io::Result<()> {
    loop {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        // Another process may look at the same moment, and have the same number as this one where both are in containers.
        let probe = folder.join(format!("{}{:016x}", layout::PROBE, u64::from_be_bytes(random)));
        match private(OpenOptions::new().write(true).create_new(true)).open(&probe) {
            Ok(_) => break fs::remove_file(&probe),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if is_full(&error) => break Ok(()),
            Err(error) => break Err(error),
        }
    }
}

/// Removes what processes that were killed while they opened the folder have left.
pub(crate) fn remove_probes(folder: &Path, before: SystemTime) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(layout::PROBE) {
            continue;
        }
        let is_old = entry.metadata().and_then(|found| found.modified()).is_ok_and(|made| made < before);
        if is_old && fs::remove_file(entry.path()).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
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
