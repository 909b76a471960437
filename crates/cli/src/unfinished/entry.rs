//! One upload that this run is at work on.

use std::{
    io::{self, Seek as _, Write as _},
    path::Path,
};

use partwise_protocol::Checkpoint;
use partwise_transport_hyper::{CheckpointFile, CheckpointStore as _};
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
}

impl Entry {
    pub(super) fn new(mut locked: Locked, checkpoint: CheckpointFile, file: &Path) -> io::Result<Self> {
        let content = serde_json::to_vec(&Content { file: file.to_string_lossy().into_owned() })?;
        locked.file.set_len(0)?;
        locked.file.rewind()?;
        locked.file.write_all(&content)?;
        Ok(Self { locked, checkpoint })
    }

    pub(super) fn of_earlier_run(locked: Locked, checkpoint: CheckpointFile) -> Self {
        Self { locked, checkpoint }
    }

    /// Where checkpoints are kept.
    pub(crate) fn checkpoint(&self) -> CheckpointFile {
        self.checkpoint.clone()
    }

    /// The checkpoint of an earlier run, if there is one.
    pub(crate) fn load(&self) -> io::Result<Option<Checkpoint>> {
        self.checkpoint.load()
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
