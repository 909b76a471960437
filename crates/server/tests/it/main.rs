//! The server as its callers see it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod auth;
mod connections;
mod crash;
mod download;
#[cfg(target_os = "linux")]
mod durability;
mod forms;
mod http;
mod keys;
mod list_bodies;
mod list_order;
mod list_sockets;
mod listing;
mod model;
mod pace;
mod races;
mod records;
mod refusals;
mod served;
mod sockets;
mod spied_store;
mod store;
mod sweep;
mod uploads;
mod wire;
mod world;
