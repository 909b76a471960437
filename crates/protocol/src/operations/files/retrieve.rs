//! `GET /files/{file_id}`: what the service knows of one file.

use bytes::Bytes;
use http::{Request, Response};
use partwise_models::File;

use crate::{
    Api, Operation,
    error::{DecodeError, EncodeError, ResponseError},
    json::{bare_request, json_response, read_response},
    operation::id_of,
    operations::{OperationId, Route},
    transport::Body,
};

/// Retrieves one file's object, not its content.
///
/// ```
/// use bytes::Bytes;
/// use http::Response;
/// use partwise_models::FileState;
/// use partwise_protocol::{Api, Operation, operations::RetrieveFile};
///
/// let request = RetrieveFile::new("file-1").encode_request(&Api::openai())?;
/// assert_eq!((request.method().as_str(), request.uri().path()), ("GET", "/v1/files/file-1"));
///
/// let answer = Response::new(Bytes::from(r#"{"id": "file-1", "bytes": 140, "status": "processed"}"#));
/// let file = RetrieveFile::decode_response(answer)?;
/// assert_eq!((file.bytes, file.status), (Some(140), Some(FileState::Processed)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetrieveFile {
    /// The file's identifier.
    pub file_id: String,
}

impl RetrieveFile {
    /// Retrieves the file with this identifier.
    #[must_use]
    pub fn new(file_id: impl Into<String>) -> Self {
        Self { file_id: file_id.into() }
    }
}

impl Operation for RetrieveFile {
    const ID: OperationId = OperationId::RetrieveFile;
    type Response = File;

    fn encode_request(&self, api: &Api) -> Result<Request<Body>, EncodeError> {
        Ok(bare_request(Self::ID.method(), Self::ID.uri(api, Some(&self.file_id), &[])?))
    }

    fn decode_response(response: Response<Bytes>) -> Result<File, ResponseError> {
        read_response(&response)
    }

    fn contradiction(&self, file: &File) -> Option<String> {
        (file.id != self.file_id).then(|| format!("it is about {}", file.id))
    }

    fn decode_request(route: &Route, _: Request<Bytes>) -> Result<Self, DecodeError> {
        id_of(route, "file_id").map(Self::new)
    }

    fn encode_response(file: &File, api: &Api) -> Result<Response<Body>, EncodeError> {
        json_response(Self::ID.success(api.dialect()), file)
    }
}
