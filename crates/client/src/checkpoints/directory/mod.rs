//! The unfinished uploads of this machine: those that earlier runs began, and those that run now.
//!
//! One directory has two files for each: `KEY.upload` says which file it is of and is locked by the run at work on it,
//! `KEY.checkpoint` says how far it is. The key follows from what is uploaded where, and under which name, so that the next run
//! finds it.

mod entry;
mod key;
mod platform;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use partwise_protocol::upload::{Checkpoint, SourceStamp};

use self::key::Key;
pub use self::{
    entry::{UnfinishedCheckpoint, UnfinishedUpload},
    key::UploadSubject,
};
use crate::{
    CheckpointFile,
    lock::{self, Locked},
};

/// A directory that remembers unfinished uploads from run to run. It is the command's too: what one began the other resumes.
///
/// ```no_run
/// use partwise::{CheckpointDir, Client, Purpose};
///
/// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let unfinished = CheckpointDir::default()?;
/// let file = client.upload_file("train.jsonl", Purpose::FineTune).resume_in(unfinished).await?;
/// println!("{}", file.id);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CheckpointDir {
    path: PathBuf,
}

/// A directory of unfinished uploads cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointDirError {
    /// This system names no directory for the state of applications.
    #[error("this system names no folder for application state")]
    NoDirectory,
    /// What is at its path is no directory.
    #[error("{} is not a folder", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The system cannot read or write it.
    #[error("cannot keep what is unfinished in {}", path.display())]
    Unusable {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process is at work on the same upload.
    #[error("another run of partwise is uploading {} to {place}", file.display())]
    InUse {
        /// The file that is uploaded.
        file: PathBuf,
        /// The service that it is uploaded to.
        place: String,
    },
}

/// An unfinished upload, as it is listed.
///
/// ```no_run
/// use partwise::CheckpointDir;
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// for found in CheckpointDir::default()?.list()? {
///     match &found.checkpoint {
///         Ok(checkpoint) => println!("{}: {:?} bytes", checkpoint.filename(), checkpoint.acknowledged()),
///         Err(problem) => println!("{}: {problem}", found.id()),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct FoundUpload {
    key: Key,
    /// The path of the file, as far as it is known.
    pub file: Option<String>,
    /// How far it is, or why that cannot be read.
    pub checkpoint: Result<Checkpoint, String>,
    /// Whether a process is at work on it.
    pub is_running: bool,
}

impl FoundUpload {
    /// Its name here: the service's identifier, or one of our own where the service has none.
    #[must_use]
    pub fn id(&self) -> String {
        let of_service = self.checkpoint.as_ref().ok().and_then(Checkpoint::upload_id);
        of_service.map_or_else(|| self.key.local_id(), str::to_owned)
    }

    /// Whether this is an identifier of our own.
    #[must_use]
    pub fn is_local_id(id: &str) -> bool {
        key::is_local(id)
    }
}

impl CheckpointDir {
    /// The directory that the platform has for the state of applications: the one that the command uses.
    ///
    /// # Errors
    /// [`CheckpointDirError::NoDirectory`] where the platform names none.
    #[allow(clippy::should_implement_trait, reason = "there may be none")]
    pub fn default() -> Result<Self, CheckpointDirError> {
        let state = platform::state_directory().ok_or(CheckpointDirError::NoDirectory)?;
        Ok(Self { path: state.join("uploads") })
    }

    /// The directory at this path, which is made when it is needed.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The path of the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins to work on the upload of `subject`, which no other process may do at the same time. What a run of this process that was
    /// dropped is still writing is waited for, for half a minute at most.
    ///
    /// # Errors
    /// [`CheckpointDirError::InUse`] when another process is at work on it; else when the directory cannot be used.
    pub async fn enter(&self, subject: &UploadSubject) -> Result<UnfinishedUpload, CheckpointDirError> {
        let key = subject.key();
        make_directory(&self.path).map_err(|cause| self.unusable(cause))?;
        let entry = UnfinishedUpload::new(
            self.lock(&key, subject).await?,
            self.checkpoint_file(&key),
            subject.file(),
        )
        .map_err(|cause| self.unusable(cause))?;
        self.take_over_earlier(&key, subject).await?;
        entry.remove_left_over().await;
        Ok(entry)
    }

    async fn lock(&self, key: &Key, subject: &UploadSubject) -> Result<Locked, CheckpointDirError> {
        let locked = lock::patiently(&self.path_of(key, "upload")).await;
        let locked = locked.map_err(|cause| self.unusable(cause))?;
        locked.ok_or_else(|| CheckpointDirError::InUse {
            file: subject.file().to_owned(),
            place: subject.place().to_owned(),
        })
    }

