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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ErrorResponse {
    /// What went wrong.
    pub error: Error,
}

impl ErrorResponse {
    /// One with `error`.
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
    /// One that says nothing yet.
    pub fn new() -> Self {
        Self::default()
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
    /// One that says nothing yet.
    pub fn new() -> Self {
        Self::default()
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
