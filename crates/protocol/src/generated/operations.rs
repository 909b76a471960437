// Written by `cargo xtask codegen` from docs/contract/openapi.yaml; change that file instead of this one.

//! The operations: methods, paths, statuses, and what repeating one can do.

use http::{Method, StatusCode};

use super::date;
use crate::{Dialect, transport::Repeat};

/// One of the operations of the Files and Uploads APIs.
///
/// ```
/// use partwise_protocol::operations::OperationId;
///
/// let operation = OperationId::RetrieveFile;
/// assert_eq!((operation.method().as_str(), operation.path()), ("GET", "/files/{file_id}"));
/// assert_eq!(operation.to_string(), "GET /files/{file_id}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a server that does not answer one of them is wrong")]
pub enum OperationId {
    /// `GET /files`: Lists the stored files.
    ListFiles,
    /// `POST /files`: Stores a file that is sent whole.
    CreateFile,
    /// `POST /files/import`: Stores a file that the service fetches by itself.
    ///
    /// Where: dated Azure.
    ImportFile,
    /// `GET /files/{file_id}`: Describes one file.
    RetrieveFile,
    /// `DELETE /files/{file_id}`: Deletes one file.
    DeleteFile,
    /// `GET /files/{file_id}/content`: Reads the bytes of one file.
    DownloadFile,
    /// `POST /uploads`: Announces a file that will come in parts.
    ///
    /// Where: OpenAI, dated Azure from 2024-08-01, Azure v1.
    CreateUpload,
    /// `POST /uploads/{upload_id}/parts`: Adds one part to an upload.
    ///
    /// Where: OpenAI, dated Azure from 2024-08-01, Azure v1.
    AddUploadPart,
    /// `POST /uploads/{upload_id}/complete`: Makes a file of an upload's parts.
    ///
    /// Where: OpenAI, dated Azure from 2024-08-01, Azure v1.
    CompleteUpload,
    /// `POST /uploads/{upload_id}/cancel`: Gives an upload up.
    ///
    /// Where: OpenAI, dated Azure from 2024-08-01, Azure v1.
    CancelUpload,
}

/// One part of an operation's path, between two slashes.
///
/// ```
/// use partwise_protocol::operations::{OperationId, PathPart};
///
/// assert_eq!(OperationId::RetrieveFile.path_parts(), [PathPart::Literal("files"), PathPart::Id]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a router has to match every kind")]
pub enum PathPart {
    /// Stands there as it is.
    Literal(&'static str),
    /// The id of a file or upload, percent-encoded.
    Id,
}

impl OperationId {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 10] = [
        Self::ListFiles,
        Self::CreateFile,
        Self::ImportFile,
        Self::RetrieveFile,
        Self::DeleteFile,
        Self::DownloadFile,
        Self::CreateUpload,
        Self::AddUploadPart,
        Self::CompleteUpload,
        Self::CancelUpload,
    ];

