//! A refusal, in every shape that services and the gateways before them give it, read and written.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode, header};
use partwise_models::{Error, ErrorCode, UnixSeconds};
use serde::Serialize;
use serde_json::Value;

use super::{
    Redirect,
    excerpt::{body_excerpt, one_line},
};
use crate::{
    Api, Dialect,
    coding::coding,
    error::EncodeError,
    json::{insert, json_response},
    operations::Account,
    retry::{RetryAfter, RetryHint, date_of, message::wait_in},
    transport::Body,
};

/// So much of a page is searched for its title, in bytes.
const PAGE_HEAD: usize = 4096;

/// The text for a page without a title.
const UNTITLED: &str = "an HTML page without a title";

/// The service answered no.
///
/// All known shapes are read: `error` as an object (OpenAI, Azure) or a string, a bare `message` (Azure's gateway),
/// HTML pages of proxies, plain text, nothing at all. The HTTP status always counts first.
///
/// ```
/// use std::time::Duration;
///
/// use bytes::Bytes;
/// use http::{Response, StatusCode};
/// use partwise_protocol::error::{ApiError, ApiErrorKind};
///
/// // A client reads it,
/// let body = r#"{"error": {"message": "No such File object: file-1", "type": "invalid_request_error"}}"#;
/// let answer = Response::builder().status(404).header("x-request-id", "req_1").body(Bytes::from_static(body.as_bytes()))?;
/// let error = ApiError::decode_response(&answer);
/// assert_eq!(error.kind(), ApiErrorKind::NotFound);
/// assert_eq!(error.request_id.as_deref(), Some("req_1"));
/// assert!(!error.is_transient());
///
/// // and a service makes it.
/// let busy = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "slow down").with_retry_after(Duration::from_secs(2));
/// assert_eq!(busy.kind(), ApiErrorKind::RateLimited);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The error as the service said it; empty when it said nothing that we can read.
    pub error: Error,
    /// The identifier of the request on the service's side, for its support: `x-request-id` or `apim-request-id`.
    pub request_id: Option<String>,
    /// The service's hint about a retry, in headers or in the message of an error of the API.
    pub retry: RetryHint,
    /// Where the service said that the request has to go instead, when it was a redirect.
    pub redirect: Option<Redirect>,
    /// The host that rejected the request, when a redirect had led there from the service: it has not seen the key.
    /// [`decode_response`](Self::decode_response) cannot know of it; a transport that follows redirects says it.
    pub answered_by: Option<String>,
    /// The account that the service answered for.
    pub account: Account,
    /// The moment on the service's clock, from the header `Date`.
    pub date: Option<UnixSeconds>,
    /// The answer had one of the API's error shapes.
    is_of_the_api: bool,
    /// Set when the answer was an HTML page: of something in front of the service, since its own answers are JSON.
    pub is_page: bool,
}

/// The meaning of a rejection for the caller.
///
/// ```
/// use http::StatusCode;
/// use partwise_protocol::error::{ApiError, ApiErrorKind};
///
/// let error = ApiError::new(StatusCode::NOT_FOUND, "No such File object: file-1");
/// assert_eq!(error.kind(), ApiErrorKind::NotFound);
/// ```
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
        Self {
            status,
            error: Error::message(message),
            request_id: None,
            retry: RetryHint::default(),
            redirect: None,
            answered_by: None,
            is_page: false,
            account: Account::default(),
            date: None,
            is_of_the_api: true,
        }
    }

    /// The same refusal with this code.
    #[must_use]
    pub fn with_code(mut self, code: ErrorCode) -> Self {
        self.error.code = Some(code);
        self
    }

    /// The same refusal, which asks for this delay before the next request.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry.after = Some(RetryAfter::Wait(delay));
        self
    }

    /// The same refusal, with the service's identifier of the request.
    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
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
        let in_shape = read_shape(response.body());
        let mut refusal = Self {
            status: response.status(),
            is_of_the_api: in_shape.as_ref().is_some_and(|error| *error != Error::new()),
            error: match coding(response.headers()) {
                Some(line) => Error::message(format!("the answer came coded ({})", one_line(&line))),
                None => in_shape.unwrap_or_else(|| read_page(response.headers(), response.body())),
            },
            request_id: request_id(response.headers()),
            retry: RetryHint::of_headers(response.headers()),
            redirect: Redirect::of(response.status(), response.headers()),
            answered_by: None,
            is_page: is_page(response.headers(), response.body()),
            account: Account::of_headers(response.headers()),
            date: date_of(response.headers()),
        };
        // The words of a page or text are not the service's: only an error of the API asks for a wait.
        if refusal.is_of_the_api && refusal.is_overload() {
            let message = refusal.error.message.as_deref().unwrap_or_default();
            refusal.retry.after = refusal.retry.after.or_else(|| wait_in(message).map(RetryAfter::Wait));
        }
        refusal
    }

    /// Returns `true` if the answer had one of the API's error shapes; a page, a text or nothing may be of anything that listens there.
    #[must_use]
    pub fn is_of_the_api(&self) -> bool {
        self.is_of_the_api
    }

    /// The meaning of the rejection for the caller.
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

    /// Returns `true` if it rejects an MD5: the request is wrong, and the parameter or the words name it.
    pub(crate) fn is_about_md5(&self) -> bool {
        let names_it = |text: &Option<String>| {
            text.as_ref().is_some_and(|text| text.to_ascii_lowercase().contains("md5"))
        };
        let is_rejected = self.kind() == ApiErrorKind::Invalid && !self.is_transient();
        is_rejected && (names_it(&self.error.param) || names_it(&self.error.message))
    }

    /// Returns `true` for a status of requests that may work, or may have worked, a moment later: 408, 409, 429, and 5xx
    /// but 501 and 505, which say that the request can never work there, and 507, which waits for a person to make room.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 409 | 429 | 500 | 502..=504 | 506 | 508..=599)
    }

    /// Returns `true` if the service asks for a delay of everything that is sent to it: 429, 503.
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

