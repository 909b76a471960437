//! What the machine knows of the caller's file: never its bytes, only whether it is still the same.

use serde::{Deserialize, Serialize};

/// What a source looked like at one moment; two equal stamps mean the same content, as far as can be told without
/// reading it.
///
/// ```
/// use partwise_protocol::upload::SourceStamp;
///
/// let before = SourceStamp::new(100);
/// let mut later = before.clone();
/// assert_eq!(before.difference(&later), None);
/// later.length = 120;
/// assert_eq!(before.difference(&later).unwrap(), "its length was 100 bytes and is 120");
/// ```
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

    /// The stamp of a file: its length, the time of the last modification, and on Unix the time of the last change of anything
    /// (ctime) and the inode; a device's number may be another after the next start of the system. Elsewhere a file has no
    /// identity that can be had without the system's own interfaces, so there another file of the same length and time
    /// passes for the same.
    #[must_use]
    pub fn of(file: &std::fs::Metadata) -> Self {
        Self {
            length: file.len(),
            modified: modified(file),
            changed: changed(file),
            identity: identity(file),
        }
    }

    /// What shows that a later stamp is of other content, or keeps it from being compared, in words; `None` when nothing does.
    ///
    /// Stamps are not comparable when one alone has a time or an identity, as of bytes of which an earlier release recorded no digest.
    #[must_use]
    pub fn difference(&self, later: &Self) -> Option<String> {
        if self.length != later.length {
            return Some(format!("its length was {} bytes and is {}", self.length, later.length));
        }
        let recorded = |stamp: &Self| (stamp.modified.is_some(), stamp.identity.is_some());
        let words = if recorded(self) == (false, false) && recorded(later) != (false, false) {
            "only its length was recorded, so it cannot be told whether its content is the same"
        } else if recorded(self) != recorded(later) {
            "it was recorded in another way, so it cannot be told whether its content is the same"
        } else if self.modified != later.modified {
            "it was modified"
        } else if self.identity == later.identity {
            return None;
        } else if self.modified.is_some() {
            "another file stands in its place"
        } else {
            // What has no time is no file: its identity is a digest, or the like.
            "its content differs"
        };
        Some(words.to_owned())
    }

    /// Whether a later stamp leaves it open whether the content is the same: nothing differs but the time of the last
    /// change.
    #[must_use]
    pub fn leaves_open(&self, later: &Self) -> bool {
        let differs = matches!((&self.changed, &later.changed), (Some(was), Some(is)) if was != is);
        differs && self.difference(later).is_none()
    }

    /// Sets [`modified`](#structfield.modified).
    #[must_use]
    pub fn modified(mut self, modified: impl Into<String>) -> Self {
        self.modified = Some(modified.into());
        self
    }

    /// Sets [`changed`](#structfield.changed).
    #[must_use]
    pub fn changed(mut self, changed: impl Into<String>) -> Self {
        self.changed = Some(changed.into());
        self
    }

    /// Sets [`identity`](#structfield.identity).
    #[must_use]
    pub fn identity(mut self, identity: impl Into<String>) -> Self {
        self.identity = Some(identity.into());
        self
    }
}

/// Seconds and nanoseconds since 1970, negative before.
fn modified(metadata: &std::fs::Metadata) -> Option<String> {
    let time = metadata.modified().ok()?;
    Some(match time.duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => format!("{}.{:09}", since.as_secs(), since.subsec_nanos()),
        Err(before) => format!("-{}.{:09}", before.duration().as_secs(), before.duration().subsec_nanos()),
    })
}

/// Seconds and nanoseconds since 1970.
#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
fn changed(metadata: &std::fs::Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    Some(format!("{}.{:09}", metadata.ctime(), metadata.ctime_nsec()))
}

#[cfg(not(unix))]
fn changed(_: &std::fs::Metadata) -> Option<String> {
    None
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
fn identity(metadata: &std::fs::Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    Some(metadata.ino().to_string())
}

#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_by_what_both_stamps_have() {
        let bytes = |digest: &str| SourceStamp::new(4).identity(digest);
        let file = |time: &str, inode: &str| SourceStamp::new(4).modified(time).identity(inode);
        let told = |before: &SourceStamp, later: &SourceStamp| before.difference(later).unwrap();
        assert_eq!(told(&bytes("xxh3:1"), &bytes("xxh3:2")), "its content differs");
        assert_eq!(told(&file("1.0", "12"), &file("1.0", "13")), "another file stands in its place");
        assert_eq!(told(&file("1.0", "12"), &file("2.0", "13")), "it was modified");
        assert_eq!(told(&bytes("xxh3:1"), &SourceStamp::new(5)), "its length was 4 bytes and is 5");
        for same in [bytes("xxh3:1"), file("1.0", "12"), SourceStamp::new(4)] {
            assert_eq!(same.difference(&same), None);
        }
    }

    #[test]
    fn stamps_that_record_other_things_of_a_source_are_not_compared() {
        let (bare, digest) = (SourceStamp::new(4), SourceStamp::new(4).identity("xxh3:1"));
        let spooled = SourceStamp::new(4).modified("1.0").changed("1.0").identity("12");
        for (before, later, how) in [
            (&bare, &digest, "only its length was recorded"),
            (&bare, &spooled, "only its length was recorded"),
            (&spooled, &digest, "it was recorded in another way"),
            (&digest, &bare, "it was recorded in another way"),
        ] {
            let told = before.difference(later).unwrap();
            assert_eq!(told, format!("{how}, so it cannot be told whether its content is the same"));
        }
    }
}
