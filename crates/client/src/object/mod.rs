//! Objects of other stores as sources and targets.

mod source;
mod target;

pub use self::{source::ObjectSource, target::ObjectTarget};
