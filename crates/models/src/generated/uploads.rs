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
    /// One with `id`; the rest is missing.
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
    /// One with `id`; the rest is missing.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), object: None, created_at: None, upload_id: None, azure_block_id: None }
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
    /// One with `filename`, `purpose`, `bytes` and `mime_type`; the rest is missing.
    pub fn new(
        filename: impl Into<String>,
        purpose: Purpose,
        bytes: u64,
        mime_type: impl Into<String>,
    ) -> Self {
        Self { filename: filename.into(), purpose, bytes, mime_type: mime_type.into(), expires_after: None }
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
    /// One with `part_ids`; the rest is missing.
    pub fn new(part_ids: Vec<String>) -> Self {
        Self { part_ids, md5: None }
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
