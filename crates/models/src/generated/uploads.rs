// Written by `cargo xtask codegen` from docs/contract/openapi.yaml; change that file instead of this one.

//! Files on their way in parts.

use alloc::string::String;
use alloc::vec::Vec;

use serde::de::MapAccess;
use serde::{Deserialize, Deserializer, Serialize};

use crate::lenient::{self, Lenient};
use crate::open_enum::{Unrecognized, open_enum};
use crate::strict::{self, Strict};
use crate::text::Text;
use crate::{ExpiresAfter, File, Purpose, TypeDiscriminator, UnixSeconds};

/// A file on its way in parts, as the service describes it.
///
/// ```
/// use partwise_models::{File, Purpose, TypeDiscriminator, UnixSeconds, Upload, UploadStatus};
/// use serde_json::json;
///
/// let upload = Upload::new("upload_abc123")
///     .object(TypeDiscriminator::Upload)
///     .bytes(1_500_000_000)
///     .created_at(UnixSeconds(1_719_184_911))
///     .expires_at(UnixSeconds(1_719_188_511))
///     .filename("train.jsonl")
///     .purpose(Purpose::FineTune)
///     .status(UploadStatus::Completed)
///     .file(File::new("file-abc123").bytes(1_500_000_000));
/// let json = json!({
///     "id": "upload_abc123",
///     "object": "upload",
///     "bytes": 1500000000,
///     "created_at": 1719184911,
///     "expires_at": 1719188511,
///     "filename": "train.jsonl",
///     "purpose": "fine-tune",
///     "status": "completed",
///     "file": {"id": "file-abc123", "bytes": 1500000000}
/// });
/// assert_eq!(serde_json::to_value(&upload)?, json);
/// assert_eq!(serde_json::from_value::<Upload>(json)?, upload);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Upload {
    /// Names the upload in paths. Opaque.
    pub id: String,
    /// Always `upload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<TypeDiscriminator>,
    /// The size of the whole file in bytes, as announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When the upload was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<UnixSeconds>,
    /// Until when the upload can be completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixSeconds>,
    /// The name of the file to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// What the file is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// How far the upload is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<UploadStatus>,
    /// The file that the upload became. Azure's samples show one in every status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
}

impl Upload {
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
            file: None,
        }
    }

    /// Sets `object`. Always `upload`.
    #[must_use]
    pub fn object(self, object: TypeDiscriminator) -> Self {
        Self { object: Some(object), ..self }
    }

    /// Sets `bytes`. The size of the whole file in bytes, as announced.
    #[must_use]
    pub fn bytes(self, bytes: u64) -> Self {
        Self { bytes: Some(bytes), ..self }
    }

    /// Sets `created_at`. When the upload was created.
    #[must_use]
    pub fn created_at(self, created_at: UnixSeconds) -> Self {
        Self { created_at: Some(created_at), ..self }
    }

    /// Sets `expires_at`. Until when the upload can be completed.
    #[must_use]
    pub fn expires_at(self, expires_at: UnixSeconds) -> Self {
        Self { expires_at: Some(expires_at), ..self }
    }

    /// Sets `filename`. The name of the file to be.
    #[must_use]
    pub fn filename(self, filename: impl Into<String>) -> Self {
        Self { filename: Some(filename.into()), ..self }
    }

    /// Sets `purpose`. What the file is for.
    #[must_use]
    pub fn purpose(self, purpose: Purpose) -> Self {
        Self { purpose: Some(purpose), ..self }
    }

    /// Sets `status`. How far the upload is.
    #[must_use]
    pub fn status(self, status: UploadStatus) -> Self {
        Self { status: Some(status), ..self }
    }

    /// Sets `file`. The file that the upload became. Azure's samples show one in every status.
    #[must_use]
    pub fn file(self, file: File) -> Self {
        Self { file: Some(file), ..self }
    }
}

impl<'de> Deserialize<'de> for Upload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::required(deserializer, "an Upload: an object with `id`")
    }
}

impl Lenient for Upload {
    const MEMBERS: &'static [&'static str] =
        &["id", "object", "bytes", "created_at", "expires_at", "filename", "purpose", "status", "file"];

    fn from_object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Option<Self>, A::Error> {
        let mut id = None;
        let mut object = None;
        let mut bytes = None;
        let mut created_at = None;
        let mut expires_at = None;
        let mut filename = None;
        let mut purpose = None;
        let mut status = None;
        let mut file = None;
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
                "file" => lenient::member(&mut members, &mut file)?,
                _ => lenient::skip(&mut members)?,
            }
        }
        let Some(id) = id else { return Ok(None) };
        Ok(Some(Self { id, object, bytes, created_at, expires_at, filename, purpose, status, file }))
    }
}

