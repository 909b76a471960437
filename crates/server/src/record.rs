//! The records: small JSON objects, each written once and never changed.
//!
//! Creation time, purpose and expiry are in the identifiers that the records are named by.

use partwise_models::{UnixSeconds, UploadStatus};
use serde::{Deserialize, Serialize};

use crate::layout::BlobName;

/// The store's format, so that a later release knows what it opens, and which store it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    pub(crate) format: u32,
    /// Drawn at random when the store was made. Stores of earlier releases have none, and those releases ignore it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
}

impl Marker {
    /// The format that this release reads and writes.
    pub(crate) const FORMAT: u32 = 1;

    /// The marker of a store of this release.
    pub(crate) fn new(id: u128) -> Self {
        Self { format: Self::FORMAT, id: Some(format!("{id:032x}")) }
    }
}

/// A file: its name and where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    pub(crate) filename: String,
    pub(crate) bytes: u64,
    /// In the order of the file.
    pub(crate) content: Vec<Piece>,
}

/// A whole blob as a stretch of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) blob: BlobName,
    pub(crate) bytes: u64,
}

/// That a file is deleted, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tombstone {
    pub(crate) at: UnixSeconds,
}

/// What the client said when it began an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    pub(crate) filename: String,
    pub(crate) bytes: u64,
    pub(crate) mime_type: String,
    pub(crate) expires_at: UnixSeconds,
}

/// That a part is stored whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    pub(crate) bytes: u64,
}

/// How an upload ended. There is at most one, and the request that creates it decides: it is the commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FinalRecord {
    pub(crate) at: UnixSeconds,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The file has the digits of the upload.
    Completed {
        file: FileRecord,
        /// The MD5 of the file, in lower-case hex digits, where the client named it: it was compared then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        md5: Option<String>,
    },
    Cancelled,
    Expired,
}

impl Outcome {
    pub(crate) fn status(&self) -> UploadStatus {
        match self {
            Self::Completed { .. } => UploadStatus::Completed,
            Self::Cancelled => UploadStatus::Cancelled,
            Self::Expired => UploadStatus::Expired,
        }
    }
}
