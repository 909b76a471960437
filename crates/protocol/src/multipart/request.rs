//! Requests whose body is a form: one way to send them, one to find the head of one that came in.

use http::{HeaderValue, Request, Uri, header, request::Parts};

use crate::{
    error::{DecodeError, EncodeError},
    json::{accept_json, set_content_length},
    multipart::FormWriter,
    operations::OperationId,
    transport::Body,
};

/// A request with a finished form as its body.
pub(crate) fn form_request(
    operation: OperationId,
    uri: Uri,
    form: FormWriter,
) -> Result<Request<Body>, EncodeError> {
    let (content_type, body) = form.finish()?;
    let mut request = Request::new(body);
    *request.method_mut() = operation.method();
    *request.uri_mut() = uri;
    accept_json(&mut request);
    request.headers_mut().insert(header::CONTENT_TYPE, content_type);
    set_content_length(&mut request);
    Ok(request)
}

/// The Content-Type of a request that must be a form.
pub(crate) fn content_type(parts: &Parts) -> Result<&HeaderValue, DecodeError> {
    parts.headers.get(header::CONTENT_TYPE).ok_or(DecodeError::Missing { field: "Content-Type" })
}
