//! The client against real sockets on this machine: peers written by hand, byte by byte.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod ambiguous;
mod api;
mod blocking;
mod blocking_socket;
mod codings;
mod comparisons;
mod connections;
mod direct_bodies;
mod downloads;
mod early_answers;
mod error_texts;
mod everyday;
mod everyday_settings;
mod file_downloads;
mod foreign_timeouts;
mod lists;
mod objects;
mod outages;
mod peer;
mod proxies;
mod range_peer;
mod redirected_outages;
mod redirects;
mod resuming;
mod secrets;
mod service_side;
mod services;
mod sleep;
mod spans;
mod stalls;
mod streams;
mod tls;
mod told_retries;
mod uploads;
mod wrong_content;
