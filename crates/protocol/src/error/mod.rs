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
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The service answered no.
    #[error("the service refused")]
    Refused(#[source] Box<ApiError>),
    /// The service answered yes, but with something that we cannot read.
    #[error(transparent)]
    Garbled(Box<Garbled>),
}
