//! An upload whose content was not read yet, and what an earlier run has left of it.

use std::{
    io,
    path::{Path, PathBuf},
};

use partwise_protocol::upload::{Checkpoint, Plan, UploadError};

use crate::{CheckpointDir, Client, Error, UploadSubject, checkpoints::is_of_file};

/// An upload while its content is read and its checkpoint is waited for: it knows what the same upload would resume from.
pub(super) struct UnreadUpload {
    pub(super) client: Client,
    pub(super) plan: Plan,
    /// The path of the content, if it is a file's.
    pub(super) path: Option<PathBuf>,
    pub(super) checkpoint: UnreadCheckpoint,
}

/// Where the checkpoint of an earlier run is.
pub(super) enum UnreadCheckpoint {
    /// Nowhere, or it is not resumed from.
    None,
    /// The caller has given it.
    Given(Box<Checkpoint>),
    /// In this directory, if there is one.
    In(CheckpointDir),
}

impl UnreadUpload {
    /// The error of an upload that is stopped now.
    pub(super) fn stopped(&self) -> Error {
        let stopped = Error::from(UploadError::Stopped { cause: None });
        stopped.with_checkpoint(self.saved().is_some())
    }

    /// The error of an upload that is cancelled now. What an earlier run began stays on the service.
    pub(super) fn cancelled(&self) -> Error {
        let saved = self.saved();
        let file_possible = saved.as_ref().is_some_and(Checkpoint::may_have_made_a_file);
        // A single request leaves no open upload on the service.
        let confirmed = saved.as_ref().is_none_or(|saved| saved.upload_id().is_none());
        let cancelled = UploadError::Cancelled { confirmed, file_possible };
        Error::from(cancelled).with_checkpoint(saved.is_some())
    }

    /// The checkpoint that the same upload would resume from, as far as that can be told: whether content without a path is the same, its
    /// reading would have shown.
    fn saved(&self) -> Option<Checkpoint> {
        let saved = match &self.checkpoint {
            UnreadCheckpoint::None => None,
            UnreadCheckpoint::Given(saved) => Some((**saved).clone()),
            UnreadCheckpoint::In(directory) => {
                let subject = subject(self.path.as_deref(), &self.plan, &self.client).ok()?;
                directory.saved_of(&subject)
            }
        };
        let is_same = |saved: &Checkpoint| self.path.as_deref().is_none_or(|path| is_of_file(saved, path));
        saved.filter(|saved| saved.is_of(self.client.api()) && is_same(saved))
    }
}

/// What is uploaded where: the file at `path`, or else what the plan's name stands for.
pub(super) fn subject(path: Option<&Path>, plan: &Plan, client: &Client) -> io::Result<UploadSubject> {
    match path {
        Some(path) => UploadSubject::of_file(path, plan, client),
        None => Ok(UploadSubject::of_name(plan, client)),
    }
}
