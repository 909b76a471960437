//! A refusal, in every shape that services and the gateways before them give it, read and written.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode, header};
use partwise_models::{Error, ErrorCode};
use serde::Serialize;
use serde_json::Value;

use super::excerpt::{excerpt, one_line};
use crate::{
    Api, Body, Dialect, EncodeError, RetryHint,
    json::{insert, json_response},
};

/// So much of a page is searched for its title, in bytes.
const PAGE_HEAD: usize = 4096;

/// The service answered no.
///
/// All known shapes are read: `error` as an object (OpenAI, Azure) or a string, a bare `message` (Azure's gateway),
/// HTML pages of proxies, plain text, nothing at all. The HTTP status always counts first.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// What the service said; empty when it said nothing that we can read.
    pub error: Error,
    /// The identifier of the request on the service's side, for its support: `x-request-id` or `apim-request-id`.
    pub request_id: Option<String>,
    /// What the service said about trying again.
    pub retry: RetryHint,
    /// Whether the answer was an HTML page: of something in front of the service, since its own answers are JSON.
    pub is_page: bool,
}

/// What a refusal means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApiErrorKind {
    /// The request is wrong: 400 and the like.
    Invalid,
    /// The key or token is missing or wrong: 401.
    Unauthorized,
    /// The key is right but may not do this: 403.
    Forbidden,
    /// There is no such thing: 404.
    NotFound,
    /// The thing is in another state than the request needs: 409.
    Conflict,
    /// The body is too large: 413.
    TooLarge,
    /// Too many requests for now: 429.
    RateLimited,
    /// The account's quota is used up; waiting does not help.
    QuotaExhausted,
    /// The service failed: 5xx.
    Failed,
    /// Any other status.
    Other,
}

impl ApiError {
    /// A refusal with this status and message, for a service to answer with.
    #[must_use]
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let mut error = Error::new();
        error.message = Some(message.into());
        Self { status, error, request_id: None, retry: RetryHint::default(), is_page: false }
    }

    /// The same refusal with this code.
    #[must_use]
    pub fn with_code(mut self, code: ErrorCode) -> Self {
        self.error.code = Some(code);
        self
    }

    /// The same refusal, naming the field that it is about.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.error.param = Some(param.into());
        self
    }

    /// Reads a refusal from an answer whose status is no success.
    #[must_use]
    pub fn decode_response(response: &Response<Bytes>) -> Self {
        Self {
            status: response.status(),
            error: read_error(response.headers(), response.body()),
            request_id: request_id(response.headers()),
            retry: RetryHint::of_headers(response.headers()),
            is_page: is_page(response.headers(), response.body()),
        }
    }

    /// What the refusal means for the caller.
    #[must_use]
    pub fn kind(&self) -> ApiErrorKind {
        if matches!(self.error.code, Some(ErrorCode::InsufficientQuota | ErrorCode::QuotaExceeded))
            || self.error.kind.as_deref() == Some("insufficient_quota")
        {
            return ApiErrorKind::QuotaExhausted;
        }
        match self.status.as_u16() {
            401 => ApiErrorKind::Unauthorized,
            403 => ApiErrorKind::Forbidden,
            404 => ApiErrorKind::NotFound,
            409 => ApiErrorKind::Conflict,
            413 => ApiErrorKind::TooLarge,
            429 => ApiErrorKind::RateLimited,
            400..=499 => ApiErrorKind::Invalid,
            500..=599 => ApiErrorKind::Failed,
            _ => ApiErrorKind::Other,
        }
    }

    /// Whether services give this status for what may work, or may have worked, a moment later: 408, 409, 429, and 5xx
    /// but 501 and 505, which say that the request can never work there, and 507, which waits for a person to make room.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 409 | 429 | 500 | 502..=504 | 506 | 508..=599)
    }

    /// Whether the service asks for patience from everything that is sent to it: 429, 503.
    #[must_use]
    pub fn is_overload(&self) -> bool {
        matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
    }

    /// The answer in the dialect's shape: Azure's dated versions always have `code` and `message`, the others always
    /// `message`, `type`, `param` and `code`, of which the last two are null when they do not apply.
    ///
    /// # Errors
    /// [`EncodeError::Header`] when the request id cannot stand in a header.
    pub fn encode_response(&self, api: &Api) -> Result<Response<Body>, EncodeError> {
        let mut response = match api.dialect() {
            Dialect::AzureDated { .. } => json_response(self.status, &Envelope { error: self.azure_body() }),
            Dialect::OpenAi | Dialect::AzureV1 { .. } => {
                json_response(self.status, &Envelope { error: self.openai_body() })
            }
        }?;
        self.retry.write_to(response.headers_mut());
        if let Some(id) = &self.request_id {
            insert(response.headers_mut(), request_id_header(api.dialect()), id)?;
        }
        Ok(response)
    }

    fn azure_body(&self) -> Error {
        let mut error = self.error.clone();
        error.code.get_or_insert_with(|| default_code(self.status));
        error.message.get_or_insert_with(|| self.default_message());
        error.target = error.target.or_else(|| error.param.take());
        (error.kind, error.param) = (None, None);
        error
    }

    fn default_message(&self) -> String {
        self.status.canonical_reason().unwrap_or("the request was refused").to_owned()
    }

    fn openai_body(&self) -> OpenAiError<'_> {
        OpenAiError {
            message: self.error.message.clone().unwrap_or_else(|| self.default_message()),
            kind: self.error.kind.as_deref().unwrap_or_else(|| default_type(self.status)),
            param: self.error.param.as_deref(),
            code: self.error.code.as_ref().filter(|code| is_openai_code(code)),
        }
    }
}

