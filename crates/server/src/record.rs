//! The records: small JSON objects, each written once and never changed.
//!
//! Creation time, purpose and expiry are in the identifiers that the records are named by.

use std::borrow::Cow;

use partwise_models::UnixSeconds;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::content::Manifest;

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

    /// The marker that takes the place of one which a power cut tore, by the time when that was written: servers that start
    /// together have to write the same.
    pub(crate) fn replacing_torn(written: UnixSeconds) -> Self {
        Self::new(u128::from(written.0))
    }
}

/// A file: its name and where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    pub(crate) filename: String,
    pub(crate) bytes: u64,
    pub(crate) content: Manifest,
}

/// The writer of a record that decides something, drawn at random for each: a request whose answer from the store was lost knows
/// its own record by it. Those of earlier releases have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nonce(pub(crate) u128);

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = <Cow<'_, str>>::deserialize(deserializer)?;
        u128::from_str_radix(&digits, 16).map(Self).map_err(D::Error::custom)
    }
}

/// That a file is deleted, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tombstone {
    pub(crate) at: UnixSeconds,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<Nonce>,
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
#[serde(try_from = "EndFields<FileRecord>")]
pub(crate) struct FinalRecord {
    pub(crate) at: UnixSeconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<Nonce>,
    #[serde(flatten)]
    pub(crate) outcome: UploadEnd,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(crate) enum UploadEnd {
    /// The file has the digits of the upload.
    Completed {
        file: FileRecord,
        /// The MD5 of the file, in lower-case hex digits, where the client named it: it was compared then.
        #[serde(skip_serializing_if = "Option::is_none")]
        md5: Option<String>,
    },
    Cancelled,
    Expired,
}

/// The end of an upload as it is read, with what is wanted of its file: field by field, since anything else would hold all of
/// it in memory before the first is understood.
#[derive(Debug, Deserialize)]
pub(crate) struct EndFields<F> {
    pub(crate) at: UnixSeconds,
    #[serde(default)]
    pub(crate) by: Option<Nonce>,
    pub(crate) status: EndStatus,
    pub(crate) file: Option<F>,
    pub(crate) md5: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndStatus {
    Completed,
    Cancelled,
    Expired,
}

/// A completed upload's end names no file.
#[derive(Debug, thiserror::Error)]
#[error("missing field `file`")]
pub(crate) struct NoFile;

impl TryFrom<EndFields<FileRecord>> for FinalRecord {
    type Error = NoFile;

    fn try_from(end: EndFields<FileRecord>) -> Result<Self, NoFile> {
        let outcome = match end.status {
            EndStatus::Completed => UploadEnd::Completed { file: end.file.ok_or(NoFile)?, md5: end.md5 },
            EndStatus::Cancelled => UploadEnd::Cancelled,
            EndStatus::Expired => UploadEnd::Expired,
        };
        Ok(Self { at: end.at, by: end.by, outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_written_as_they_always_were_and_read_back() {
        let content = "[{\"blob\":\"0000000007000000000000007\",\"bytes\":3}]";
        let file = format!("{{\"filename\":\"a\",\"bytes\":3,\"content\":{content}}}");
        for text in [
            "{\"at\":7,\"status\":\"cancelled\"}".to_owned(),
            "{\"at\":7,\"status\":\"expired\"}".to_owned(),
            format!("{{\"at\":7,\"by\":\"{:032x}\",\"status\":\"expired\"}}", 5),
            format!("{{\"at\":7,\"status\":\"completed\",\"file\":{file}}}"),
            format!("{{\"at\":7,\"status\":\"completed\",\"file\":{file},\"md5\":\"{}\"}}", "0".repeat(32)),
        ] {
            let end: FinalRecord = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&end).unwrap(), text);
        }
        assert!(serde_json::from_str::<FinalRecord>("{\"at\":7,\"status\":\"completed\"}").is_err());
    }
}
