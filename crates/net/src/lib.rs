//! File and socket work that the client and the server of Partwise share. Internal: its API changes without notice.
//!
//! - [`files`]: content that goes from the disk to a socket without being copied.
//! - [`request`] and [`answer`]: bodies that are handed over as stretches of a file, and answers that are read into their
//!   reader's memory, through any layers that leave the body's type alone.
//! - [`coding`]: answers that come coded.
//! - [`pacing`], [`loopback`]: connections and hosts within this machine.
//! - [`hint`]: what the system is told of a file before it is read.
//! - [`sleep`]: time that the machine slept.
//! - [`blocking`]: work on tokio's threads for blocking work.

pub mod answer;
pub mod blocking;
pub mod coding;
#[cfg(not(target_family = "wasm"))]
pub mod files;
pub mod hint;
pub mod loopback;
#[cfg(not(target_family = "wasm"))]
pub mod pacing;
pub mod request;
pub mod sleep;

/// Any error, as the bodies of HTTP libraries have it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
