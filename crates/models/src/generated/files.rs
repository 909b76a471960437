// Written by `cargo xtask codegen` from docs/contract/openapi.yaml; change that file instead of this one.

//! Stored files.

use alloc::string::String;
use alloc::vec::Vec;

use core::fmt;

use serde::de::MapAccess;
use serde::{Deserialize, Deserializer, Serialize};

use crate::lenient::{self, Lenient};
use crate::open_enum::{Unrecognized, open_enum};
use crate::strict::{self, Strict};
use crate::text::Text;
use crate::{Purpose, TypeDiscriminator, UnixSeconds};

/// A stored file, as the service describes it.
///
/// ```
/// use partwise_models::{File, FileState, Purpose, TypeDiscriminator, UnixSeconds};
/// use serde_json::json;
///
/// let file = File::new("file-abc123")
///     .object(TypeDiscriminator::File)
///     .bytes(120_000)
///     .created_at(UnixSeconds(1_719_185_911))
///     .filename("train.jsonl")
///     .purpose(Purpose::FineTune)
///     .status(FileState::Processed);
/// let json = json!({
///     "id": "file-abc123",
///     "object": "file",
///     "bytes": 120000,
///     "created_at": 1719185911,
///     "filename": "train.jsonl",
///     "purpose": "fine-tune",
///     "status": "processed"
/// });
/// assert_eq!(serde_json::to_value(&file)?, json);
/// assert_eq!(serde_json::from_value::<File>(json)?, file);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct File {
    /// Names the file in paths and in other requests. Opaque.
    pub id: String,
    /// Always `file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<TypeDiscriminator>,
    /// The size in bytes. Azure leaves it out, or sends null, while it does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When the file was created. A file made of an upload bears the upload's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<UnixSeconds>,
    /// When the service deletes the file by itself; missing or null when it does not.
    ///
    /// Where: OpenAI, dated Azure from 2025-04-01, Azure v1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixSeconds>,
    /// The name that was sent with the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// What the file is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// How far the service is with the file. OpenAI calls it deprecated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<FileState>,
    /// Why the file cannot be used. OpenAI calls it deprecated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_details: Option<String>,
}

impl File {
    /// Creates one with `id`; the rest is absent.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            object: None,
            bytes: None,
            created_at: None,
            expires_at: None,
            filename: None,
            purpose: None,
            status: None,
            status_details: None,
        }
    }

    /// Sets `object`. Always `file`.
    #[must_use]
    pub fn object(self, object: TypeDiscriminator) -> Self {
        Self { object: Some(object), ..self }
    }

    /// Sets `bytes`. The size in bytes. Azure leaves it out, or sends null, while it does not know.
    #[must_use]
    pub fn bytes(self, bytes: u64) -> Self {
        Self { bytes: Some(bytes), ..self }
    }

    /// Sets `created_at`. When the file was created. A file made of an upload bears the upload's time.
    #[must_use]
    pub fn created_at(self, created_at: UnixSeconds) -> Self {
        Self { created_at: Some(created_at), ..self }
    }

    /// Sets `expires_at`. When the service deletes the file by itself; missing or null when it does not.
    #[must_use]
    pub fn expires_at(self, expires_at: UnixSeconds) -> Self {
        Self { expires_at: Some(expires_at), ..self }
    }

    /// Sets `filename`. The name that was sent with the content.
    #[must_use]
    pub fn filename(self, filename: impl Into<String>) -> Self {
        Self { filename: Some(filename.into()), ..self }
    }

    /// Sets `purpose`. What the file is for.
    #[must_use]
    pub fn purpose(self, purpose: Purpose) -> Self {
        Self { purpose: Some(purpose), ..self }
    }

    /// Sets `status`. How far the service is with the file. OpenAI calls it deprecated.
    #[must_use]
    pub fn status(self, status: FileState) -> Self {
        Self { status: Some(status), ..self }
    }

    /// Sets `status_details`. Why the file cannot be used. OpenAI calls it deprecated.
    #[must_use]
    pub fn status_details(self, status_details: impl Into<String>) -> Self {
        Self { status_details: Some(status_details.into()), ..self }
    }
}

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::required(deserializer, "a File: an object with `id`")
    }
}

