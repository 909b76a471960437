//! `POST /files/import`: a file that the service fetches itself. Azure's dated versions alone have it.

use bytes::Bytes;
use http::{Request, Response};
use partwise_models::{File, ImportFileRequest};

use crate::{
    Api, Body, DecodeError, EncodeError, Operation, OperationId, ResponseError, Route,
    json::{json_request, read_request, read_response},
};

/// Creates a file from the content behind a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportFile {
    /// The body.
    pub request: ImportFileRequest,
}

impl ImportFile {
    /// Imports what the request names.
    #[must_use]
    pub fn new(request: ImportFileRequest) -> Self {
        Self { request }
    }
}

impl Operation for ImportFile {
    const ID: OperationId = OperationId::ImportFile;
    type Response = File;

    fn encode_request(&self, api: &Api) -> Result<Request<Body>, EncodeError> {
        json_request(Self::ID.method(), Self::ID.uri(api, None, &[])?, &self.request)
    }

    fn decode_response(response: Response<Bytes>) -> Result<File, ResponseError> {
        read_response(&response)
    }

    fn decode_request(_: &Route, request: Request<Bytes>) -> Result<Self, DecodeError> {
        read_request(request.body()).map(Self::new)
    }

    fn encode_response(file: &File, api: &Api) -> Result<Response<Body>, EncodeError> {
        super::created_response(Self::ID, file, api)
    }
}
