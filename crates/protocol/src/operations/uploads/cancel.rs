//! `POST /uploads/{upload_id}/cancel`: gives an upload up.

use bytes::Bytes;
use http::{Request, Response};
use partwise_models::{Upload, UploadStatus};

use crate::{
    Api, Operation,
    error::{DecodeError, EncodeError, ResponseError},
    json::{bare_request, json_response, read_response, set_content_length},
    operation::id_of,
    operations::{OperationId, Route},
    transport::Body,
};

/// Cancels an upload: nothing can be added to it any more, and its parts go away.
///
/// ```
/// use bytes::Bytes;
/// use http::Response;
/// use partwise_protocol::{Api, Operation, operations::CancelUpload};
///
/// let cancel = CancelUpload::new("upload_1");
/// let request = cancel.encode_request(&Api::openai())?;
/// assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/v1/uploads/upload_1/cancel"));
///
/// let answer = Response::new(Bytes::from(r#"{"id": "upload_1", "status": "pending"}"#));
/// let upload = CancelUpload::decode_response(answer)?;
/// assert_eq!(cancel.contradiction(&upload).unwrap(), "upload_1 is pending");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CancelUpload {
    /// The upload's identifier.
    pub upload_id: String,
}

impl CancelUpload {
    /// Cancels the upload with this identifier.
    #[must_use]
    pub fn new(upload_id: impl Into<String>) -> Self {
        Self { upload_id: upload_id.into() }
    }
}

impl Operation for CancelUpload {
    const ID: OperationId = OperationId::CancelUpload;
    type Response = Upload;

    /// An empty body, with its length stated: a POST without one is refused by some gateways.
    fn encode_request(&self, api: &Api) -> Result<Request<Body>, EncodeError> {
        let mut request = bare_request(Self::ID.method(), Self::ID.uri(api, Some(&self.upload_id), &[])?);
        set_content_length(&mut request);
        Ok(request)
    }

    fn decode_response(response: Response<Bytes>) -> Result<Upload, ResponseError> {
        read_response(&response)
    }

    /// Only an upload that is over was cancelled.
    fn contradiction(&self, upload: &Upload) -> Option<String> {
        let id = &upload.id;
        if *id != self.upload_id {
            return Some(format!("it is about {id}"));
        }
        match (&upload.status, &upload.file) {
            (Some(UploadStatus::Cancelled | UploadStatus::Expired), _) => None,
            (Some(status @ UploadStatus::Completed), Some(file)) => {
                Some(format!("{id} is {status}, and {} was made of it", file.id))
            }
            (Some(status), _) => Some(format!("{id} is {status}")),
            (None, _) => Some(format!("{id} has no status")),
        }
    }

    /// Whatever body came is not looked at: clients send none, with and without a Content-Type.
    fn decode_request(route: &Route, _: Request<Bytes>) -> Result<Self, DecodeError> {
        id_of(route, "upload_id").map(Self::new)
    }

    fn encode_response(upload: &Upload, api: &Api) -> Result<Response<Body>, EncodeError> {
        json_response(Self::ID.success(api.dialect()), upload)
    }
}