impl Lenient for File {
    const MEMBERS: &'static [&'static str] = &[
        "id",
        "object",
        "bytes",
        "created_at",
        "expires_at",
        "filename",
        "purpose",
        "status",
        "status_details",
    ];

    fn from_object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Option<Self>, A::Error> {
        let mut id = None;
        let mut object = None;
        let mut bytes = None;
        let mut created_at = None;
        let mut expires_at = None;
        let mut filename = None;
        let mut purpose = None;
        let mut status = None;
        let mut status_details = None;
        while let Some(Text(name)) = members.next_key()? {
            match &*name {
                "id" => lenient::member(&mut members, &mut id)?,
                "object" => lenient::member(&mut members, &mut object)?,
                "bytes" => lenient::member(&mut members, &mut bytes)?,
                "created_at" => lenient::member(&mut members, &mut created_at)?,
                "expires_at" => lenient::member(&mut members, &mut expires_at)?,
                "filename" => lenient::member(&mut members, &mut filename)?,
                "purpose" => lenient::member(&mut members, &mut purpose)?,
                "status" => lenient::member(&mut members, &mut status)?,
                "status_details" => lenient::member(&mut members, &mut status_details)?,
                _ => lenient::skip(&mut members)?,
            }
        }
        let Some(id) = id else { return Ok(None) };
        Ok(Some(Self {
            id,
            object,
            bytes,
            created_at,
            expires_at,
            filename,
            purpose,
            status,
            status_details,
        }))
    }
}

/// How far the service is with a file.
///
/// ```
/// use partwise_models::FileState;
///
/// assert_eq!(FileState::from("uploaded"), FileState::Uploaded);
/// assert_eq!(FileState::Uploaded.as_str(), "uploaded");
///
/// let unknown = FileState::from("from_the_future");
/// assert!(matches!(unknown, FileState::Other(_)));
/// assert_eq!(unknown.as_str(), "from_the_future");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileState {
    /// `uploaded`: Stored, not looked at yet.
    Uploaded,
    /// `pending`: Waiting to be looked at.
    ///
    /// Where: dated Azure, Azure v1.
    Pending,
    /// `running`: Being looked at.
    ///
    /// Where: dated Azure, Azure v1.
    Running,
    /// `processed`: Ready for use. Final.
    Processed,
    /// `error`: Not fit for use; the details say why. Final.
    Error,
    /// `deleting`: On its way out.
    ///
    /// Where: dated Azure, Azure v1.
    Deleting,
    /// `deleted`: Gone, though something else may still name it. Final.
    ///
    /// Where: dated Azure, Azure v1.
    Deleted,
    /// A value that this release does not know, as it came.
    Other(Unrecognized),
}

impl FileState {
    /// All values that this release knows.
    pub const KNOWN: &'static [Self] = &[
        Self::Uploaded,
        Self::Pending,
        Self::Running,
        Self::Processed,
        Self::Error,
        Self::Deleting,
        Self::Deleted,
    ];

    /// The value as it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Uploaded => "uploaded",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Processed => "processed",
            Self::Error => "error",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
            Self::Other(value) => value.as_str(),
        }
    }

    fn known(text: &str) -> Option<Self> {
        Some(match text {
            "uploaded" => Self::Uploaded,
            "pending" => Self::Pending,
            "running" => Self::Running,
            "processed" => Self::Processed,
            "error" => Self::Error,
            "deleting" => Self::Deleting,
            "deleted" => Self::Deleted,
            _ => return None,
        })
    }
}

open_enum!(FileState, "a string");

