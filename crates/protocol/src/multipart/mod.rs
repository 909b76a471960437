//! `multipart/form-data` (RFC 7578) in both directions, without I/O.
//!
//! [`FormWriter`] makes the body of a request around a file that it never reads; [`FormReader`] takes a body
//! apart as it arrives; [`FormDecoder`] sorts what the reader finds into text fields and the one field that
//! is the content.

mod boundary;
mod decoder;
mod delimiter;
mod disposition;
mod error;
mod field;
mod label;
mod parameters;
mod reader;
mod request;
mod streamed;
#[cfg(test)]
mod tests;
mod writer;

pub use boundary::Boundary;
pub use decoder::{FormDecoder, FormFields, FormPoll, decode_whole};
pub(crate) use disposition::{attachment, disposition_filename};
pub use error::FormError;
pub use field::FieldHead;
pub use label::base_name;
pub use reader::{FormEvent, FormLimits, FormReader};
pub(crate) use request::{content_type, form_request};
pub use streamed::StreamedForm;
pub use writer::FormWriter;
