//! The real binary, killed with SIGKILL at any moment and run again, against a server that writes down who asked it for
//! what.
//!
//! What is drawn follows from a seed, which a test prints; `PARTWISE_KILL_SEED` gives it back.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "what a test cannot set up ends it")]
#![allow(clippy::print_stdout, reason = "a test that fails shows what was drawn and when it killed")]

mod aimed;
mod command;
mod content;
mod embedded;
mod journal;
mod moment;
mod seed;
mod service;
mod state;
mod twenty;