/// How far an upload is. All but `pending` are final.
///
/// ```
/// use partwise_models::UploadStatus;
///
/// assert_eq!(UploadStatus::from("pending"), UploadStatus::Pending);
/// assert_eq!(UploadStatus::Pending.as_str(), "pending");
///
/// let unknown = UploadStatus::from("from_the_future");
/// assert!(matches!(unknown, UploadStatus::Other(_)));
/// assert_eq!(unknown.as_str(), "from_the_future");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UploadStatus {
    /// `pending`: Takes parts.
    Pending,
    /// `completed`: Has become a file.
    Completed,
    /// `cancelled`: Was given up.
    Cancelled,
    /// `expired`: Was not completed in time.
    Expired,
    /// A value that this release does not know, as it came.
    Other(Unrecognized),
}

impl UploadStatus {
    /// All values that this release knows.
    pub const KNOWN: &'static [Self] = &[Self::Pending, Self::Completed, Self::Cancelled, Self::Expired];

    /// The value as it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Other(value) => value.as_str(),
        }
    }

    fn known(text: &str) -> Option<Self> {
        Some(match text {
            "pending" => Self::Pending,
            "completed" => Self::Completed,
            "cancelled" => Self::Cancelled,
            "expired" => Self::Expired,
            _ => return None,
        })
    }
}

open_enum!(UploadStatus, "a string");

impl Lenient for UploadStatus {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

/// One part of an upload.
///
/// ```
/// use partwise_models::{TypeDiscriminator, UnixSeconds, UploadPartResource};
/// use serde_json::json;
///
/// let part = UploadPartResource::new("part_def456")
///     .object(TypeDiscriminator::UploadPart)
///     .created_at(UnixSeconds(1_719_185_911))
///     .upload_id("upload_abc123");
/// let json = json!({
///     "id": "part_def456",
///     "object": "upload.part",
///     "created_at": 1719185911,
///     "upload_id": "upload_abc123"
/// });
/// assert_eq!(serde_json::to_value(&part)?, json);
/// assert_eq!(serde_json::from_value::<UploadPartResource>(json)?, part);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UploadPartResource {
    /// Names the part when the upload is completed. Opaque.
    pub id: String,
    /// Always `upload.part`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<TypeDiscriminator>,
    /// When the part was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<UnixSeconds>,
    /// The id of the upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<String>,
    /// The part's name in Azure's storage. Azure's sample completes an upload with such names where its text
    /// speaks of part ids; working clients send `id`.
    ///
    /// Where: dated Azure from 2024-08-01.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_block_id: Option<String>,
}

impl UploadPartResource {
    /// Creates one with `id`; the rest is absent.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), object: None, created_at: None, upload_id: None, azure_block_id: None }
    }

    /// Sets `object`. Always `upload.part`.
    #[must_use]
    pub fn object(self, object: TypeDiscriminator) -> Self {
        Self { object: Some(object), ..self }
    }

    /// Sets `created_at`. When the part was stored.
    #[must_use]
    pub fn created_at(self, created_at: UnixSeconds) -> Self {
        Self { created_at: Some(created_at), ..self }
    }

    /// Sets `upload_id`. The id of the upload.
    #[must_use]
    pub fn upload_id(self, upload_id: impl Into<String>) -> Self {
        Self { upload_id: Some(upload_id.into()), ..self }
    }

    /// Sets `azure_block_id`. The part's name in Azure's storage. Azure's sample completes an upload with
    /// such names where its text speaks of part ids; working clients send `id`.
    #[must_use]
    pub fn azure_block_id(self, azure_block_id: impl Into<String>) -> Self {
        Self { azure_block_id: Some(azure_block_id.into()), ..self }
    }
}

impl<'de> Deserialize<'de> for UploadPartResource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::required(deserializer, "an UploadPartResource: an object with `id`")
    }
}

impl Lenient for UploadPartResource {
    const MEMBERS: &'static [&'static str] = &["id", "object", "created_at", "upload_id", "azure_block_id"];

    fn from_object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Option<Self>, A::Error> {
        let mut id = None;
        let mut object = None;
        let mut created_at = None;
        let mut upload_id = None;
        let mut azure_block_id = None;
        while let Some(Text(name)) = members.next_key()? {
            match &*name {
                "id" => lenient::member(&mut members, &mut id)?,
                "object" => lenient::member(&mut members, &mut object)?,
                "created_at" => lenient::member(&mut members, &mut created_at)?,
                "upload_id" => lenient::member(&mut members, &mut upload_id)?,
                "azure_block_id" => lenient::member(&mut members, &mut azure_block_id)?,
                _ => lenient::skip(&mut members)?,
            }
        }
        let Some(id) = id else { return Ok(None) };
        Ok(Some(Self { id, object, created_at, upload_id, azure_block_id }))
    }
}