/// OpenAI's documents require all four, null where they do not apply.
#[derive(Serialize)]
struct OpenAiError<'a> {
    message: String,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: Option<&'a ErrorCode>,
}

#[derive(Serialize)]
struct Envelope<E> {
    error: E,
}

/// What the service answered, on one line whatever it sent: of long texts only the beginning. That it is a refusal is
/// for the layer above to say.
impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(message) = self.error.message.as_deref().map(one_line).filter(|line| !line.is_empty()) {
            write!(f, ": {message}")?;
        }
        let code = self.error.code.as_ref().map(ErrorCode::as_str);
        let known =
            [("code", code), ("about", self.error.param.as_deref()), ("request", self.request_id.as_deref())];
        let mut opened = false;
        for (name, value) in known.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            write!(f, "{}{name} {}", if opened { ", " } else { " (" }, one_line(value))?;
            opened = true;
        }
        if opened { f.write_str(")") } else { Ok(()) }
    }
}

impl std::error::Error for ApiError {}

/// The header in which a dialect names the request; all are read in every dialect.
fn request_id_header(dialect: &Dialect) -> HeaderName {
    HeaderName::from_static(match dialect {
        Dialect::OpenAi => "x-request-id",
        Dialect::AzureDated { .. } | Dialect::AzureV1 { .. } => "apim-request-id",
    })
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let names = ["x-request-id", "apim-request-id", "x-ms-request-id"];
    names.iter().find_map(|name| headers.get(*name)?.to_str().ok().map(str::to_owned))
}

pub(crate) fn read_error(headers: &HeaderMap, body: &[u8]) -> Error {
    if let Ok(Value::Object(mut top)) = serde_json::from_slice::<Value>(body) {
        return match top.remove("error") {
            Some(Value::String(message)) => error_of(message),
            Some(error @ Value::Object(_)) => {
                serde_json::from_value(error).unwrap_or_else(|_| error_of(excerpt(body)))
            }
            // Azure's gateway puts `message` and a status at the top, without `error`.
            _ => match serde_json::from_value::<Error>(Value::Object(top)) {
                Ok(error) if error.message.is_some() => error,
                _ => error_of(excerpt(body)),
            },
        };
    }
    match html_title(body) {
        Some(title) => error_of(format!("a page with the title “{title}”")),
        None if is_page(headers, body) => error_of("an HTML page without a title".to_owned()),
        None if body.trim_ascii().is_empty() => Error::new(),
        None => error_of(excerpt(body)),
    }
}

fn is_page(headers: &HeaderMap, body: &[u8]) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_html = content_type.is_some_and(|value| value.to_ascii_lowercase().starts_with("text/html"));
    // Some gateways send their errors as JSON and forget to say so.
    let is_json = body.trim_ascii_start().starts_with(b"{");
    !is_json && (is_html || html_title(body).is_some())
}

