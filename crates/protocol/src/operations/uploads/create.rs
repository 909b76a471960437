//! `POST /uploads`: announces a large file that will come in parts.

use bytes::Bytes;
use http::{Request, Response, header};
use partwise_models::{CreateUploadRequest, Upload};

use crate::{
    Api, Dialect, Operation,
    checks::{Empty, filled, sent_filename},
    error::{DecodeError, EncodeError, ResponseError},
    json::{insert, json_request, json_response, read_request, read_response},
    operations::{OperationId, Route},
    transport::Body,
};

/// The members of the body.
const FIELDS: [&str; 5] = ["filename", "purpose", "bytes", "mime_type", "expires_after"];

/// Creates an upload. It lives for an hour at OpenAI, for one or two at Azure: see `expires_at` in the answer.
///
/// ```
/// use partwise_models::{CreateUploadRequest, Purpose};
/// use partwise_protocol::{Api, Operation, operations::CreateUpload};
///
/// let upload = CreateUploadRequest::new("train.jsonl", Purpose::FineTune, 100_000_000, "application/jsonl");
/// let request = CreateUpload::new(upload).encode_request(&Api::openai())?;
/// assert_eq!(request.uri(), "https://api.openai.com/v1/uploads");
/// # Ok::<(), partwise_protocol::error::EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateUpload {
    /// The body. Of a path in `filename`, only the last component is sent.
    pub request: CreateUploadRequest,
}

impl CreateUpload {
    /// Announces the file that the request describes.
    #[must_use]
    pub fn new(request: CreateUploadRequest) -> Self {
        Self { request }
    }
}

impl Operation for CreateUpload {
    const ID: OperationId = OperationId::CreateUpload;
    type Response = Upload;

    fn encode_request(&self, api: &Api) -> Result<Request<Body>, EncodeError> {
        let uri = Self::ID.uri(api, None, &[])?;
        if self.request.expires_after.is_some() && !Self::ID.takes_field("expires_after", api.dialect()) {
            return Err(EncodeError::UnavailableField {
                field: "expires_after",
                dialect: api.dialect().clone(),
            });
        }
        let mut request = self.request.clone();
        request.filename = sent_filename(&request.filename)?.to_owned();
        check(&request)?;
        json_request(Self::ID.method(), uri, &request)
    }

    fn decode_response(response: Response<Bytes>) -> Result<Upload, ResponseError> {
        read_response(&response)
    }

    fn decode_request(_: &Route, request: Request<Bytes>) -> Result<Self, DecodeError> {
        let request = read_request(request.body(), &FIELDS)?;
        check(&request)?;
        Ok(Self::new(request))
    }

    fn encode_response(upload: &Upload, api: &Api) -> Result<Response<Body>, EncodeError> {
        let mut response = json_response(Self::ID.success(api.dialect()), upload)?;
        if matches!(api.dialect(), Dialect::AzureDated { .. }) {
            let uri = api.uri(&format!("/uploads/{}", crate::api::escape(&upload.id)), &[])?;
            insert(response.headers_mut(), header::LOCATION, &uri.to_string())?;
        }
        Ok(response)
    }
}

fn check(request: &CreateUploadRequest) -> Result<(), Empty> {
    filled(&[
        ("filename", &request.filename),
        ("purpose", request.purpose.as_str()),
        ("mime_type", &request.mime_type),
    ])
}
