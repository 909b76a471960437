//! `POST /uploads/{upload_id}/complete`: makes a file of the parts.

use bytes::Bytes;
use http::{Request, Response};
use partwise_models::{CompleteUploadRequest, Upload};

use crate::{
    Api, Body, DecodeError, EncodeError, Operation, OperationId, ResponseError, Route,
    json::{json_request, json_response, read_request, read_response},
    operation::id_of,
};

/// Completes an upload: the parts named, in the order named, become a file, which the answer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompleteUpload {
    /// The upload's identifier.
    pub upload_id: String,
    /// The body. Azure's own sample names parts by `azure_block_id`; working clients send their `id`.
    pub request: CompleteUploadRequest,
}

impl CompleteUpload {
    /// Completes the upload as the request says.
    #[must_use]
    pub fn new(upload_id: impl Into<String>, request: CompleteUploadRequest) -> Self {
        Self { upload_id: upload_id.into(), request }
    }
}

impl Operation for CompleteUpload {
    const ID: OperationId = OperationId::CompleteUpload;
    type Response = Upload;

    fn encode_request(&self, api: &Api) -> Result<Request<Body>, EncodeError> {
        json_request(Self::ID.method(), Self::ID.uri(api, Some(&self.upload_id), &[])?, &self.request)
    }

    fn decode_response(response: Response<Bytes>) -> Result<Upload, ResponseError> {
        read_response(&response)
    }

    fn decode_request(route: &Route, request: Request<Bytes>) -> Result<Self, DecodeError> {
        Ok(Self { upload_id: id_of(route, "upload_id")?, request: read_request(request.body())? })
    }

    fn encode_response(upload: &Upload, api: &Api) -> Result<Response<Body>, EncodeError> {
        json_response(Self::ID.success(api.dialect()), upload)
    }
}
