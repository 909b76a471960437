//! The server as its callers see it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod auth;
mod cloud_blobs;
mod cloud_probe;
mod clouds;
mod connections;
mod crash;
#[cfg(unix)]
mod cut_folder;
mod damage;
#[cfg(target_os = "linux")]
mod disks;
mod download;
#[cfg(target_os = "linux")]
mod durability;
#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
mod elsewhere;
mod faults;
mod faulty;
#[cfg(unix)]
mod folder;
mod forms;
mod freed;
mod full_disk;
mod gone;
mod http;
mod keys;
mod large_records;
#[cfg(unix)]
mod linked;
mod list_bodies;
mod list_order;
mod list_sockets;
mod listing;
mod log;
mod markers;
mod model;
mod pace;
mod phases;
mod races;
mod records;
mod refusals;
mod restore;
mod served;
#[cfg(target_os = "linux")]
mod small_disk;
mod sockets;
mod spied_store;
mod store;
mod stuck;
mod sweep;
#[cfg(target_os = "linux")]
mod unmounted;
mod unreadable;
mod uploads;
mod wire;
mod world;
