//! Where checkpoints survive a crash.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use partwise_protocol::Checkpoint;

/// Keeps the last checkpoint of one upload. Its methods may block; they run on threads for blocking work.
pub trait CheckpointStore: Send + Sync + 'static {
    /// Puts this checkpoint in the place of the one before. When it returns, the checkpoint must survive a crash.
    ///
    /// # Errors
    /// When that cannot be promised; the upload then ends, since going on would risk a second file after a crash.
    fn save(&self, checkpoint: &Checkpoint) -> io::Result<()>;

    /// Forgets the checkpoint: the file is complete.
    ///
    /// # Errors
    /// When it cannot be removed. The upload has succeeded all the same, so this is only logged.
    fn remove(&self) -> io::Result<()>;
}

/// One checkpoint in one file.
///
/// It is written beside its place, synced, and put there in one step, so that a crash leaves the one before or this
/// one, never half of each. The folder is synced too where the system has that (Unix).
#[derive(Clone, Debug)]
pub struct CheckpointFile {
    path: PathBuf,
}

impl CheckpointFile {
    /// A checkpoint at this path. Its folder must exist, and nobody else may use the path at the same time.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The checkpoint that was saved last, if there is one.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or holds something else.
    pub fn load(&self) -> io::Result<Option<Checkpoint>> {
        match fs::read(&self.path) {
            Ok(json) => Ok(Some(serde_json::from_slice(&json)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn beside(&self) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        self.path.with_file_name(name)
    }

    /// Without this, the new name may be gone after a power cut although the content is there.
    #[cfg(unix)]
    fn sync_folder(&self) -> io::Result<()> {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
            _ => File::open(".")?.sync_all(),
        }
    }

    #[cfg(not(unix))]
    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "folders cannot be synced here")]
    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }
}

impl CheckpointStore for CheckpointFile {
    fn save(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        let beside = self.beside();
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(checkpoint)?)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&beside, &self.path)?;
        self.sync_folder()
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
