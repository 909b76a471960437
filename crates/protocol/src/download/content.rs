//! What tells one content from another.

use serde::{Deserialize, Serialize};

use crate::operations::DownloadHead;

/// What is known of the content that is downloaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RemoteContent {
    pub(super) length: u64,
    etag: Option<String>,
    last_modified: Option<String>,
}

impl RemoteContent {
    pub(super) fn new(length: u64, head: &DownloadHead) -> Self {
        Self { length, etag: head.etag.clone(), last_modified: head.last_modified.clone() }
    }

    /// What a range may be tied to: no weak tag, which other bytes may have too.
    pub(super) fn strong_etag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| etag.starts_with('"'))
    }

    /// Keeps what an answer says of the same content and nothing had said before.
    pub(super) fn learn(&mut self, head: &DownloadHead) {
        self.etag = self.etag.take().or_else(|| head.etag.clone());
        self.last_modified = self.last_modified.take().or_else(|| head.last_modified.clone());
    }

    /// In words, what this content and the one of an answer differ in; `length` is that one's, when the answer says. What
    /// only one of them has is no difference.
    pub(super) fn difference(&self, length: Option<u64>, head: &DownloadHead) -> Option<String> {
        if let Some(length) = length.filter(|length| *length != self.length) {
            return Some(format!("it had {} bytes and has {length}", self.length));
        }
        let differ = |one: &Option<String>, other: &Option<String>| match (one, other) {
            (Some(one), Some(other)) => one != other,
            _ => false,
        };
        if differ(&self.etag, &head.etag) {
            return Some("its ETag is another".into());
        }
        differ(&self.last_modified, &head.last_modified).then(|| "it was modified".into())
    }
}
