//! The answer of `GET /files`, file by file.

use std::mem;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use partwise_models::{File, TypeDiscriminator};
use serde::Serialize;

use super::ListFiles;
use crate::{Api, Operation, error::EncodeError, json::JSON};

/// Writes the answer of [`ListFiles`] file by file, for a service that does not hold its lists in memory. The text is the one of
/// [`ListFiles::encode_response`](Operation::encode_response).
///
/// ```
/// use partwise_models::File;
/// use partwise_protocol::{Api, operations::{FileListEnd, FileListWriter}};
///
/// let mut list = FileListWriter::new(&Api::openai())?;
/// list.push(&File::new("file-1"))?;
/// let begin = list.take();
/// list.push(&File::new("file-2"))?;
/// let mut end = FileListEnd::default();
/// (end.first_id, end.last_id, end.has_more) = (Some("file-1"), Some("file-2"), Some(false));
/// let rest = list.finish(end)?;
/// assert_eq!(begin, r#"{"object":"list","data":[{"id":"file-1"}"#);
/// assert_eq!(rest, r#",{"id":"file-2"}],"first_id":"file-1","last_id":"file-2","has_more":false}"#);
/// # Ok::<(), partwise_protocol::error::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct FileListWriter {
    /// Written and not taken.
    text: Vec<u8>,
    is_paged: bool,
    has_files: bool,
}

/// The members of a list that stand behind its files.
///
/// Where the dialect has pages all three are written: clients iterate for ever over a list that leaves out `has_more`, and read
/// the two identifiers as required. An identifier that is `None` is null there, and a `has_more` that is `None` is false.
/// Where it has none, those are written that are set.
///
/// ```
/// use partwise_protocol::operations::FileListEnd;
///
/// let end = FileListEnd::default().first_id("file-1").last_id("file-9").has_more(true);
/// assert_eq!((end.last_id, end.has_more), (Some("file-9"), Some(true)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileListEnd<'a> {
    /// The identifier of the first file of the list.
    pub first_id: Option<&'a str>,
    /// The identifier of the last one.
    pub last_id: Option<&'a str>,
    /// Set when there are files behind the last one.
    pub has_more: Option<bool>,
}

impl<'a> FileListEnd<'a> {
    /// Sets [`first_id`](#structfield.first_id).
    #[must_use]
    pub fn first_id(mut self, first_id: &'a str) -> Self {
        self.first_id = Some(first_id);
        self
    }

    /// Sets [`last_id`](#structfield.last_id).
    #[must_use]
    pub fn last_id(mut self, last_id: &'a str) -> Self {
        self.last_id = Some(last_id);
        self
    }

    /// Sets [`has_more`](#structfield.has_more).
    #[must_use]
    pub fn has_more(mut self, has_more: bool) -> Self {
        self.has_more = Some(has_more);
        self
    }
}

impl FileListWriter {
    /// Begins the answer to a request of this service.
    ///
    /// # Errors
    /// [`EncodeError::Json`], which no list is known to cause.
    pub fn new(api: &Api) -> Result<Self, EncodeError> {
        Self::with_object(api, &TypeDiscriminator::List)
    }

    pub(super) fn with_object(api: &Api, object: &TypeDiscriminator) -> Result<Self, EncodeError> {
        let mut writer =
            Self { text: Vec::new(), is_paged: ListFiles::has_pages(api.dialect()), has_files: false };
        writer.member("{\"object\":", object)?;
        writer.text.extend_from_slice(b",\"data\":[");
        Ok(writer)
    }

    /// The head of the answer: its status and the type of its content. Its length is not known before
    /// [`finish`](Self::finish).
    #[must_use]
    pub fn head(api: &Api) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = ListFiles::ID.success(api.dialect());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        response
    }

    /// Writes the next file.
    ///
    /// # Errors
    /// [`EncodeError::Json`], which no file is known to cause.
    pub fn push(&mut self, file: &File) -> Result<(), EncodeError> {
        self.member(if self.has_files { "," } else { "" }, file)?;
        self.has_files = true;
        Ok(())
    }

    /// The number of bytes that are written and not taken.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.text.len()
    }

    /// Takes what is written so far.
    pub fn take(&mut self) -> Bytes {
        mem::take(&mut self.text).into()
    }

    /// Ends the list; returns the rest of the text.
    ///
    /// # Errors
    /// [`EncodeError::Json`], which no end is known to cause.
    pub fn finish(mut self, end: FileListEnd<'_>) -> Result<Bytes, EncodeError> {
        self.text.push(b']');
        for (name, id) in [(",\"first_id\":", end.first_id), (",\"last_id\":", end.last_id)] {
            if self.is_paged || id.is_some() {
                self.member(name, &id)?;
            }
        }
        if self.is_paged || end.has_more.is_some() {
            self.member(",\"has_more\":", &end.has_more.unwrap_or(false))?;
        }
        self.text.push(b'}');
        Ok(self.text.into())
    }

    fn member(&mut self, before: &str, value: &impl Serialize) -> Result<(), EncodeError> {
        self.text.extend_from_slice(before.as_bytes());
        serde_json::to_writer(&mut self.text, value).map_err(EncodeError::Json)
    }
}