    /// Its name in the contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ListFiles => "listFiles",
            Self::CreateFile => "createFile",
            Self::ImportFile => "importFile",
            Self::RetrieveFile => "retrieveFile",
            Self::DeleteFile => "deleteFile",
            Self::DownloadFile => "downloadFile",
            Self::CreateUpload => "createUpload",
            Self::AddUploadPart => "addUploadPart",
            Self::CompleteUpload => "completeUpload",
            Self::CancelUpload => "cancelUpload",
        }
    }

    /// The method of its requests.
    pub const fn method(self) -> Method {
        match self {
            Self::ListFiles | Self::RetrieveFile | Self::DownloadFile => Method::GET,
            Self::CreateFile
            | Self::ImportFile
            | Self::CreateUpload
            | Self::AddUploadPart
            | Self::CompleteUpload
            | Self::CancelUpload => Method::POST,
            Self::DeleteFile => Method::DELETE,
        }
    }

    /// The template of its path, which follows the base of an API; ids stand in braces.
    pub const fn path(self) -> &'static str {
        match self {
            Self::ListFiles | Self::CreateFile => "/files",
            Self::ImportFile => "/files/import",
            Self::RetrieveFile | Self::DeleteFile => "/files/{file_id}",
            Self::DownloadFile => "/files/{file_id}/content",
            Self::CreateUpload => "/uploads",
            Self::AddUploadPart => "/uploads/{upload_id}/parts",
            Self::CompleteUpload => "/uploads/{upload_id}/complete",
            Self::CancelUpload => "/uploads/{upload_id}/cancel",
        }
    }

    /// Its path in parts, for a router. No two operations of one method can match the same path.
    pub const fn path_parts(self) -> &'static [PathPart] {
        match self {
            Self::ListFiles | Self::CreateFile => &[PathPart::Literal("files")],
            Self::ImportFile => &[PathPart::Literal("files"), PathPart::Literal("import")],
            Self::RetrieveFile | Self::DeleteFile => &[PathPart::Literal("files"), PathPart::Id],
            Self::DownloadFile => &[PathPart::Literal("files"), PathPart::Id, PathPart::Literal("content")],
            Self::CreateUpload => &[PathPart::Literal("uploads")],
            Self::AddUploadPart => &[PathPart::Literal("uploads"), PathPart::Id, PathPart::Literal("parts")],
            Self::CompleteUpload => {
                &[PathPart::Literal("uploads"), PathPart::Id, PathPart::Literal("complete")]
            }
            Self::CancelUpload => &[PathPart::Literal("uploads"), PathPart::Id, PathPart::Literal("cancel")],
        }
    }

    /// What sending it twice can do.
    pub const fn repeat(self) -> Repeat {
        match self {
            Self::ListFiles | Self::RetrieveFile | Self::DownloadFile => Repeat::Harmless,
            Self::CreateFile
            | Self::ImportFile
            | Self::DeleteFile
            | Self::CompleteUpload
            | Self::CancelUpload => Repeat::Ambiguous,
            Self::CreateUpload | Self::AddUploadPart => Repeat::Orphans,
        }
    }

    /// How many bytes of an answer's body a driver takes into memory at most, refusals included. The content
    /// that a download streams is not meant.
    pub const fn answer_limit(self) -> u64 {
        match self {
            Self::ListFiles => 16_777_216,
            Self::CreateFile
            | Self::ImportFile
            | Self::RetrieveFile
            | Self::DeleteFile
            | Self::DownloadFile
            | Self::CreateUpload
            | Self::AddUploadPart
            | Self::CompleteUpload
            | Self::CancelUpload => 1_048_576,
        }
    }

    /// The status of its success, as documented. A client takes any status of success: services were seen to
    /// differ.
    pub fn success(self, dialect: &Dialect) -> StatusCode {
        match self {
            Self::ListFiles
            | Self::RetrieveFile
            | Self::DownloadFile
            | Self::CreateUpload
            | Self::AddUploadPart
            | Self::CompleteUpload
            | Self::CancelUpload => StatusCode::OK,
            Self::CreateFile => {
                if matches!(dialect, Dialect::AzureDated { .. }) {
                    StatusCode::CREATED
                } else {
                    StatusCode::OK
                }
            }
            Self::ImportFile => StatusCode::CREATED,
            Self::DeleteFile => {
                if matches!(dialect, Dialect::AzureDated { api_version } if date(api_version) <= "2024-06-01")
                {
                    StatusCode::NO_CONTENT
                } else {
                    StatusCode::OK
                }
            }
        }
    }

    /// Returns `true` if the documents of a dialect have it.
    pub fn available_in(self, dialect: &Dialect) -> bool {
        match self {
            Self::ListFiles
            | Self::CreateFile
            | Self::RetrieveFile
            | Self::DeleteFile
            | Self::DownloadFile => true,
            Self::ImportFile => matches!(dialect, Dialect::AzureDated { .. }),
            Self::CreateUpload | Self::AddUploadPart | Self::CompleteUpload | Self::CancelUpload => {
                !matches!(dialect, Dialect::AzureDated { api_version } if date(api_version) < "2024-08-01")
            }
        }
    }
}
