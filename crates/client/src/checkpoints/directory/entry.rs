//! One unfinished upload that this process is at work on.

use std::{
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use partwise_net::blocking::Blocking;
use partwise_protocol::upload::Checkpoint;
use serde::{Deserialize, Serialize};

use crate::{CheckpointFile, CheckpointStore, lock::Locked};

/// What stands in the locked file.
#[derive(Serialize, Deserialize)]
struct EntryRecord {
    file: String,
}

/// An unfinished upload of a [`CheckpointDir`](super::CheckpointDir) that no other run can work on while this is alive, or a
/// [store](Self::store) of it, or a checkpoint is being saved. When it is dropped and there is no checkpoint, nothing of it stays.
/// [`UploadBuilder::resume_in`](crate::UploadBuilder::resume_in) does all this by itself.
///
/// ```no_run
/// use std::path::Path;
///
/// use partwise::{CheckpointDir, Client, FileSource, Purpose, UploadSubject, protocol::upload::Plan};
///
/// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new("train.jsonl");
/// let mut plan = Plan::new("train.jsonl", "application/jsonl", Purpose::FineTune);
/// plan.restart_when_expired = true;
/// let unfinished = CheckpointDir::default()?.enter(&UploadSubject::of_file(path, &plan, &client)?).await?;
/// let upload = client.upload_as(plan, FileSource::open(path)?);
/// let upload = match unfinished.load()? {
///     Some(saved) => {
///         // `ResumeError::SourceChanged` is the caller's to decide about.
///         let resumed = upload.resume(saved).prepare().await?;
///         unfinished.take_over();
///         resumed
///     }
///     None => upload.prepare().await?,
/// };
/// let file = upload.save_to(unfinished.store()).run().await;
/// unfinished.close().await;
/// println!("{}", file?.id);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UnfinishedUpload {
    held: Arc<HeldEntry>,
    checkpoint: UnfinishedCheckpoint,
}

/// The lock of an entry, which a save that outlives its run shares.
#[derive(Debug)]
struct HeldEntry {
    locked: Locked,
    checkpoint: PathBuf,
}

impl Drop for HeldEntry {
    fn drop(&mut self) {
        if !self.checkpoint.exists() {
            // One that stays does no harm: the next run of the same upload takes it over.
            let _ = self.locked.remove();
        }
    }
}

impl UnfinishedUpload {
    pub(super) fn new(mut locked: Locked, checkpoint: CheckpointFile, file: &Path) -> io::Result<Self> {
        let content = serde_json::to_vec(&EntryRecord { file: file.to_string_lossy().into_owned() })?;
        let mut before = Vec::new();
        locked.file.read_to_end(&mut before)?;
        if before != content {
            locked.file.set_len(0)?;
            locked.file.rewind()?;
            locked.file.write_all(&content)?;
        }
        Ok(Self::of_earlier_run(locked, checkpoint))
    }

    pub(super) fn of_earlier_run(locked: Locked, checkpoint: CheckpointFile) -> Self {
        let held = Arc::new(HeldEntry { locked, checkpoint: checkpoint.path().to_owned() });
        let file = checkpoint.holding(held.clone());
        Self { held, checkpoint: UnfinishedCheckpoint { file, state: Arc::default() } }
    }

    /// Removes what a crash has left half written: under the lock nobody else writes here, and the upload may go on for long.
    pub(super) async fn remove_left_over(&self) {
        let file = self.checkpoint.file.clone();
        // What it cannot do does no harm.
        let removing = move || {
            file.remove_left_over();
            Ok(())
        };
        let _ = Blocking::start(removing).await;
    }

    /// The store of this run's checkpoints.
    #[must_use]
    pub fn store(&self) -> UnfinishedCheckpoint {
        self.checkpoint.clone()
    }

    /// The last checkpoint, if there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load(&self) -> io::Result<Option<Checkpoint>> {
        self.checkpoint.file.load()
    }

    /// Says that this run resumes from the checkpoint of the earlier one, which is its own from now on.
    pub fn take_over(&self) {
        self.checkpoint.state.is_ours.store(true, Relaxed);
    }

    /// Forgets how far it was.
    ///
    /// # Errors
    /// When the checkpoint cannot be removed.
    pub async fn forget(&self) -> io::Result<()> {
        self.checkpoint.file.remove().await
    }

    /// Forgets an upload that is over; any other is remembered, and so is what an earlier run left as long as this one has
    /// not come so far as to take its place.
    pub async fn close(&self) {
        let state = &self.checkpoint.state;
        if !state.is_over.load(Relaxed) || !state.is_ours.load(Relaxed) {
            return;
        }
        if let Err(cause) = self.forget().await {
            // The next run of the same upload finds that it is over.
            let cause: &dyn std::error::Error = &cause;
            tracing::warn!(cause, "a checkpoint that is of no use any more cannot be removed");
        }
    }
}

/// The checkpoints of one run. The last one outlives the upload: it is removed when the entry is [closed](UnfinishedUpload::close),
/// so that a caller can tell the result first, and one that nobody heard of is found again. [`UnfinishedUpload`] has an example.
#[derive(Clone, Debug)]
pub struct UnfinishedCheckpoint {
    file: CheckpointFile,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The checkpoint is of no use any more.
    is_over: AtomicBool,
    /// The checkpoint in the file is this run's.
    is_ours: AtomicBool,
}

impl CheckpointStore<Checkpoint> for UnfinishedCheckpoint {
    type Error = io::Error;

    async fn save(&self, checkpoint: Checkpoint) -> io::Result<()> {
        self.file.save(checkpoint).await?;
        self.state.is_ours.store(true, Relaxed);
        Ok(())
    }

    async fn remove(&self) -> io::Result<()> {
        self.state.is_over.store(true, Relaxed);
        Ok(())
    }
}

impl Drop for UnfinishedUpload {
    fn drop(&mut self) {
        self.held.locked.let_go();
    }
}

/// The file that an entry says it is of.
pub(super) fn file_of(json: &[u8]) -> Option<String> {
    serde_json::from_slice(json).ok().map(|record: EntryRecord| record.file)
}
