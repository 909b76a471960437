//! The server as its callers see it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod auth;
mod crash;
mod damage;
mod download;
#[cfg(target_os = "linux")]
mod durability;
mod faulty;
#[cfg(unix)]
mod folder;
mod forms;
mod full_disk;
mod listing;
mod model;
mod races;
mod refusals;
#[cfg(target_os = "linux")]
mod small_disk;
mod sockets;
mod store;
mod sweep;
mod uploads;
mod wire;
mod world;
