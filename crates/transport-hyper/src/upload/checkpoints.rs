//! Where checkpoints survive a crash.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::BoxFuture;
use partwise_protocol::Checkpoint;

use crate::{blocking::Blocking, service::BoxError};

/// Keeps the last checkpoint of one upload: a file ([`CheckpointFile`]), or a row of your own database. One call is
/// under way at a time.
pub trait CheckpointStore: Send + Sync + 'static {
    /// Why a checkpoint cannot be kept or forgotten.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Puts this checkpoint in the place of the one before. When it is ready, the checkpoint must survive a crash. It
    /// is dropped half-way when the upload is; then either checkpoint may be the last one.
    ///
    /// # Errors
    /// When that cannot be promised; the upload then ends, since going on would risk a second file after a crash.
    fn save(&self, checkpoint: Checkpoint) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Forgets the checkpoint: the file is complete, or nothing can be gone on with.
    ///
    /// A store may keep it until somebody was told of the file: to go on from it finds that file and makes no other.
    ///
    /// # Errors
    /// When it cannot be removed. The upload has ended all the same, so this is only logged.
    fn remove(&self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Any store behind one type.
pub(super) trait AnyCheckpoints: Send + Sync {
    fn keep(self: Arc<Self>, checkpoint: Checkpoint) -> BoxFuture<'static, Result<(), BoxError>>;
    fn forget(self: Arc<Self>) -> BoxFuture<'static, Result<(), BoxError>>;
}

impl<S: CheckpointStore> AnyCheckpoints for S {
    fn keep(self: Arc<Self>, checkpoint: Checkpoint) -> BoxFuture<'static, Result<(), BoxError>> {
        Box::pin(async move { self.save(checkpoint).await.map_err(Into::into) })
    }

    fn forget(self: Arc<Self>) -> BoxFuture<'static, Result<(), BoxError>> {
        Box::pin(async move { self.remove().await.map_err(Into::into) })
    }
}

/// One checkpoint in one file.
///
/// It is written beside its place, synced, and put there in one step, so that a crash leaves the one before or this
/// one, never half of each. The folder is synced too where the system has that (Unix). All of it happens on threads for
/// blocking work; clones wait for each other.
#[derive(Clone, Debug)]
pub struct CheckpointFile {
    path: Arc<Path>,
    /// A save goes on to its end although the upload was dropped, and must not come after what is done next.
    turn: Arc<Mutex<()>>,
}

impl CheckpointFile {
    /// A checkpoint at this path. Its folder must exist, and nobody else may use the path at the same time.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into().into(), turn: Arc::default() }
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
        let _turn = self.turn();
        match fs::read(&self.path) {
            Ok(json) => Checkpoint::from_json(&json).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        let _turn = self.turn();
        let beside = self.beside();
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(checkpoint)?)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&beside, &self.path)?;
        self.sync_folder()
    }

    fn unlink(&self) -> io::Result<()> {
        let _turn = self.turn();
        // A crash may have left one that was being written.
        for path in [&self.beside(), &*self.path] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
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
    type Error = io::Error;

    async fn save(&self, checkpoint: Checkpoint) -> io::Result<()> {
        let file = self.clone();
        Blocking::start(move || file.write(&checkpoint)).await
    }

    async fn remove(&self) -> io::Result<()> {
        let file = self.clone();
        Blocking::start(move || file.unlink()).await
    }
}
