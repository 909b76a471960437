//! The client as it is shipped against the real server on a local disk, through a proxy on this machine that does to
//! connections what networks do.
//!
//! No test asserts how long anything takes; where one waits, it is for something that must come.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod drops;
mod early_answers;
mod endings;
mod md5;
mod survivable;
mod world;
