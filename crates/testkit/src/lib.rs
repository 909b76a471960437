//! The parts that tests of more than one crate share: content, chance from seeds, certificates, a proxy with faults, services
//! whose answers a test writes, and a store that speaks the dialects of three clouds.
//!
//! Faults in requests are `partwise_server::testing`, which is public. What is here serves the tests of this workspace alone.

#![allow(
    clippy::unwrap_used,
    clippy::exhaustive_structs,
    clippy::exhaustive_enums,
    clippy::new_without_default,
    clippy::print_stdout,
    missing_debug_implementations,
    reason = "tests alone depend on it, and a test that cannot be set up has failed"
)]

#[cfg(feature = "net")]
pub mod certificates;
#[cfg(feature = "cloud")]
pub mod cloud;
pub mod content;
pub mod dice;
pub mod errors;
#[cfg(feature = "net")]
pub mod http1;
#[cfg(feature = "net")]
pub mod listener;
#[cfg(feature = "net")]
pub mod proxy;
#[cfg(feature = "net")]
pub mod range_server;
#[cfg(feature = "net")]
pub mod runtime;
#[cfg(feature = "net")]
pub mod scripted;
pub mod seeds;
#[cfg(feature = "net")]
pub mod service;
