//! The vocabulary of transports: what became of a request, and how much of its body has left.

mod body;
mod chunks;
mod failure;
mod send_buffer;
mod send_state;
mod source_error;

pub(crate) use self::failure::may_have_arrived;
pub use self::{
    body::{Body, BodyTooLong, Segment, SourceRange, SourceTooShort},
    chunks::BodyChunks,
    failure::{Failure, FailureKind, causes},
    send_buffer::SendBuffer,
    send_state::{SendAttempt, SendState},
    source_error::{SourceChanged, SourceError},
};
pub use crate::operation::Repeat;
