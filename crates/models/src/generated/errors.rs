// Written by `cargo xtask codegen` from docs/contract/openapi.yaml; change that file instead of this one.

//! What a refusal says.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::de::MapAccess;
use serde::{Deserialize, Deserializer, Serialize};

use crate::lenient::{self, Lenient};
use crate::open_enum::{Unrecognized, open_enum};
use crate::text::Text;

/// The body of a refusal.
///
/// ```
/// use partwise_models::{Error, ErrorCode, ErrorResponse};
/// use serde_json::json;
///
/// let response = ErrorResponse::new(Error::message("Try again in two seconds.").code(ErrorCode::TooManyRequests));
/// let json = json!({"error": {"code": "tooManyRequests", "message": "Try again in two seconds."}});
/// assert_eq!(serde_json::to_value(&response)?, json);
/// assert_eq!(serde_json::from_value::<ErrorResponse>(json)?, response);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ErrorResponse {
    /// What went wrong.
    pub error: Error,
}

impl ErrorResponse {
    /// Creates one with `error`.
    pub fn new(error: Error) -> Self {
        Self { error }
    }
}

impl<'de> Deserialize<'de> for ErrorResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::required(deserializer, "an ErrorResponse: an object with `error`")
    }
}

impl Lenient for ErrorResponse {
    const MEMBERS: &'static [&'static str] = &["error"];

    fn from_object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Option<Self>, A::Error> {
        let mut error = None;
        while let Some(Text(name)) = members.next_key()? {
            match &*name {
                "error" => lenient::member(&mut members, &mut error)?,
                _ => lenient::skip(&mut members)?,
            }
        }
        let Some(error) = error else { return Ok(None) };
        Ok(Some(Self { error }))
    }
}

/// Why a request was refused, or one detail of it.
///
/// ```
/// use partwise_models::{Error, ErrorCode};
/// use serde_json::json;
///
/// let error = Error::message("The key is wrong.")
///     .code(ErrorCode::InvalidApiKey)
///     .kind("invalid_request_error");
/// let json = json!({
///     "code": "invalid_api_key",
///     "message": "The key is wrong.",
///     "type": "invalid_request_error"
/// });
/// assert_eq!(serde_json::to_value(&error)?, json);
/// assert_eq!(serde_json::from_value::<Error>(json)?, error);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Error {
    /// The kind of error, for programs. On Azure often the HTTP status, as text; on OpenAI often null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
    /// What went wrong, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The class of error, such as `invalid_request_error`.
    ///
    /// Where: OpenAI, Azure v1.
    #[serde(rename = "type")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The field or parameter that is at fault.
    ///
    /// Where: OpenAI, Azure v1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// What the error is about.
    ///
    /// Where: dated Azure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The single errors behind this one.
    ///
    /// Where: dated Azure.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Error>,
    /// A more specific error. Azure v1 spells it `inner_error`, which is read as well.
    ///
    /// Where: dated Azure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub innererror: Option<Box<InnerError>>,
}

impl Error {
    /// Creates one that says nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates one with `message` alone. What went wrong, for people.
    pub fn message(message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..Self::default() }
    }

    /// Sets `code`. The kind of error, for programs. On Azure often the HTTP status, as text; on OpenAI often
    /// null.
    #[must_use]
    pub fn code(self, code: ErrorCode) -> Self {
        Self { code: Some(code), ..self }
    }

    /// Sets `kind`. The class of error, such as `invalid_request_error`.
    #[must_use]
    pub fn kind(self, kind: impl Into<String>) -> Self {
        Self { kind: Some(kind.into()), ..self }
    }

    /// Sets `param`. The field or parameter that is at fault.
    #[must_use]
    pub fn param(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    /// Sets `target`. What the error is about.
    #[must_use]
    pub fn target(self, target: impl Into<String>) -> Self {
        Self { target: Some(target.into()), ..self }
    }

    /// Sets `details`. The single errors behind this one.
    #[must_use]
    pub fn details(self, details: Vec<Error>) -> Self {
        Self { details, ..self }
    }

    /// Sets `innererror`. A more specific error. Azure v1 spells it `inner_error`, which is read as well.
    #[must_use]
    pub fn innererror(self, innererror: InnerError) -> Self {
        Self { innererror: Some(Box::new(innererror)), ..self }
    }
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::required(deserializer, "an Error: an object")
    }
}

impl Lenient for Error {
    const MEMBERS: &'static [&'static str] =
        &["code", "message", "type", "param", "target", "details", "innererror", "inner_error"];

    fn from_object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Option<Self>, A::Error> {
        let mut code = None;
        let mut message = None;
        let mut kind = None;
        let mut param = None;
        let mut target = None;
        let mut details = None;
        let mut innererror = None;
        while let Some(Text(name)) = members.next_key()? {
            match &*name {
                "code" => lenient::member(&mut members, &mut code)?,
                "message" => lenient::member(&mut members, &mut message)?,
                "type" => lenient::member(&mut members, &mut kind)?,
                "param" => lenient::member(&mut members, &mut param)?,
                "target" => lenient::member(&mut members, &mut target)?,
                "details" => lenient::member(&mut members, &mut details)?,
                "innererror" | "inner_error" => lenient::member(&mut members, &mut innererror)?,
                _ => lenient::skip(&mut members)?,
            }
        }
        Ok(Some(Self {
            code,
            message,
            kind,
            param,
            target,
            details: details.unwrap_or_default(),
            innererror,
        }))
    }
}