/// The answer of the service, on one line whatever it sent: of long texts only the beginning. That it is a refusal is
/// for the layer above to say.
impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(redirect) = &self.redirect {
            return write!(f, "redirected to {redirect} ({})", self.status);
        }
        if let Some(host) = &self.answered_by {
            write!(f, "{host} answered ")?;
        }
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
pub(crate) fn request_id_header(dialect: &Dialect) -> HeaderName {
    HeaderName::from_static(match dialect {
        Dialect::OpenAi => "x-request-id",
        Dialect::AzureDated { .. } | Dialect::AzureV1 { .. } => "apim-request-id",
    })
}

pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    let names = ["x-request-id", "apim-request-id", "x-ms-request-id"];
    names.iter().find_map(|name| headers.get(*name)?.to_str().ok().map(str::to_owned))
}

/// Reads an error of the API, or what else rejects.
pub(crate) fn read_error(headers: &HeaderMap, body: &[u8]) -> Error {
    read_shape(body).unwrap_or_else(|| read_page(headers, body))
}

/// Reads one of the API's error shapes; `None` when the body is something else.
fn read_shape(body: &[u8]) -> Option<Error> {
    let Value::Object(mut top) = serde_json::from_slice(body).ok()? else { return None };
    match top.remove("error") {
        Some(Value::String(message)) => Some(Error::message(message)),
        Some(error @ Value::Object(_)) => serde_json::from_value(error).ok(),
        // Azure's gateway puts `message` and a status at the top, without `error`.
        _ => serde_json::from_value::<Error>(Value::Object(top)).ok().filter(|error| error.message.is_some()),
    }
}

/// Reads anything else that refuses: a page, a text, nothing.
fn read_page(headers: &HeaderMap, body: &[u8]) -> Error {
    match page(body) {
        Some(page) => Error::message(page),
        None if is_page(headers, body) => Error::message(UNTITLED),
        None if body.trim_ascii().is_empty() => Error::new(),
        None => Error::message(body_excerpt(body)),
    }
}

/// Describes an HTML page by its title; `None` when the body is something else.
pub(super) fn page(body: &[u8]) -> Option<String> {
    let body = body.trim_ascii_start();
    match html_title(body).filter(|_| !body.starts_with(b"{")) {
        Some(title) => Some(format!("a page with the title “{title}”")),
        None if body.starts_with(b"<") && has_html(body) => Some(UNTITLED.to_owned()),
        None => None,
    }
}

/// Returns `true` if a text has elements that only HTML has, in its beginning: other XML is no page.
fn has_html(text: &[u8]) -> bool {
    let head = text[..text.len().min(PAGE_HEAD)].to_ascii_lowercase();
    [&b"<!doctype html"[..], b"<html", b"<head", b"<body", b"<script", b"<meta"]
        .into_iter()
        .any(|tag| head.windows(tag.len()).any(|window| window == tag))
}

fn is_page(headers: &HeaderMap, body: &[u8]) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_html = content_type.is_some_and(|value| value.to_ascii_lowercase().starts_with("text/html"));
    // Some gateways send their errors as JSON and forget to say so.
    let is_json = body.trim_ascii_start().starts_with(b"{");
    !is_json && (is_html || html_title(body).is_some())
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
mod tests;
