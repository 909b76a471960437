//! What must survive a crash.

use serde::{Deserialize, Serialize};

use super::{RemoteContent, coverage::Coverage};
use crate::Api;

const VERSION: u16 = 1;

/// What is known of a download at one moment, enough to go on after a crash. Holds no secret.
///
/// It is JSON through serde, and its form is part of this crate's contract:
///
/// ```json
/// {
///   "version": 1,
///   "place": "https://api.openai.com/v1",
///   "file_id": "file-abc123",
///   "content": {"length": 300, "etag": "\"1a2b\"", "last_modified": null},
///   "written": [[0, 100], [200, 250]]
/// }
/// ```
///
/// `written` has the bytes that were written, each range from its first byte up to and without its last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownloadCheckpoint {
    version: u16,
    place: String,
    file_id: String,
    pub(super) content: RemoteContent,
    pub(super) written: Coverage,
}

/// A checkpoint that cannot be gone on from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadResumeError {
    /// Another release wrote it.
    #[error("it has version {version}, and this release reads version {VERSION}")]
    Version {
        /// The version that it has.
        version: u16,
    },
    /// It is no checkpoint, or half of one.
    #[error("it cannot be read: {problem}")]
    Unreadable {
        /// What is wrong with it.
        problem: String,
    },
    /// It is of another service.
    #[error("it is of a download from {saved}, not from {here}")]
    OtherService {
        /// What the checkpoint's service is known by.
        saved: String,
        /// What this one is known by.
        here: String,
    },
    /// It is of another file.
    #[error("it is of {saved}, not of {wanted}")]
    OtherFile {
        /// The checkpoint's file.
        saved: String,
        /// The file that is wanted.
        wanted: String,
    },
    /// It contradicts itself.
    #[error("it is damaged")]
    Damaged,
    /// What it speaks of is not there.
    #[error("what had come was to have {expected} bytes, and has {found}")]
    OtherLength {
        /// How long the target should be.
        expected: u64,
        /// How long it is.
        found: u64,
    },
}

impl DownloadCheckpoint {
    pub(super) fn new(place: &str, file_id: &str, content: RemoteContent, written: Coverage) -> Self {
        Self { version: VERSION, place: place.to_owned(), file_id: file_id.to_owned(), content, written }
    }

    /// Reads a checkpoint from its JSON.
    ///
    /// # Errors
    /// [`DownloadResumeError::Version`] when another release wrote it, whatever else stands in it;
    /// [`DownloadResumeError::Unreadable`] when it is none.
    pub fn from_json(json: &[u8]) -> Result<Self, DownloadResumeError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u16,
        }
        let unreadable =
            |error: serde_json::Error| DownloadResumeError::Unreadable { problem: error.to_string() };
        match serde_json::from_slice(json).map_err(unreadable)? {
            Versioned { version: VERSION } => serde_json::from_slice(json).map_err(unreadable),
            Versioned { version } => Err(DownloadResumeError::Version { version }),
        }
    }

    /// How many bytes are there, and how many there will be.
    #[must_use]
    pub fn written(&self) -> (u64, u64) {
        (self.written.len(), self.content.length)
    }

    /// Returns `true` if this is a checkpoint of this file of the service that `api` reaches.
    #[must_use]
    pub fn is_of(&self, api: &Api, file_id: &str) -> bool {
        self.place == api.identity() && self.file_id == file_id
    }

    pub(super) fn check(&self, api: &Api, file_id: &str, target: u64) -> Result<(), DownloadResumeError> {
        if self.place != api.identity() {
            let (saved, here) = (self.place.clone(), api.identity().to_owned());
            return Err(DownloadResumeError::OtherService { saved, here });
        }
        if self.file_id != file_id {
            let (saved, wanted) = (self.file_id.clone(), file_id.to_owned());
            return Err(DownloadResumeError::OtherFile { saved, wanted });
        }
        if self.written.end() > self.content.length {
            return Err(DownloadResumeError::Damaged);
        }
        if target != self.content.length {
            return Err(DownloadResumeError::OtherLength { expected: self.content.length, found: target });
        }
        Ok(())
    }
}
