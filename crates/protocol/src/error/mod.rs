//! Errors, grouped by who caused them: ours ([`EncodeError`]), theirs ([`ResponseError`]), a caller's of a
//! service ([`DecodeError`]).
//!
//! `Display` speaks of its own layer alone; the cause is in `source()`.

mod api_error;
mod decode;
mod encode;
mod excerpt;
mod garbled;
mod redirect;
mod upload_status;

pub use api_error::{ApiError, ApiErrorKind};
pub(crate) use api_error::{html_title, read_error, request_id, request_id_header};
pub use decode::DecodeError;
pub use encode::EncodeError;
pub use excerpt::excerpt;
pub(crate) use excerpt::{beginning, one_line};
pub use garbled::Garbled;
pub use redirect::Redirect;

/// An answer that is no success.
///
/// ```
/// use bytes::Bytes;
/// use http::Response;
/// use partwise_protocol::{Operation, error::ResponseError, operations::RetrieveFile};
///
/// fn outcome(answer: Response<Bytes>) -> &'static str {
///     match RetrieveFile::decode_response(answer) {
///         Ok(_) => "a file",
///         Err(ResponseError::Rejected(_)) => "a rejection",
///         Err(ResponseError::Garbled(_)) => "a success that is not of this API",
///         Err(_) => "something else",
///     }
/// }
///
/// assert_eq!(outcome(Response::new(Bytes::from_static(br#"{"id": "file-1"}"#))), "a file");
/// assert_eq!(outcome(Response::new(Bytes::from_static(b"<html>"))), "a success that is not of this API");
/// let mut missing = Response::new(Bytes::new());
/// *missing.status_mut() = http::StatusCode::NOT_FOUND;
/// assert_eq!(outcome(missing), "a rejection");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The service answered no.
    #[error("the service refused")]
    Rejected(#[source] Box<ApiError>),
    /// The service answered yes, but with something that we cannot read.
    #[error(transparent)]
    Garbled(Box<Garbled>),
}