/// The kind of error, for programs. Azure's codes come without statuses in its documents; gateways and OpenAI
/// send codes of their own. A number is read as its decimal text.
///
/// ```
/// use partwise_models::ErrorCode;
///
/// assert_eq!(ErrorCode::from("conflict"), ErrorCode::Conflict);
/// assert_eq!(ErrorCode::Conflict.as_str(), "conflict");
///
/// let unknown = ErrorCode::from("from_the_future");
/// assert!(matches!(unknown, ErrorCode::Other(_)));
/// assert_eq!(unknown.as_str(), "from_the_future");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `conflict`: The resource is in a state that does not allow the request.
    ///
    /// Where: dated Azure, Azure v1.
    Conflict,
    /// `invalidPayload`: The content of the request is not valid for this operation.
    ///
    /// Where: dated Azure, Azure v1.
    InvalidPayload,
    /// `forbidden`: The caller may not do this.
    ///
    /// Where: dated Azure, Azure v1.
    Forbidden,
    /// `notFound`: There is no such resource.
    ///
    /// Where: dated Azure, Azure v1.
    NotFound,
    /// `unexpectedEntityState`: The resource is not in the state that the operation needs.
    ///
    /// Where: dated Azure, Azure v1.
    UnexpectedEntityState,
    /// `itemDoesAlreadyExist`: There is such an item already.
    ///
    /// Where: dated Azure, Azure v1.
    ItemDoesAlreadyExist,
    /// `serviceUnavailable`: The service cannot be reached for now.
    ///
    /// Where: dated Azure, Azure v1.
    ServiceUnavailable,
    /// `internalFailure`: The service failed; another try may succeed.
    ///
    /// Where: dated Azure, Azure v1.
    InternalFailure,
    /// `quotaExceeded`: A quota is used up.
    ///
    /// Where: dated Azure, Azure v1.
    QuotaExceeded,
    /// `jsonlValidationFailed`: The lines of the file are not as its purpose wants them.
    ///
    /// Where: dated Azure, Azure v1.
    JsonlValidationFailed,
    /// `fileImportFailed`: The service could not fetch the file.
    ///
    /// Where: dated Azure, Azure v1.
    FileImportFailed,
    /// `tooManyRequests`: Too many requests in too short a time.
    ///
    /// Where: dated Azure, Azure v1.
    TooManyRequests,
    /// `unauthorized`: The credential does not allow the operation.
    ///
    /// Where: dated Azure, Azure v1.
    Unauthorized,
    /// `contentFilter`: A safety filter refused the content.
    ///
    /// Where: dated Azure, Azure v1.
    ContentFilter,
    /// `invalid_api_key`: The key is wrong.
    ///
    /// Where: OpenAI, Azure v1.
    InvalidApiKey,
    /// `rate_limit_exceeded`: Too many requests in too short a time.
    ///
    /// Where: OpenAI, Azure v1.
    RateLimitExceeded,
    /// `insufficient_quota`: What was paid for is used up; waiting does not help.
    ///
    /// Where: OpenAI, Azure v1.
    InsufficientQuota,
    /// A value that this release does not know, as it came.
    Other(Unrecognized),
}

