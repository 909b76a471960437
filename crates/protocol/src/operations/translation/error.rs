//! Why a request does not pass through a gateway.

use http::StatusCode;

use crate::error::{ApiError, DecodeError, EncodeError};

/// A request that a gateway cannot pass on; turns into the [`ApiError`] that says so to its caller.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TranslateError {
    /// The request cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The service's dialect does not have what the request asks for.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A body without content is longer than any request needs.
    #[error("the body is longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl From<TranslateError> for ApiError {
    fn from(error: TranslateError) -> Self {
        match error {
            TranslateError::Decode(error) => error.into(),
            TranslateError::Encode(error) => {
                let param = match &error {
                    EncodeError::UnavailableField { field, .. } | EncodeError::Invalid { field, .. } => {
                        Some(*field)
                    }
                    _ => None,
                };
                let text = match error {
                    EncodeError::Form(form) => form.to_string(),
                    error => error.to_string(),
                };
                let mut refusal = Self::new(StatusCode::BAD_REQUEST, text);
                refusal.error.param = param.map(str::to_owned);
                refusal
            }
            TranslateError::TooLong { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        }
    }
}
