//! One upload that this run is at work on.

use std::{
    io::{self, Seek as _, Write as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use partwise_protocol::Checkpoint;
use partwise_transport_hyper::{CheckpointFile, CheckpointStore};
use serde::{Deserialize, Serialize};

use super::lock::Locked;

/// What stands in the locked file.
#[derive(Serialize, Deserialize)]
struct Content {
    file: String,
}

/// An upload that no other run can work on while this is alive. When it is dropped and there is no checkpoint, nothing of
/// it stays.
#[derive(Debug)]
pub(crate) struct Entry {
    locked: Locked,
    checkpoint: CheckpointFile,
    is_over: Arc<AtomicBool>,
}

/// Where the upload keeps its checkpoints.
///
/// The last one stays when the upload is over, until [`Entry::close`]: a run that is killed before anybody was told of
/// the file would otherwise have the next one make a second file.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    file: CheckpointFile,
    is_over: Arc<AtomicBool>,
}

impl CheckpointStore for Checkpoints {
    type Error = io::Error;

    async fn save(&self, checkpoint: Checkpoint) -> io::Result<()> {
        self.file.save(checkpoint).await
    }

    async fn remove(&self) -> io::Result<()> {
        self.is_over.store(true, SeqCst);
        Ok(())
    }
}

impl Entry {
    pub(super) fn new(mut locked: Locked, checkpoint: CheckpointFile, file: &Path) -> io::Result<Self> {
        let content = serde_json::to_vec(&Content { file: file.to_string_lossy().into_owned() })?;
        locked.file.set_len(0)?;
        locked.file.rewind()?;
        locked.file.write_all(&content)?;
        Ok(Self::of_earlier_run(locked, checkpoint))
    }

    pub(super) fn of_earlier_run(locked: Locked, checkpoint: CheckpointFile) -> Self {
        Self { locked, checkpoint, is_over: Arc::default() }
    }

    /// Where checkpoints are kept.
    pub(crate) fn checkpoints(&self) -> Checkpoints {
        Checkpoints { file: self.checkpoint.clone(), is_over: self.is_over.clone() }
    }

    /// The checkpoint of an earlier run, if there is one.
    pub(crate) fn load(&self) -> io::Result<Option<Checkpoint>> {
        self.checkpoint.load()
    }

    /// Forgets an upload that is over; any other is remembered.
    pub(crate) async fn close(&self) {
        if !self.is_over.load(SeqCst) {
            return;
        }
        if let Err(cause) = self.forget().await {
            // The next run of the same upload finds that it is over.
            let cause: &dyn std::error::Error = &cause;
            tracing::warn!(cause, "a checkpoint that is of no use any more cannot be removed");
        }
    }

    /// Forgets how far it was.
    pub(crate) async fn forget(&self) -> io::Result<()> {
        self.checkpoint.remove().await
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.checkpoint.path().exists() {
            // One that stays does no harm: the next run of the same upload takes it over.
            let _ = self.locked.remove();
        }
    }
}

/// The file that an entry says it is of.
pub(super) fn file_of(json: &[u8]) -> Option<String> {
    serde_json::from_slice(json).ok().map(|content: Content| content.file)
}
