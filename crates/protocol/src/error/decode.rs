//! Errors in a request that came in: what a service tells its caller.

use http::StatusCode;
use partwise_models::ErrorCode;

use crate::{error::ApiError, multipart::FormError, operations::RouteError};

/// A request that asks for nothing that can be done; turns into the [`ApiError`] that says so.
///
/// ```
/// use http::StatusCode;
/// use partwise_protocol::error::{ApiError, DecodeError};
///
/// let error = ApiError::from(DecodeError::Missing { field: "purpose" });
/// assert_eq!((error.status, error.error.param.as_deref()), (StatusCode::BAD_REQUEST, Some("purpose")));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The request belongs to no operation.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The JSON body cannot be read as this operation's.
    #[error("the request body is not the JSON object that this operation takes: {problem}")]
    Json {
        /// The member of the object that is missing or wrong, when it is one that the operation has.
        field: Option<&'static str>,
        /// The problem, and its place in the body; of long texts in the body only the beginning.
        problem: String,
    },
    /// The form cannot be read.
    #[error("the multipart form cannot be read: {0}")]
    Form(FormError),
    /// A field that must be there is not.
    #[error("`{field}` is missing")]
    Missing {
        /// The field, by its name on the wire.
        field: &'static str,
    },
    /// A field's value is outside what it may be.
    #[error("`{field}` {problem}")]
    Invalid {
        /// The field, by its name on the wire.
        field: &'static str,
        /// The problem with it.
        problem: String,
    },
}

impl From<FormError> for DecodeError {
    fn from(error: FormError) -> Self {
        Self::Form(error)
    }
}

impl DecodeError {
    /// The field that the error is about, by its name on the wire, if it is about one.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Missing { field } | Self::Invalid { field, .. } => Some(field),
            Self::Json { field, .. } => *field,
            Self::Form(error) => error.field(),
            Self::Route(RouteError::MissingApiVersion | RouteError::InvalidApiVersion { .. }) => {
                Some("api-version")
            }
            Self::Route(_) => None,
        }
    }

    /// Azure answers 404 to an `api-version` that it does not have as it does to a path.
    fn status(&self) -> StatusCode {
        match self {
            Self::Route(RouteError::MethodNotAllowed { .. }) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Route(
                RouteError::UnknownPath { .. }
                | RouteError::MissingApiVersion
                | RouteError::InvalidApiVersion { .. },
            ) => StatusCode::NOT_FOUND,
            Self::Route(RouteError::InvalidOrigin { .. })
            | Self::Json { .. }
            | Self::Form(_)
            | Self::Missing { .. }
            | Self::Invalid { .. } => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<DecodeError> for ApiError {
    fn from(error: DecodeError) -> Self {
        let status = error.status();
        let mut refusal = Self::new(status, error.to_string());
        refusal.error.param = error.field().map(str::to_owned);
        if status == StatusCode::BAD_REQUEST {
            refusal.error.code = Some(ErrorCode::InvalidPayload);
        }
        refusal
    }
}
