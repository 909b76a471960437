//! JSON bodies: one way to write them and one to read them.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    coding::{accept_identity, coding},
    error::{ApiError, DecodeError, EncodeError, Garbled, ResponseError},
    transport::Body,
};

pub(crate) const JSON: &str = "application/json";

fn json_body(value: &impl Serialize) -> Result<Body, EncodeError> {
    serde_json::to_vec(value).map(|text| Body::from(Bytes::from(text))).map_err(EncodeError::Json)
}

/// A request without a body.
pub(crate) fn bare_request(method: Method, uri: Uri) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    accept_json(&mut request);
    request
}

/// A request with a JSON body.
pub(crate) fn json_request(
    method: Method,
    uri: Uri,
    value: &impl Serialize,
) -> Result<Request<Body>, EncodeError> {
    Ok(json_text_request(method, uri, json_body(value)?))
}

/// A request whose body is JSON already.
pub(crate) fn json_text_request(method: Method, uri: Uri, text: Body) -> Request<Body> {
    let mut request = bare_request(method, uri);
    *request.body_mut() = text;
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    set_content_length(&mut request);
    request
}

/// Asks for JSON, as it is.
pub(crate) fn accept_json(request: &mut Request<Body>) {
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static(JSON));
    accept_identity(request.headers_mut());
}

/// States the length in the head, so that a careless transport does not fall back on chunks.
pub(crate) fn set_content_length(request: &mut Request<Body>) {
    let length = request.body().content_length();
    request.headers_mut().insert(header::CONTENT_LENGTH, length.into());
}

/// An answer with a JSON body.
pub(crate) fn json_response(
    status: StatusCode,
    value: &impl Serialize,
) -> Result<Response<Body>, EncodeError> {
    let mut response = Response::new(json_body(value)?);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    let length = response.body().content_length();
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    Ok(response)
}

/// Puts a header on an answer or request whose value comes from elsewhere.
pub(crate) fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), EncodeError> {
    let value = HeaderValue::from_bytes(value.as_bytes())
        .map_err(|source| EncodeError::Header { name: name.clone(), source })?;
    headers.insert(name, value);
    Ok(())
}

/// Reads a success as `T`, anything else as a refusal.
pub(crate) fn read_response<T: DeserializeOwned>(response: &Response<Bytes>) -> Result<T, ResponseError> {
    refuse_unless_readable(response)?;
    from_json(response.body()).map_err(|source| {
        ResponseError::Garbled(Box::new(Garbled::new(response.status(), response.body(), problem(&source))))
    })
}

/// Reads any answer that is no success as a refusal, and refuses a success whose body is coded.
pub(crate) fn refuse_unless_readable(response: &Response<Bytes>) -> Result<(), ResponseError> {
    if !response.status().is_success() {
        return Err(ResponseError::Rejected(Box::new(ApiError::decode_response(response))));
    }
    match coding(response.headers()) {
        None => Ok(()),
        Some(line) => {
            let problem =
                "the answer came coded, although it was asked for as it is (Accept-Encoding: identity)";
            let mut garbled = Garbled::new(response.status(), line.as_bytes(), problem);
            garbled.is_coded = true;
            Err(ResponseError::Garbled(Box::new(garbled)))
        }
    }
}

/// Reads a request's JSON body, whose members are `fields`. Its Content-Type is not looked at: clients send several, or
/// none.
pub(crate) fn read_request<T: DeserializeOwned>(
    body: &[u8],
    fields: &[&'static str],
) -> Result<T, DecodeError> {
    from_json(body).map_err(|error| unreadable(&error, fields))
}

/// The error of a request's JSON body, whose members are `fields`.
pub(crate) fn unreadable(error: &serde_json::Error, fields: &[&'static str]) -> DecodeError {
    let problem = problem(error);
    let field = fields.iter().copied().find(|field| is_about(&problem, field));
    DecodeError::Json { field, problem }
}

/// Tells whether an error of the models' strict reading is about this member: it begins with one that is wrong, and names one
/// that is missing or comes twice.
fn is_about(problem: &str, field: &str) -> bool {
    let name = ["missing field ", "duplicate field "].iter().find_map(|text| problem.strip_prefix(text));
    let name = name.unwrap_or(problem).strip_prefix('`').and_then(|text| text.split_once('`'));
    name.is_some_and(|(name, _)| name == field)
}

/// Describes what is wrong with JSON, and where. A value of another type than it should be may be long, and stands in the error.
pub(crate) fn problem(error: &serde_json::Error) -> String {
    const MOST: usize = 256;
    let text = error.to_string().replace(", expected u64", ", expected a whole number");
    let Some((end, _)) = text.char_indices().nth(MOST) else { return text };
    let place = text.rfind(" at line ").filter(|place| *place > end).map_or("", |place| &text[place..]);
    format!("{}…{place}", &text[..end])
}

/// Reads JSON whose encoding is checked once for the whole text, which is faster than once for every string in it. Text
/// that is not UTF-8 throughout may still be readable, when the odd bytes stand where nobody looks.
fn from_json<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    match std::str::from_utf8(json) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(json),
    }
}
