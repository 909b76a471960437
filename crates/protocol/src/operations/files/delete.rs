//! `DELETE /files/{file_id}`: takes a file away.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use partwise_models::DeletedFile;

use crate::{
    Api, Operation,
    error::{DecodeError, EncodeError, ResponseError},
    json::{bare_request, json_response, read_response, refuse_unless_readable},
    operation::id_of,
    operations::{OperationId, Route},
    transport::Body,
};

/// Deletes one file.
///
/// The answer is `None` where the service answers without a body, as Azure does up to 2024-06-01. Look at
/// [`DeletedFile::deleted`] otherwise: Azure answers a second delete with `false` instead of a refusal.
///
/// It is [ambiguous](crate::transport::Repeat::Ambiguous): a second request cannot delete more, but its answer says nothing of what the
/// first one did. A caller that only wants the file gone may send it again, and takes a 404 or `false` for a success then.
///
/// ```
/// use bytes::Bytes;
/// use http::Response;
/// use partwise_protocol::{Api, Operation, operations::DeleteFile};
///
/// let request = DeleteFile::new("file-1").encode_request(&Api::openai())?;
/// assert_eq!((request.method().as_str(), request.uri().path()), ("DELETE", "/v1/files/file-1"));
///
/// let answer = Response::new(Bytes::from(r#"{"id": "file-1", "object": "file", "deleted": true}"#));
/// let deleted = DeleteFile::decode_response(answer)?;
/// assert_eq!(deleted.and_then(|deleted| deleted.deleted), Some(true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteFile {
    /// The file's identifier.
    pub file_id: String,
}

impl DeleteFile {
    /// Deletes the file with this identifier.
    #[must_use]
    pub fn new(file_id: impl Into<String>) -> Self {
        Self { file_id: file_id.into() }
    }
}

impl Operation for DeleteFile {
    const ID: OperationId = OperationId::DeleteFile;
    type Response = Option<DeletedFile>;

    fn encode_request(&self, api: &Api) -> Result<Request<Body>, EncodeError> {
        Ok(bare_request(Self::ID.method(), Self::ID.uri(api, Some(&self.file_id), &[])?))
    }

    fn decode_response(response: Response<Bytes>) -> Result<Option<DeletedFile>, ResponseError> {
        refuse_unless_readable(&response)?;
        if response.body().trim_ascii().is_empty() {
            return Ok(None);
        }
        read_response(&response).map(Some)
    }

    fn contradiction(&self, deleted: &Option<DeletedFile>) -> Option<String> {
        let deleted = deleted.as_ref().filter(|deleted| deleted.id != self.file_id)?;
        Some(format!("it is about {}", deleted.id))
    }

    fn decode_request(route: &Route, _: Request<Bytes>) -> Result<Self, DecodeError> {
        id_of(route, "file_id").map(Self::new)
    }

    fn encode_response(deleted: &Option<DeletedFile>, api: &Api) -> Result<Response<Body>, EncodeError> {
        let status = Self::ID.success(api.dialect());
        match deleted {
            Some(deleted) if status != StatusCode::NO_CONTENT => json_response(status, deleted),
            _ => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                Ok(response)
            }
        }
    }
}
