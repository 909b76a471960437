//! Placeholder.

mod body;

pub use body::{Body, BodyTooLong, Segment, SourceRange, SourceTooShort};
