//! The rejections and failures that this server answers with: their statuses and messages.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use partwise_models::{ErrorCode, Purpose, UploadStatus};
use partwise_protocol::{
    Dialect,
    error::{ApiError, DecodeError, EncodeError, excerpt},
    multipart::FormError,
    operations::RouteError,
    retry::RetryHint,
};

use crate::{local::NotThere, store::StoreError};

/// The wait that a caller is told when there is no room.
const BUSY: Duration = Duration::from_secs(1);

/// A request that is not done. What the caller did wrong is said in full; what went wrong inside goes to the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no key was sent: send it as `Authorization: Bearer` or as `api-key`")]
    NoKey,
    #[error("the key that was sent {problem}: a key has visible ASCII characters alone, and no spaces")]
    UnreadableKey { problem: &'static str },
    #[error("the key that was sent is not one that this server takes")]
    WrongKey,
    #[error("the request has no Host: send one, as HTTP/1.1 wants it")]
    NoHost,
    #[error("the request has more than one Host")]
    SeveralHosts,
    #[error(
        "this server has no keys, so it takes requests for this machine's own names alone, and the Host of this one is another: \
         use http://127.0.0.1 or http://localhost, or give the server keys"
    )]
    ForeignHost,
    #[error(
        "this server takes requests for this machine's own names alone, and the Host of this one is another: \
         use http://127.0.0.1 or http://localhost"
    )]
    HostOfNoLoopback,
    #[error("the body has a Content-Encoding: send it as it is")]
    ContentCoding,
    #[error("this server takes no other Transfer-Encoding than chunked")]
    TransferCoding,
    #[error(transparent)]
    Request(#[from] DecodeError),

    #[error("there is no file `{}`", excerpt(id))]
    NoSuchFile { id: String },
    #[error("there is no upload `{}`", excerpt(id))]
    NoSuchUpload { id: String },
    #[error("`after` must be the identifier of a file, as a list shows it, and is `{}`", excerpt(id))]
    NotAFileId { id: String },

    #[error(
        "`{}` is not a purpose to send a file with: take one of {}",
        excerpt(purpose.as_str()),
        names(accepted)
    )]
    Purpose { purpose: Purpose, accepted: Vec<Purpose> },
    #[error(
        "a file with the purpose `{purpose}` must have a name that ends with .jsonl, and is named `{}`",
        excerpt(filename)
    )]
    FilenameSuffix { purpose: Purpose, filename: String },
    #[error("the file has no content type: send one with its form field")]
    NoFileType,
    #[error("`{field}` is empty")]
    Empty { field: &'static str },
    #[error("`{field}` has {bytes} bytes: the longest has {limit}")]
    TooLong { field: &'static str, bytes: usize, limit: usize },
    #[error("an upload has at least one byte and at most {limit}, and this one would have {bytes}")]
    UploadBytes { bytes: u64, limit: u64 },
    #[error("`{}` is not what a lifetime can start from: take created_at", excerpt(anchor))]
    Anchor { anchor: String },
    #[error("a file can live for {} to {} seconds, and {seconds} were asked for", bounds.0, bounds.1)]
    Lifetime { seconds: u64, bounds: (u64, u64) },
    #[error("`{what}` is larger than the {limit} bytes that it may have")]
    TooLarge { what: &'static str, limit: u64 },
    #[error("the request body is larger than the {limit} bytes that this operation takes")]
    BodyTooLarge { limit: u64 },

    #[error("the upload `{id}` is {status}: nothing can be done with it any more")]
    UploadOver { id: String, status: UploadStatus },
    #[error("the upload `{id}` was completed with other parts")]
    CompletedOtherwise { id: String },
    #[error("the upload has no part `{}`", excerpt(id))]
    NoSuchPart { id: String },
    #[error("the part `{id}` is named twice")]
    RepeatedPart { id: String },
    #[error("the upload is to have {expected} bytes, but the parts named have {found} together")]
    WrongSize { found: u64, expected: u64 },
    #[error("`md5` is not a digest of 32 hex digits")]
    NotAnMd5,
    #[error("the parts named have the MD5 {found}, not {expected}")]
    WrongMd5 { found: String, expected: String },

    #[error("this server fetches nothing from other hosts: send the file itself with POST /files")]
    ImportUnsupported,
    #[error("the file has {bytes} bytes: the range asked for lies behind its end")]
    Range { bytes: u64 },
    #[error("the request body was interrupted")]
    Interrupted(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no byte of the request body came for {seconds} seconds")]
    Stalled { seconds: u64 },
    #[error("the request body came at less than the {rate} bytes a second that it has to come at")]
    TooSlow { rate: u64 },

    #[error("too many large requests are in flight: retry in {} second", BUSY.as_secs())]
    Busy,

    #[error("the store failed")]
    Store(#[source] StoreError),
    #[error("no random number is to be had")]
    Entropy(#[from] getrandom::Error),
    #[error("the answer cannot be written")]
    Answer(#[from] EncodeError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            error => Self::Store(error),
        }
    }
}

impl From<FormError> for Refusal {
    fn from(error: FormError) -> Self {
        Self::Request(error.into())
    }
}

impl From<RouteError> for Refusal {
    fn from(error: RouteError) -> Self {
        Self::Request(error.into())
    }
}

impl Refusal {
    /// The rejection of a key that cannot be read. Nothing of the key is in it.
    pub(crate) fn of_unreadable_key(error: EncodeError) -> Self {
        match error {
            EncodeError::Credential { problem, .. } => Self::UnreadableKey { problem },
            other => Self::Answer(other),
        }
    }

    /// The field that the refusal is about.
    fn param(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoSuchFile { .. } | Self::NoSuchUpload { .. } => "id",
            Self::NotAFileId { .. } => "after",
            Self::Purpose { .. } => "purpose",
            Self::FilenameSuffix { .. } => "filename",
            Self::NoFileType => "file",
            Self::Empty { field } | Self::TooLong { field, .. } | Self::TooLarge { what: field, .. } => field,
            Self::UploadBytes { .. } => "bytes",
            Self::Anchor { .. } | Self::Lifetime { .. } => "expires_after",
            Self::NoSuchPart { .. }
            | Self::RepeatedPart { .. }
            | Self::WrongSize { .. }
            | Self::CompletedOtherwise { .. } => "part_ids",
            Self::NotAnMd5 | Self::WrongMd5 { .. } => "md5",
            Self::ImportUnsupported => "content_url",
            _ => return None,
        })
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoKey | Self::UnreadableKey { .. } | Self::WrongKey => StatusCode::UNAUTHORIZED,
            Self::ForeignHost | Self::HostOfNoLoopback => StatusCode::FORBIDDEN,
            Self::ContentCoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::NoSuchFile { .. } | Self::NoSuchUpload { .. } => StatusCode::NOT_FOUND,
            Self::TooLarge { .. } | Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Range { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Stalled { .. } | Self::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Store(StoreError::NotThere(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(error) if error.is_full() => StatusCode::INSUFFICIENT_STORAGE,
            Self::Store(error) if error.is_passing() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(_) | Self::Entropy(_) | Self::Answer(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    fn code(&self, dialect: &Dialect) -> Option<ErrorCode> {
        match (self, dialect) {
            // What Azure's gateway says.
            (Self::NoKey | Self::UnreadableKey { .. } | Self::WrongKey, Dialect::AzureDated { .. }) => {
                Some(ErrorCode::from("401"))
            }
            (Self::NoKey | Self::UnreadableKey { .. } | Self::WrongKey, _) => Some(ErrorCode::InvalidApiKey),
            (Self::ImportUnsupported, _) => Some(ErrorCode::FileImportFailed),
            _ => None,
        }
    }

    /// The hint about trying again.
    fn retry(&self) -> RetryHint {
        match self {
            Self::Busy => RetryHint::after(BUSY),
            _ => RetryHint::default(),
        }
    }

    /// A header that goes with the status.
    pub(crate) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = match self {
            Self::Request(DecodeError::Route(RouteError::MethodNotAllowed { allowed, .. })) => {
                let allowed: Vec<&str> = allowed.iter().map(Method::as_str).collect();
                (header::ALLOW, allowed.join(", "))
            }
            Self::ContentCoding => (header::ACCEPT_ENCODING, "identity".to_owned()),
            Self::Range { bytes } => (header::CONTENT_RANGE, format!("bytes */{bytes}")),
            Self::Store(StoreError::NotThere(_)) => (header::RETRY_AFTER, "5".to_owned()),
            Self::Store(error) if error.is_passing() => (header::RETRY_AFTER, "5".to_owned()),
            _ => return None,
        };
        Some((name, HeaderValue::try_from(value).ok()?))
    }

    /// The answer in this dialect.
    pub(crate) fn into_api_error(self, dialect: &Dialect) -> ApiError {
        let (status, code, param) = (self.status(), self.code(dialect), self.param());
        let retry = self.retry();
        let mut error = match self {
            Self::Request(error) => return error.into(),
            // The cause is for the log, and nothing for the caller to read.
            Self::Store(error) if error.is_full() => ApiError::new(status, "the server's disk is full"),
            Self::Store(StoreError::NotThere(NotThere::Store { .. })) => {
                ApiError::new(status, "the store is not there: try again when its disk is mounted")
            }
            Self::Store(StoreError::NotThere(NotThere::Folder { .. })) => ApiError::new(
                status,
                "the disk with the files of this key is not there: try again when it is mounted",
            ),
            Self::Store(StoreError::Record { .. }) => ApiError::new(
                status,
                "a record of this file or upload is damaged: it can only be deleted or cancelled",
            ),
            Self::Store(_) => ApiError::new(status, "the server's store failed: try again"),
            other => ApiError::new(status, other.to_string()),
        };
        error.retry = retry;
        error.error.code = code;
        error.error.param = param.map(str::to_owned);
        error
    }
}

fn names(purposes: &[Purpose]) -> String {
    purposes.iter().map(Purpose::as_str).collect::<Vec<_>>().join(", ")
}