impl Lenient for FileState {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

/// A page of files, or all of them where the service does not page.
///
/// ```
/// use partwise_models::{File, FileList, TypeDiscriminator};
/// use serde_json::json;
///
/// let files = FileList::new(vec![File::new("file-abc123").filename("train.jsonl")])
///     .object(TypeDiscriminator::List)
///     .first_id("file-abc123")
///     .last_id("file-abc123")
///     .has_more(false);
/// let json = json!({
///     "object": "list",
///     "data": [{"id": "file-abc123", "filename": "train.jsonl"}],
///     "first_id": "file-abc123",
///     "last_id": "file-abc123",
///     "has_more": false
/// });
/// assert_eq!(serde_json::to_value(&files)?, json);
/// assert_eq!(serde_json::from_value::<FileList>(json)?, files);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FileList {
    /// Always `list`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<TypeDiscriminator>,
    /// The files.
    pub data: Vec<File>,
    /// The id of the first file of this page.
    ///
    /// Where: OpenAI, dated Azure from 2025-04-01, Azure v1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_id: Option<String>,
    /// The id of the last file of this page; the next page comes after it.
    ///
    /// Where: OpenAI, dated Azure from 2025-04-01, Azure v1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_id: Option<String>,
    /// Whether another page follows.
    ///
    /// Where: OpenAI, dated Azure from 2025-04-01, Azure v1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_more: Option<bool>,
}

impl FileList {
    /// Creates one with `data`; the rest is absent.
    pub fn new(data: Vec<File>) -> Self {
        Self { object: None, data, first_id: None, last_id: None, has_more: None }
    }

    /// Sets `object`. Always `list`.
    #[must_use]
    pub fn object(self, object: TypeDiscriminator) -> Self {
        Self { object: Some(object), ..self }
    }

    /// Sets `first_id`. The id of the first file of this page.
    #[must_use]
    pub fn first_id(self, first_id: impl Into<String>) -> Self {
        Self { first_id: Some(first_id.into()), ..self }
    }

    /// Sets `last_id`. The id of the last file of this page; the next page comes after it.
    #[must_use]
    pub fn last_id(self, last_id: impl Into<String>) -> Self {
        Self { last_id: Some(last_id.into()), ..self }
    }

    /// Sets `has_more`. Whether another page follows.
    #[must_use]
    pub fn has_more(self, has_more: bool) -> Self {
        Self { has_more: Some(has_more), ..self }
    }
}

impl<'de> Deserialize<'de> for FileList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::required(deserializer, "a FileList: an object with `data`")
    }
}

impl Lenient for FileList {
    const MEMBERS: &'static [&'static str] = &["object", "data", "first_id", "last_id", "has_more"];

    fn from_object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Option<Self>, A::Error> {
        let mut object = None;
        let mut data = None;
        let mut first_id = None;
        let mut last_id = None;
        let mut has_more = None;
        while let Some(Text(name)) = members.next_key()? {
            match &*name {
                "object" => lenient::member(&mut members, &mut object)?,
                "data" => lenient::member(&mut members, &mut data)?,
                "first_id" => lenient::member(&mut members, &mut first_id)?,
                "last_id" => lenient::member(&mut members, &mut last_id)?,
                "has_more" => lenient::member(&mut members, &mut has_more)?,
                _ => lenient::skip(&mut members)?,
            }
        }
        let Some(data) = data else { return Ok(None) };
        Ok(Some(Self { object, data, first_id, last_id, has_more }))
    }
}

/// What became of a file that was to be deleted.
///
/// ```
/// use partwise_models::{DeletedFile, TypeDiscriminator};
/// use serde_json::json;
///
/// let file = DeletedFile::new("file-abc123").object(TypeDiscriminator::File).deleted(true);
/// let json = json!({"id": "file-abc123", "object": "file", "deleted": true});
/// assert_eq!(serde_json::to_value(&file)?, json);
/// assert_eq!(serde_json::from_value::<DeletedFile>(json)?, file);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeletedFile {
    /// The id of the file.
    pub id: String,
    /// Always `file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<TypeDiscriminator>,
    /// Whether this request deleted the file; Azure says false of one that was gone before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
}