impl ErrorCode {
    /// All values that this release knows.
    pub const KNOWN: &'static [Self] = &[
        Self::Conflict,
        Self::InvalidPayload,
        Self::Forbidden,
        Self::NotFound,
        Self::UnexpectedEntityState,
        Self::ItemDoesAlreadyExist,
        Self::ServiceUnavailable,
        Self::InternalFailure,
        Self::QuotaExceeded,
        Self::JsonlValidationFailed,
        Self::FileImportFailed,
        Self::TooManyRequests,
        Self::Unauthorized,
        Self::ContentFilter,
        Self::InvalidApiKey,
        Self::RateLimitExceeded,
        Self::InsufficientQuota,
    ];

    /// The value as it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Conflict => "conflict",
            Self::InvalidPayload => "invalidPayload",
            Self::Forbidden => "forbidden",
            Self::NotFound => "notFound",
            Self::UnexpectedEntityState => "unexpectedEntityState",
            Self::ItemDoesAlreadyExist => "itemDoesAlreadyExist",
            Self::ServiceUnavailable => "serviceUnavailable",
            Self::InternalFailure => "internalFailure",
            Self::QuotaExceeded => "quotaExceeded",
            Self::JsonlValidationFailed => "jsonlValidationFailed",
            Self::FileImportFailed => "fileImportFailed",
            Self::TooManyRequests => "tooManyRequests",
            Self::Unauthorized => "unauthorized",
            Self::ContentFilter => "contentFilter",
            Self::InvalidApiKey => "invalid_api_key",
            Self::RateLimitExceeded => "rate_limit_exceeded",
            Self::InsufficientQuota => "insufficient_quota",
            Self::Other(value) => value.as_str(),
        }
    }

    fn known(text: &str) -> Option<Self> {
        Some(match text {
            "conflict" => Self::Conflict,
            "invalidPayload" => Self::InvalidPayload,
            "forbidden" => Self::Forbidden,
            "notFound" => Self::NotFound,
            "unexpectedEntityState" => Self::UnexpectedEntityState,
            "itemDoesAlreadyExist" => Self::ItemDoesAlreadyExist,
            "serviceUnavailable" => Self::ServiceUnavailable,
            "internalFailure" => Self::InternalFailure,
            "quotaExceeded" => Self::QuotaExceeded,
            "jsonlValidationFailed" => Self::JsonlValidationFailed,
            "fileImportFailed" => Self::FileImportFailed,
            "tooManyRequests" => Self::TooManyRequests,
            "unauthorized" => Self::Unauthorized,
            "contentFilter" => Self::ContentFilter,
            "invalid_api_key" => Self::InvalidApiKey,
            "rate_limit_exceeded" => Self::RateLimitExceeded,
            "insufficient_quota" => Self::InsufficientQuota,
            _ => return None,
        })
    }
}

open_enum!(ErrorCode, "a string or a whole number");

impl Lenient for ErrorCode {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }

    fn from_integer(value: i128) -> Option<Self> {
        Some(alloc::string::ToString::to_string(&value).into())
    }
}

/// A more specific error inside an error; each may hold another.
///
/// Where: dated Azure, Azure v1.
///
/// ```
/// use partwise_models::{InnerError, InnerErrorCode};
/// use serde_json::json;
///
/// let error = InnerError::new()
///     .code(InnerErrorCode::InvalidPayload)
///     .innererror(InnerError::new().code(InnerErrorCode::from("moreSpecific")));
/// let json = json!({"code": "invalidPayload", "innererror": {"code": "moreSpecific"}});
/// assert_eq!(serde_json::to_value(&error)?, json);
/// assert_eq!(serde_json::from_value::<InnerError>(json)?, error);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InnerError {
    /// The kind of error, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<InnerErrorCode>,
    /// A still more specific error. Azure v1 spells it `inner_error`, which is read as well.
    ///
    /// Where: dated Azure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub innererror: Option<Box<InnerError>>,
}

impl InnerError {
    /// Creates one that says nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `code`. The kind of error, for programs.
    #[must_use]
    pub fn code(self, code: InnerErrorCode) -> Self {
        Self { code: Some(code), ..self }
    }

    /// Sets `innererror`. A still more specific error. Azure v1 spells it `inner_error`, which is read as
    /// well.
    #[must_use]
    pub fn innererror(self, innererror: InnerError) -> Self {
        Self { innererror: Some(Box::new(innererror)), ..self }
    }
}

impl<'de> Deserialize<'de> for InnerError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::required(deserializer, "an InnerError: an object")
    }
}

impl Lenient for InnerError {
    const MEMBERS: &'static [&'static str] = &["code", "innererror", "inner_error"];

    fn from_object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Option<Self>, A::Error> {
        let mut code = None;
        let mut innererror = None;
        while let Some(Text(name)) = members.next_key()? {
            match &*name {
                "code" => lenient::member(&mut members, &mut code)?,
                "innererror" | "inner_error" => lenient::member(&mut members, &mut innererror)?,
                _ => lenient::skip(&mut members)?,
            }
        }
        Ok(Some(Self { code, innererror }))
    }
}

/// The kind of an inner error.
///
/// Where: dated Azure, Azure v1.
///
/// ```
/// use partwise_models::InnerErrorCode;
///
/// assert_eq!(InnerErrorCode::from("invalidPayload"), InnerErrorCode::InvalidPayload);
/// assert_eq!(InnerErrorCode::InvalidPayload.as_str(), "invalidPayload");
///
/// let unknown = InnerErrorCode::from("from_the_future");
/// assert!(matches!(unknown, InnerErrorCode::Other(_)));
/// assert_eq!(unknown.as_str(), "from_the_future");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InnerErrorCode {
    /// `invalidPayload`: The content of the request is not valid for this operation.
    InvalidPayload,
    /// A value that this release does not know, as it came.
    Other(Unrecognized),
}

impl InnerErrorCode {
    /// All values that this release knows.
    pub const KNOWN: &'static [Self] = &[Self::InvalidPayload];

    /// The value as it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::InvalidPayload => "invalidPayload",
            Self::Other(value) => value.as_str(),
        }
    }

    fn known(text: &str) -> Option<Self> {
        Some(match text {
            "invalidPayload" => Self::InvalidPayload,
            _ => return None,
        })
    }
}

open_enum!(InnerErrorCode, "a string");

impl Lenient for InnerErrorCode {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}
