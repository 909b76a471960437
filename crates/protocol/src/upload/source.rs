//! What the machine knows of the caller's file: never its bytes, only whether it is still the same.

use serde::{Deserialize, Serialize};

/// What a source looked like at one moment; two equal stamps mean the same content, as far as can be told without
/// reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SourceStamp {
    /// The length in bytes.
    pub length: u64,
    /// When the content was last modified, in whatever form the caller writes it; compared, never interpreted. Programs can
    /// set this time, and some put it back after they have rewritten a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
    /// When anything about the file last changed, in whatever form the caller writes it: a time that no program can set,
    /// such as the ctime of Unix. It changes with the content, and with permissions, names and links too; so another one
    /// alone is no proof of other content, and the content has to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
    /// Which file it is (an inode, an entity tag), in whatever form the caller writes it; compared, never interpreted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

impl SourceStamp {
    /// A stamp of a source of this length that has neither a time nor an identity, such as bytes in memory.
    #[must_use]
    pub fn new(length: u64) -> Self {
        Self { length, modified: None, changed: None, identity: None }
    }

    /// What shows that a later stamp is of other content, in words; `None` when nothing does.
    #[must_use]
    pub fn difference(&self, later: &Self) -> Option<String> {
        if self.length != later.length {
            return Some(format!("its length was {} bytes and is {}", self.length, later.length));
        }
        if self.modified != later.modified {
            return Some("it was modified".to_owned());
        }
        (self.identity != later.identity).then(|| "another file stands in its place".to_owned())
    }

    /// Whether a later stamp leaves it open whether the content is the same: nothing differs but the time of the last
    /// change.
    #[must_use]
    pub fn leaves_open(&self, later: &Self) -> bool {
        let differs = matches!((&self.changed, &later.changed), (Some(was), Some(is)) if was != is);
        differs && self.difference(later).is_none()
    }
}