impl DeletedFile {
    /// Creates one with `id`; the rest is absent.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), object: None, deleted: None }
    }

    /// Sets `object`. Always `file`.
    #[must_use]
    pub fn object(self, object: TypeDiscriminator) -> Self {
        Self { object: Some(object), ..self }
    }

    /// Sets `deleted`. Whether this request deleted the file; Azure says false of one that was gone before.
    #[must_use]
    pub fn deleted(self, deleted: bool) -> Self {
        Self { deleted: Some(deleted), ..self }
    }
}

impl<'de> Deserialize<'de> for DeletedFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::required(deserializer, "a DeletedFile: an object with `id`")
    }
}

impl Lenient for DeletedFile {
    const MEMBERS: &'static [&'static str] = &["id", "object", "deleted"];

    fn from_object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Option<Self>, A::Error> {
        let mut id = None;
        let mut object = None;
        let mut deleted = None;
        while let Some(Text(name)) = members.next_key()? {
            match &*name {
                "id" => lenient::member(&mut members, &mut id)?,
                "object" => lenient::member(&mut members, &mut object)?,
                "deleted" => lenient::member(&mut members, &mut deleted)?,
                _ => lenient::skip(&mut members)?,
            }
        }
        let Some(id) = id else { return Ok(None) };
        Ok(Some(Self { id, object, deleted }))
    }
}

/// Where the service fetches a file by itself.
///
/// ```
/// use partwise_models::{ImportFileRequest, Purpose};
/// use serde_json::json;
///
/// let request = ImportFileRequest::new(Purpose::Batch, "batch.jsonl", "https://example.com/batch.jsonl");
/// let json = json!({
///     "purpose": "batch",
///     "filename": "batch.jsonl",
///     "content_url": "https://example.com/batch.jsonl"
/// });
/// assert_eq!(serde_json::to_value(&request)?, json);
/// assert_eq!(serde_json::from_value::<ImportFileRequest>(json)?, request);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportFileRequest {
    /// What the file is for.
    pub purpose: Purpose,
    /// The name that the file is to have.
    pub filename: String,
    /// The address of the content, with whatever the service needs to be let in. That is often a secret, so
    /// `Debug` leaves it out.
    pub content_url: String,
}

impl ImportFileRequest {
    /// Creates one with `purpose`, `filename` and `content_url`.
    pub fn new(purpose: Purpose, filename: impl Into<String>, content_url: impl Into<String>) -> Self {
        Self { purpose, filename: filename.into(), content_url: content_url.into() }
    }
}

impl fmt::Debug for ImportFileRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ImportFileRequest")
            .field("purpose", &self.purpose)
            .field("filename", &self.filename)
            .field("content_url", &"…")
            .finish()
    }
}

impl<'de> Deserialize<'de> for ImportFileRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        strict::object(deserializer)
    }
}

impl Strict for ImportFileRequest {
    const DUE: &'static str = "an ImportFileRequest: an object with `purpose`, `filename` and `content_url`";

    const MEMBERS: &'static [&'static str] = &["purpose", "filename", "content_url"];

    fn from_object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
        let mut purpose = None;
        let mut filename = None;
        let mut content_url = None;
        while let Some(Text(name)) = members.next_key()? {
            match &*name {
                "purpose" => strict::member(&mut members, "purpose", &mut purpose)?,
                "filename" => strict::member(&mut members, "filename", &mut filename)?,
                "content_url" => strict::member(&mut members, "content_url", &mut content_url)?,
                _ => lenient::skip(&mut members)?,
            }
        }
        Ok(Self {
            purpose: strict::required(purpose, "purpose")?,
            filename: strict::required(filename, "filename")?,
            content_url: strict::required(content_url, "content_url")?,
        })
    }
}
