//! `POST /uploads/{upload_id}/parts`: one part of a large file.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Request, Response};
use partwise_models::UploadPartResource;

use crate::{
    Api, Dialect, Operation,
    error::{DecodeError, EncodeError, ResponseError},
    json::{json_response, read_response},
    multipart::{Boundary, FormFields, FormWriter, StreamedForm, content_type, decode_whole, form_request},
    operation::id_of,
    operations::{OperationId, Route},
    transport::{Body, Segment},
};

/// Adds a part to an upload. Parts may come in any order and side by side; `complete` puts them in order.
///
/// The documents disagree on whether `data` is a file or a text field. It is sent as a file with a media type, as all
/// SDKs do it, and taken as either.
///
/// ```
/// use partwise_protocol::{Api, Operation, multipart::Boundary, operations::AddUploadPart, transport::SourceRange};
///
/// let range = SourceRange::new(0, 64 << 20);
/// let part = AddUploadPart::new("upload_1", range, Boundary::from_entropy([7; 16]));
/// let request = part.encode_request(&Api::openai())?;
/// assert_eq!(request.uri().path(), "/v1/uploads/upload_1/parts");
/// assert!(request.body().content_length() > 64 << 20);
/// # Ok::<(), partwise_protocol::error::EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddUploadPart {
    /// The upload's identifier.
    pub upload_id: String,
    /// The content: bytes, or a range of the caller's source that is read while it is sent.
    pub content: Segment,
    /// The separator of the fields; must be random, and new for every attempt. Of a request that came in it is the caller's, with
    /// which nothing may be sent.
    pub boundary: Boundary,
}

impl AddUploadPart {
    /// The form field that holds the content.
    pub const CONTENT_FIELD: &'static str = "data";

    /// A part with this content.
    #[must_use]
    pub fn new(upload_id: impl Into<String>, content: impl Into<Segment>, boundary: Boundary) -> Self {
        Self { upload_id: upload_id.into(), content: content.into(), boundary }
    }

    /// The request around content that streams through, whatever its length; the operation's own [`content`](Self::content) is left
    /// out.
    ///
    /// # Errors
    /// [`EncodeError`] when the input cannot go on the wire or the dialect does not have it.
    pub fn encode_streamed(&self, api: &Api) -> Result<StreamedForm, EncodeError> {
        StreamedForm::around(|content| self.encode_around(api, content))
    }

    fn encode_around(&self, api: &Api, content: Segment) -> Result<Request<Body>, EncodeError> {
        let form = FormWriter::new(self.boundary.clone());
        let form = form.file(Self::CONTENT_FIELD, "upload", "application/octet-stream", content)?;
        form_request(Self::ID, Self::ID.uri(api, Some(&self.upload_id), &[])?, form)
    }

    /// Reads the request from its form, wherever the content went: a streaming service hands in what it has of it, a
    /// test the bytes.
    ///
    /// # Errors
    /// [`DecodeError`] when the identifier is missing.
    pub fn from_form(route: &Route, fields: &FormFields, content: Segment) -> Result<Self, DecodeError> {
        Ok(Self { upload_id: id_of(route, "upload_id")?, content, boundary: fields.boundary().clone() })
    }
}

impl Operation for AddUploadPart {
    const ID: OperationId = OperationId::AddUploadPart;
    type Response = UploadPartResource;

    fn encode_request(&self, api: &Api) -> Result<Request<Body>, EncodeError> {
        self.encode_around(api, self.content.clone())
    }

    fn decode_response(response: Response<Bytes>) -> Result<UploadPartResource, ResponseError> {
        read_response(&response)
    }

    fn decode_request(route: &Route, request: Request<Bytes>) -> Result<Self, DecodeError> {
        let (parts, body) = request.into_parts();
        let (fields, content) = decode_whole(content_type(&parts)?, body, Self::CONTENT_FIELD)?;
        Self::from_form(route, &fields, Segment::Bytes(content))
    }

    /// `azure_block_id` is left out where the dialect's documents have none.
    fn encode_response(part: &UploadPartResource, api: &Api) -> Result<Response<Body>, EncodeError> {
        let mut part = Cow::Borrowed(part);
        if part.azure_block_id.is_some() && !matches!(api.dialect(), Dialect::AzureDated { .. }) {
            part.to_mut().azure_block_id = None;
        }
        json_response(Self::ID.success(api.dialect()), &*part)
    }
}
