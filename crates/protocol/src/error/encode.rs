//! Errors in what the caller asked for, found before anything is sent.

use http::HeaderName;

use super::excerpt::one_line;
use crate::{Dialect, multipart::FormError, operations::OperationId};

/// A request that cannot be built: the caller's input is wrong, and sending it again will not help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The endpoint is no URL that paths can be put behind.
    #[error("the endpoint `{}` {problem}", endpoint.escape_debug())]
    Endpoint {
        /// The endpoint, without a user name or password.
        endpoint: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The api-version is no date.
    #[error(
        "`{}` is not an api-version: it must be a date such as 2024-10-21, perhaps with -preview behind it",
        version.escape_debug()
    )]
    ApiVersion {
        /// The version as given.
        version: String,
    },
    /// The key or token cannot be sent.
    #[error("the {kind} {problem}")]
    Credential {
        /// What it is: `key` or `token`.
        kind: &'static str,
        /// What is wrong with it; never the secret itself.
        problem: &'static str,
    },
    /// An identifier that cannot stand in a path.
    #[error("`{id}` is not an identifier of a file or an upload")]
    Id {
        /// The identifier as given.
        id: String,
    },
    /// The dialect does not have this operation.
    #[error("{dialect} has no {operation}")]
    Unavailable {
        /// The operation.
        operation: OperationId,
        /// The dialect without it.
        dialect: Dialect,
    },
    /// The dialect does not take this field and would ignore it silently.
    #[error("{dialect} does not take `{field}`")]
    UnavailableField {
        /// The field, by its name on the wire.
        field: &'static str,
        /// The dialect without it.
        dialect: Dialect,
    },
    /// A value that the API does not know: the service would refuse it.
    #[error("`{field}` {problem}")]
    Invalid {
        /// The field, by its name on the wire.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A form cannot be written.
    #[error("the form cannot be written")]
    Form(#[from] FormError),
    /// A JSON body cannot be written.
    #[error("the JSON body cannot be written")]
    Json(#[source] serde_json::Error),
    /// The parts make no URI.
    #[error("`{}` is not a valid URI", one_line(uri))]
    Uri {
        /// The text that was tried.
        uri: String,
        /// What is wrong with it.
        source: http::uri::InvalidUri,
    },
    /// A value that cannot stand in a header.
    #[error("the value of `{name}` cannot stand in a header")]
    Header {
        /// The header's name.
        name: HeaderName,
        /// What is wrong with it.
        source: http::header::InvalidHeaderValue,
    },
}
