//! Placeholder.

mod body;
mod form;

pub use body::{Body, BodyTooLong, Segment, SourceRange, SourceTooShort};
pub use form::{
    Boundary, FieldHead, FormDecoder, FormError, FormEvent, FormFields, FormLimits, FormPoll, FormReader,
    FormWriter, base_name, decode_whole,
};