/// Announces a file that will come in parts.
///
/// ```
/// use partwise_models::{CreateUploadRequest, ExpiresAfter, ExpiryAnchor, Purpose};
/// use serde_json::json;
///
/// let request = CreateUploadRequest::new("train.jsonl", Purpose::FineTune, 1_500_000_000, "application/jsonl")
///     .expires_after(ExpiresAfter::new(ExpiryAnchor::CreatedAt, 86_400));
/// let json = json!({
///     "filename": "train.jsonl",
///     "purpose": "fine-tune",
///     "bytes": 1500000000,
///     "mime_type": "application/jsonl",
///     "expires_after": {"anchor": "created_at", "seconds": 86400}
/// });
/// assert_eq!(serde_json::to_value(&request)?, json);
/// assert_eq!(serde_json::from_value::<CreateUploadRequest>(json)?, request);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CreateUploadRequest {
    /// The name that the file is to have.
    pub filename: String,
    /// What the file is for.
    pub purpose: Purpose,
    /// The size of the whole file in bytes.
    pub bytes: u64,
    /// The media type of the content.
    pub mime_type: String,
    /// How long the file is to live, counted from its creation.
    ///
    /// Where: OpenAI, Azure v1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<ExpiresAfter>,
}

impl CreateUploadRequest {
    /// Creates one with `filename`, `purpose`, `bytes` and `mime_type`; the rest is absent.
    pub fn new(
        filename: impl Into<String>,
        purpose: Purpose,
        bytes: u64,
        mime_type: impl Into<String>,
    ) -> Self {
        Self { filename: filename.into(), purpose, bytes, mime_type: mime_type.into(), expires_after: None }
    }

    /// Sets `expires_after`. How long the file is to live, counted from its creation.
    #[must_use]
    pub fn expires_after(self, expires_after: ExpiresAfter) -> Self {
        Self { expires_after: Some(expires_after), ..self }
    }
}

impl<'de> Deserialize<'de> for CreateUploadRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        strict::object(deserializer)
    }
}

impl Strict for CreateUploadRequest {
    const DUE: &'static str =
        "a CreateUploadRequest: an object with `filename`, `purpose`, `bytes` and `mime_type`";

    const MEMBERS: &'static [&'static str] = &["filename", "purpose", "bytes", "mime_type", "expires_after"];

    fn from_object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
        let mut filename = None;
        let mut purpose = None;
        let mut bytes = None;
        let mut mime_type = None;
        let mut expires_after = None;
        while let Some(Text(name)) = members.next_key()? {
            match &*name {
                "filename" => strict::member(&mut members, "filename", &mut filename)?,
                "purpose" => strict::member(&mut members, "purpose", &mut purpose)?,
                "bytes" => strict::member(&mut members, "bytes", &mut bytes)?,
                "mime_type" => strict::member(&mut members, "mime_type", &mut mime_type)?,
                "expires_after" => strict::member(&mut members, "expires_after", &mut expires_after)?,
                _ => lenient::skip(&mut members)?,
            }
        }
        Ok(Self {
            filename: strict::required(filename, "filename")?,
            purpose: strict::required(purpose, "purpose")?,
            bytes: strict::required(bytes, "bytes")?,
            mime_type: strict::required(mime_type, "mime_type")?,
            expires_after: expires_after.flatten(),
        })
    }
}

/// Names the parts that make the file.
///
/// ```
/// use partwise_models::CompleteUploadRequest;
/// use serde_json::json;
///
/// let request = CompleteUploadRequest::new(vec!["part_def456".to_owned(), "part_ghi789".to_owned()])
///     .md5("5eb63bbbe01eeed093cb22bb8f5acdc3");
/// let json = json!({
///     "part_ids": ["part_def456", "part_ghi789"],
///     "md5": "5eb63bbbe01eeed093cb22bb8f5acdc3"
/// });
/// assert_eq!(serde_json::to_value(&request)?, json);
/// assert_eq!(serde_json::from_value::<CompleteUploadRequest>(json)?, request);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CompleteUploadRequest {
    /// The ids of the parts, in the order of their bytes.
    pub part_ids: Vec<String>,
    /// The md5 of the whole file. No document states its form; lower-case hexadecimal is the common reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
}

impl CompleteUploadRequest {
    /// Creates one with `part_ids`; the rest is absent.
    pub fn new(part_ids: Vec<String>) -> Self {
        Self { part_ids, md5: None }
    }

    /// Sets `md5`. The md5 of the whole file. No document states its form; lower-case hexadecimal is the
    /// common reading.
    #[must_use]
    pub fn md5(self, md5: impl Into<String>) -> Self {
        Self { md5: Some(md5.into()), ..self }
    }
}

impl<'de> Deserialize<'de> for CompleteUploadRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        strict::object(deserializer)
    }
}

impl Strict for CompleteUploadRequest {
    const DUE: &'static str = "a CompleteUploadRequest: an object with `part_ids`";

    const MEMBERS: &'static [&'static str] = &["part_ids", "md5"];

    fn from_object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
        let mut part_ids = None;
        let mut md5 = None;
        while let Some(Text(name)) = members.next_key()? {
            match &*name {
                "part_ids" => strict::member(&mut members, "part_ids", &mut part_ids)?,
                "md5" => strict::member(&mut members, "md5", &mut md5)?,
                _ => lenient::skip(&mut members)?,
            }
        }
        Ok(Self { part_ids: strict::required(part_ids, "part_ids")?, md5: md5.flatten() })
    }
}
