//! `POST /files/import`: a file that the service fetches itself. Azure's dated versions alone have it.

use bytes::Bytes;
use http::{Request, Response};
use partwise_models::{File, ImportFileRequest};

use crate::{
    Api, Operation,
    checks::{Empty, filled, sent_filename},
    error::{DecodeError, EncodeError, ResponseError},
    json::{json_request, read_request, read_response},
    operations::{OperationId, Route},
    transport::Body,
};

/// Creates a file from the content behind a URL.
///
/// ```
/// use partwise_models::{ImportFileRequest, Purpose};
/// use partwise_protocol::{Api, Operation, operations::ImportFile};
///
/// let api = Api::azure("https://example.openai.azure.com", "2024-10-21")?;
/// let request = ImportFileRequest::new(Purpose::FineTune, "train.jsonl", "https://example.com/train.jsonl");
/// let request = ImportFile::new(request).encode_request(&api)?;
/// assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/openai/files/import"));
/// # Ok::<(), partwise_protocol::error::EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportFile {
    /// The body. Of a path in `filename`, only the last component is sent.
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
        let uri = Self::ID.uri(api, None, &[])?;
        let mut request = self.request.clone();
        request.filename = sent_filename(&request.filename)?.to_owned();
        check(&request)?;
        json_request(Self::ID.method(), uri, &request)
    }

    fn decode_response(response: Response<Bytes>) -> Result<File, ResponseError> {
        read_response(&response)
    }

    fn decode_request(_: &Route, request: Request<Bytes>) -> Result<Self, DecodeError> {
        let request = read_request(request.body(), &["purpose", "filename", "content_url"])?;
        check(&request)?;
        Ok(Self::new(request))
    }

    fn encode_response(file: &File, api: &Api) -> Result<Response<Body>, EncodeError> {
        super::created_response(Self::ID, file, api)
    }
}

fn check(request: &ImportFileRequest) -> Result<(), Empty> {
    filled(&[
        ("purpose", request.purpose.as_str()),
        ("filename", &request.filename),
        ("content_url", &request.content_url),
    ])
}
