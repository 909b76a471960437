//! The head of an answer with content.

use super::ContentRange;

/// The description of the bytes that follow an answer's head.
///
/// ```
/// use bytes::Bytes;
/// use partwise_protocol::{
///     Api, Operation,
///     operations::{DownloadFile, DownloadHead},
/// };
///
/// // A service answers with it, and a client reads it.
/// let head = DownloadHead::default().length(140).filename("a.jsonl");
/// let answer = DownloadFile::encode_response(&head, &Api::openai())?;
/// assert_eq!(DownloadFile::decode_response(answer.map(|_| Bytes::new()))?, head);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadHead {
    /// The number of bytes that follow, when the service says.
    pub length: Option<u64>,
    /// Which bytes follow, when it is not all of them.
    pub range: Option<ContentRange>,
    /// The file's name. A label, never to be used as a path.
    pub filename: Option<String>,
    /// Changes whenever the content does, as it stood in the header.
    pub etag: Option<String>,
    /// When the content last changed, as it stood in the header.
    pub last_modified: Option<String>,
    /// The `Content-Type`, where it says more than `application/octet-stream`, which is any sequence of bytes.
    pub content_type: Option<String>,
}

impl DownloadHead {
    /// Sets [`length`](#structfield.length), in bytes.
    #[must_use]
    pub fn length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }

    /// Sets [`range`](#structfield.range).
    #[must_use]
    pub fn range(mut self, range: ContentRange) -> Self {
        self.range = Some(range);
        self
    }

    /// Sets [`filename`](#structfield.filename).
    #[must_use]
    pub fn filename(mut self, filename: impl Into<String>) -> Self {
        self.filename = Some(filename.into());
        self
    }

    /// Sets [`etag`](#structfield.etag).
    #[must_use]
    pub fn etag(mut self, etag: impl Into<String>) -> Self {
        self.etag = Some(etag.into());
        self
    }

    /// Sets [`last_modified`](#structfield.last_modified).
    #[must_use]
    pub fn last_modified(mut self, last_modified: impl Into<String>) -> Self {
        self.last_modified = Some(last_modified.into());
        self
    }

    /// Sets [`content_type`](#structfield.content_type).
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }
}
