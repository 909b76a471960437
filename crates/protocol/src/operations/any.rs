//! A request of any operation, for those that route.

use bytes::Bytes;
use http::Request;

use super::{
    AddUploadPart, CancelUpload, CompleteUpload, CreateFile, CreateUpload, DeleteFile, DownloadFile,
    ImportFile, ListFiles, OperationId, RetrieveFile, Route,
};
use crate::{Api, Operation, error::DecodeError, error::EncodeError, multipart::Boundary, transport::Body};

/// A request of any of the ten operations.
///
/// ```
/// use bytes::Bytes;
/// use http::Request;
/// use partwise_protocol::{Api, operations::AnyOperation};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let request = Request::delete("/v1/files/file-1").body(Bytes::new())?;
/// let route = Api::of_request("https://gateway.example", request.uri())?.route(request.method(), request.uri())?;
/// let azure = Api::azure("https://example.openai.azure.com", "2024-10-21")?;
/// let entropy = [7; 16]; // of a secure random source, new for each request
/// let outgoing = AnyOperation::decode(&route, request)?.encode_request(&azure, entropy)?;
/// assert_eq!(outgoing.uri(), "https://example.openai.azure.com/openai/files/file-1?api-version=2024-10-21");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "a gateway that ignores one is wrong")]
pub enum AnyOperation {
    /// `GET /files`.
    ListFiles(ListFiles),
    /// `POST /files`, with its content in memory.
    CreateFile(CreateFile),
    /// `POST /files/import`.
    ImportFile(ImportFile),
    /// `GET /files/{file_id}`.
    RetrieveFile(RetrieveFile),
    /// `DELETE /files/{file_id}`.
    DeleteFile(DeleteFile),
    /// `GET /files/{file_id}/content`.
    DownloadFile(DownloadFile),
    /// `POST /uploads`.
    CreateUpload(CreateUpload),
    /// `POST /uploads/{upload_id}/parts`, with its content in memory.
    AddUploadPart(AddUploadPart),
    /// `POST /uploads/{upload_id}/complete`.
    CompleteUpload(CompleteUpload),
    /// `POST /uploads/{upload_id}/cancel`.
    CancelUpload(CancelUpload),
}

impl AnyOperation {
    /// Reads a request that [`Api::route`] has found a route for, whose body is in memory. Those with content that should stream
    /// are read from their forms instead: [`CreateFile::from_form`], [`AddUploadPart::from_form`].
    ///
    /// # Errors
    /// [`DecodeError`], which says what is wrong for the caller to read.
    pub fn decode(route: &Route, request: Request<Bytes>) -> Result<Self, DecodeError> {
        Ok(match route.operation {
            OperationId::ListFiles => Self::ListFiles(ListFiles::decode_request(route, request)?),
            OperationId::CreateFile => Self::CreateFile(CreateFile::decode_request(route, request)?),
            OperationId::ImportFile => Self::ImportFile(ImportFile::decode_request(route, request)?),
            OperationId::RetrieveFile => Self::RetrieveFile(RetrieveFile::decode_request(route, request)?),
            OperationId::DeleteFile => Self::DeleteFile(DeleteFile::decode_request(route, request)?),
            OperationId::DownloadFile => Self::DownloadFile(DownloadFile::decode_request(route, request)?),
            OperationId::CreateUpload => Self::CreateUpload(CreateUpload::decode_request(route, request)?),
            OperationId::AddUploadPart => Self::AddUploadPart(AddUploadPart::decode_request(route, request)?),
            OperationId::CompleteUpload => {
                Self::CompleteUpload(CompleteUpload::decode_request(route, request)?)
            }
            OperationId::CancelUpload => Self::CancelUpload(CancelUpload::decode_request(route, request)?),
        })
    }

    /// Which operation it is.
    #[must_use]
    pub fn id(&self) -> OperationId {
        match self {
            Self::ListFiles(_) => OperationId::ListFiles,
            Self::CreateFile(_) => OperationId::CreateFile,
            Self::ImportFile(_) => OperationId::ImportFile,
            Self::RetrieveFile(_) => OperationId::RetrieveFile,
            Self::DeleteFile(_) => OperationId::DeleteFile,
            Self::DownloadFile(_) => OperationId::DownloadFile,
            Self::CreateUpload(_) => OperationId::CreateUpload,
            Self::AddUploadPart(_) => OperationId::AddUploadPart,
            Self::CompleteUpload(_) => OperationId::CompleteUpload,
            Self::CancelUpload(_) => OperationId::CancelUpload,
        }
    }

    /// The request for a service, as [`Operation::encode_request`] makes it, but with a new boundary made of `entropy` if it is a
    /// form: it has to be unpredictable, and new for each request, or the caller whose request was [decoded](Self::decode) could write
    /// fields of its own into the form.
    ///
    /// A list asks for no page of a service that has none: see [`ListFiles::page_of`].
    ///
    /// # Errors
    /// [`EncodeError`] when the input cannot go on the wire or the dialect does not have it.
    pub fn encode_request(&self, api: &Api, entropy: [u8; 16]) -> Result<Request<Body>, EncodeError> {
        let boundary = || Boundary::from_entropy(entropy);
        match self {
            Self::ListFiles(operation) => operation.encode_request(api),
            Self::CreateFile(operation) => {
                CreateFile { boundary: boundary(), ..operation.clone() }.encode_request(api)
            }
            Self::ImportFile(operation) => operation.encode_request(api),
            Self::RetrieveFile(operation) => operation.encode_request(api),
            Self::DeleteFile(operation) => operation.encode_request(api),
            Self::DownloadFile(operation) => operation.encode_request(api),
            Self::CreateUpload(operation) => operation.encode_request(api),
            Self::AddUploadPart(operation) => {
                AddUploadPart { boundary: boundary(), ..operation.clone() }.encode_request(api)
            }
            Self::CompleteUpload(operation) => operation.encode_request(api),
            Self::CancelUpload(operation) => operation.encode_request(api),
        }
    }
}