    /// Gives the checkpoint of an earlier release the key that it has now, if it is of this file.
    async fn take_over_earlier(&self, key: &Key, subject: &UploadSubject) -> Result<(), CheckpointDirError> {
        let Some(earlier) = subject.earlier_key() else { return Ok(()) };
        let (from, to) = (self.path_of(&earlier, "checkpoint"), self.path_of(key, "checkpoint"));
        let is_of_subject = || saved_at(&from).is_some_and(|saved| is_of_file(&saved, subject.file()));
        if to.exists() || !is_of_subject() {
            return Ok(());
        }
        let locked = self.lock(&earlier, subject).await?;
        // It goes with its lock, unless another run has taken it over or written another meanwhile.
        let _entry = UnfinishedUpload::of_earlier_run(locked, self.checkpoint_file(&earlier));
        if is_of_subject() {
            fs::rename(&from, &to).map_err(|cause| self.unusable(cause))?;
        }
        Ok(())
    }

    /// The checkpoint that the next run of the upload of `subject` would find. Others may be at work on it.
    pub(crate) fn saved_of(&self, subject: &UploadSubject) -> Option<Checkpoint> {
        let saved = |key: &Key| saved_at(&self.path_of(key, "checkpoint"));
        saved(&subject.key()).or_else(|| {
            let earlier = saved(&subject.earlier_key()?)?;
            is_of_file(&earlier, subject.file()).then_some(earlier)
        })
    }

    /// Begins to work on one that was listed; `None` when another process does.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub async fn enter_found(
        &self,
        found: &FoundUpload,
    ) -> Result<Option<UnfinishedUpload>, CheckpointDirError> {
        let path = self.path_of(&found.key, "upload");
        let locked = lock::patiently(&path).await.map_err(|cause| self.unusable(cause))?;
        let Some(locked) = locked else { return Ok(None) };
        let entry = UnfinishedUpload::of_earlier_run(locked, self.checkpoint_file(&found.key));
        entry.remove_left_over().await;
        Ok(Some(entry))
    }

    /// Lists all uploads that have a checkpoint, by file.
    ///
    /// # Errors
    /// When the directory cannot be read. One that is not there has none.
    pub fn list(&self) -> Result<Vec<FoundUpload>, CheckpointDirError> {
        let names = match fs::read_dir(&self.path) {
            Ok(names) => names,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(self.unusable(cause)),
        };
        let mut all = Vec::new();
        for name in names {
            let name = name.map_err(|cause| self.unusable(cause))?.file_name();
            let Some(key) = name.to_str().and_then(|name| name.strip_suffix(".checkpoint")) else { continue };
            all.extend(self.found(Key::of_name(key)));
        }
        all.sort_by(|a, b| (&a.file, a.key.name()).cmp(&(&b.file, b.key.name())));
        Ok(all)
    }

    /// One upload; what cannot be read of it is no reason to show none.
    fn found(&self, key: Key) -> Option<FoundUpload> {
        let read_checkpoint = |json: io::Result<Option<Vec<u8>>>| match json {
            // A run that ends at this moment takes it away.
            Ok(None) => None,
            Ok(Some(json)) => Some(Checkpoint::from_json(&json).map_err(|cause| cause.to_string())),
            Err(cause) => Some(Err(cause.to_string())),
        };
        let checkpoint = read_checkpoint(read(&self.path_of(&key, "checkpoint")))?;
        let entry = self.path_of(&key, "upload");
        let file = read(&entry).ok().flatten().and_then(|json| entry::file_of(&json));
        let is_running = lock::is_held(&entry).unwrap_or(false);
        Some(FoundUpload { key, file, checkpoint, is_running })
    }

    fn path_of(&self, key: &Key, extension: &str) -> PathBuf {
        self.path.join(format!("{}.{extension}", key.name()))
    }

    fn checkpoint_file(&self, key: &Key) -> CheckpointFile {
        CheckpointFile::at(self.path_of(key, "checkpoint"))
    }

    fn unusable(&self, source: io::Error) -> CheckpointDirError {
        let path = self.path.clone();
        match source.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                CheckpointDirError::NotADirectory { path }
            }
            _ => CheckpointDirError::Unusable { path, source },
        }
    }
}

/// Returns `true` if the checkpoint is of this file, as far as can be told without reading the file.
pub(crate) fn is_of_file(saved: &Checkpoint, file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| saved.source().difference(&SourceStamp::of(&found)).is_none())
}

/// The checkpoint at `path`, if there is one that can be read.
fn saved_at(path: &Path) -> Option<Checkpoint> {
    Checkpoint::from_json(&read(path).ok()??).ok()
}

/// The file's content; `None` when there is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// What one uploads is nobody else's business.
fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests;