fn error_of(message: String) -> Error {
    let mut error = Error::new();
    error.message = Some(message);
    error
}

pub(crate) fn html_title(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&body[..body.len().min(PAGE_HEAD)]);
    let lower = text.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = start + lower[start..].find("</title>")?;
    Some(one_line(&text[start..end])).filter(|title| !title.is_empty())
}

/// Azure's codes by their meaning; only those of 400 were seen with their status. For a status that none of them means,
/// the status itself is the code, as Azure's gateway has it.
fn default_code(status: StatusCode) -> ErrorCode {
    match status.as_u16() {
        400 | 405 | 411 | 413 | 415 | 416 => ErrorCode::InvalidPayload,
        401 => ErrorCode::Unauthorized,
        403 => ErrorCode::Forbidden,
        404 => ErrorCode::NotFound,
        409 => ErrorCode::Conflict,
        429 => ErrorCode::TooManyRequests,
        503 => ErrorCode::ServiceUnavailable,
        500..=599 => ErrorCode::InternalFailure,
        _ => status.as_str().into(),
    }
}

fn default_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        429 => "requests",
        500..=599 => "server_error",
        _ => "invalid_request_error",
    }
}

/// Azure's own words do not belong in an OpenAI answer: there `code` is null unless it is one of OpenAI's.
fn is_openai_code(code: &ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::InvalidApiKey
            | ErrorCode::InsufficientQuota
            | ErrorCode::RateLimitExceeded
            | ErrorCode::Other(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, headers: &[(&str, &str)], body: &'static str) -> String {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let error = ApiError::decode_response(&response.body(Bytes::from_static(body.as_bytes())).unwrap());
        format!("{:?}: {error}", error.kind())
    }

    #[test]
    fn every_known_shape_of_a_refusal_is_read() {
        insta::assert_snapshot!(read(400, &[("x-request-id", "req_1")], r#"{"error":{"message":"'x' is not one of ['fine-tune'] - 'purpose'","type":"invalid_request_error","param":"purpose","code":null}}"#), @"Invalid: 400 Bad Request: 'x' is not one of ['fine-tune'] - 'purpose' (about purpose, request req_1)");
        insta::assert_snapshot!(read(400, &[("apim-request-id", "a-1")], r#"{"error":{"code":"invalidPayload","message":"The file has no or an empty content type specified."}}"#), @"Invalid: 400 Bad Request: The file has no or an empty content type specified. (code invalidPayload, request a-1)");
        insta::assert_snapshot!(read(401, &[], r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key"}}"#), @"Unauthorized: 401 Unauthorized: Access denied due to invalid subscription key (code 401)");
        insta::assert_snapshot!(read(401, &[], r#"{"error":{"code":401,"message":"a code that is a number"}}"#), @"Unauthorized: 401 Unauthorized: a code that is a number (code 401)");
        insta::assert_snapshot!(read(401, &[], r#"{"statusCode":401,"message":"Unauthorized. Access token is missing."}"#), @"Unauthorized: 401 Unauthorized: Unauthorized. Access token is missing.");
        insta::assert_snapshot!(read(401, &[], ""), @"Unauthorized: 401 Unauthorized");
        insta::assert_snapshot!(read(404, &[], r#"{"error":"no such route"}"#), @"NotFound: 404 Not Found: no such route");
        insta::assert_snapshot!(read(413, &[("content-type", "text/html")], "<html>\n<head><title>413 Request Entity\n Too Large</title></head></html>"), @"TooLarge: 413 Payload Too Large: a page with the title “413 Request Entity Too Large”");
        insta::assert_snapshot!(read(502, &[("content-type", "text/html")], "<html><body>bad</body></html>"), @"Failed: 502 Bad Gateway: an HTML page without a title");
        insta::assert_snapshot!(read(503, &[], "upstream connect error"), @"Failed: 503 Service Unavailable: upstream connect error");
        insta::assert_snapshot!(read(429, &[], r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"You exceeded your current quota"}}"#), @"QuotaExhausted: 429 Too Many Requests: You exceeded your current quota (code insufficient_quota)");
        insta::assert_snapshot!(read(500, &[], r#"{"unexpected":[1,2]}"#), @r#"Failed: 500 Internal Server Error: {"unexpected":[1,2]}"#);
        insta::assert_snapshot!(read(400, &[], r#"{"error":{"message":{"odd":1}},"detail":{"message":"sibling"}}"#), @"Invalid: 400 Bad Request");
    }

    #[test]
    fn a_page_is_told_from_an_answer_of_the_service() {
        let is_page = |content_type: &str, body: &'static str| {
            let response = Response::builder().status(403).header("content-type", content_type);
            ApiError::decode_response(&response.body(Bytes::from_static(body.as_bytes())).unwrap()).is_page
        };
        assert!(is_page("text/html; charset=utf-8", "<html></html>"));
        assert!(is_page("", "<title>Just a moment...</title>"));
        assert!(!is_page("application/json", r#"{"error":{"message":"no <title>page</title>"}}"#));
        assert!(!is_page("text/html", r#"{"error":{"message":"no"}}"#));
        assert!(!is_page("", ""));
    }

    #[test]
    fn a_refusal_is_one_line_whatever_the_service_says() {
        insta::assert_snapshot!(read(400, &[], r#"{"error":{"code":"a\nb","param":"c\u001b[2Jd","message":"line\r\nline\ttab"}}"#), @"Invalid: 400 Bad Request: line line tab (code a b, about c [2Jd)");
        insta::assert_snapshot!(read(502, &[("content-type", "Text/HTML")], "<title> </title>"), @"Failed: 502 Bad Gateway: an HTML page without a title");
        let long: &'static str = format!(r#"{{"error":"{}"}}"#, "long ".repeat(200)).leak();
        assert_eq!(
            read(500, &[], long).chars().count(),
            "Failed: 500 Internal Server Error: …".chars().count() + 512
        );
    }

    #[test]
    fn a_refusal_is_written_in_each_dialects_shape() {
        let refusal = ApiError::new(StatusCode::NOT_FOUND, "No such File object: file-1").with_param("id");
        let write = |api: &Api| {
            let body = refusal.encode_response(api).unwrap().into_body().into_bytes().unwrap();
            String::from_utf8(body.to_vec()).unwrap()
        };
        insta::assert_snapshot!(write(&Api::openai()), @r#"{"error":{"message":"No such File object: file-1","type":"invalid_request_error","param":"id","code":null}}"#);
        insta::assert_snapshot!(write(&Api::azure("https://r.example", "2024-10-21").unwrap()), @r#"{"error":{"code":"notFound","message":"No such File object: file-1","target":"id"}}"#);
    }

    #[test]
    fn a_refusal_that_says_nothing_is_written_with_what_its_status_says() {
        let mut refusal = ApiError::new(StatusCode::REQUEST_TIMEOUT, "");
        refusal.error.message = None;
        let write = |api: &Api| {
            let body = refusal.encode_response(api).unwrap().into_body().into_bytes().unwrap();
            String::from_utf8(body.to_vec()).unwrap()
        };
        insta::assert_snapshot!(write(&Api::openai()), @r#"{"error":{"message":"Request Timeout","type":"invalid_request_error","param":null,"code":null}}"#);
        insta::assert_snapshot!(write(&Api::azure("https://r.example", "2024-10-21").unwrap()), @r#"{"error":{"code":"408","message":"Request Timeout"}}"#);
    }

    #[test]
    fn what_was_written_is_read_again() {
        for api in [Api::openai(), Api::azure("https://r.example", "2024-10-21").unwrap()] {
            let mut refusal = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "slow down");
            refusal.request_id = Some("req_7".into());
            refusal.retry =
                RetryHint { should_retry: Some(true), ..RetryHint::after(std::time::Duration::from_secs(3)) };
            let response = refusal.encode_response(&api).unwrap().map(|body| body.into_bytes().unwrap());
            let read = ApiError::decode_response(&response);
            assert_eq!(
                (read.status, read.request_id, read.retry),
                (refusal.status, refusal.request_id, refusal.retry)
            );
            assert_eq!(read.error.message, refusal.error.message);
        }
    }

    #[test]
    fn no_body_makes_reading_a_refusal_panic() {
        for body in ["\u{0}", "[]", "\"text\"", "<TITLE>", "<title>İ</title>", "{\"error\":[]}", "{"] {
            read(500, &[("content-type", "text/html")], body);
        }
    }
}
