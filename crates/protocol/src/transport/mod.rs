//! The vocabulary of transports: what became of a request, and how much of its body has left.

mod failure;
mod send_state;

pub(crate) use self::failure::may_have_arrived;
pub use self::{
    failure::{Failure, FailureKind, causes},
    send_state::SendState,
};
