//! The server as its callers see it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod auth;
mod crash;
mod damage;
mod download;
#[cfg(target_os = "linux")]
mod durability;
mod faulty;
mod forms;
mod full_disk;
mod listing;
mod model;
mod races;
mod refusals;
mod sockets;
mod store;
mod sweep;
mod uploads;
mod wire;
mod world;
