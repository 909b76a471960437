//! Virtual lines for the machines: what an upload or a download makes of a line that is slow, shared, cut or silent, in virtual time.
//!
//! Each line is played event by event, as the driver would play it: bytes that have moved are reported every quarter of a second
//! and at each end. Bytes are not simulated one by one, so a transfer of an hour takes milliseconds. The same seed gives the same
//! story. A run of the tests tries a thousand seeds, others every hour; `cargo xtask simulate` tries ten thousand.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a line that cannot be played fails, and says so; bytes and seconds are far from what would not fit"
)]

mod downloads;
mod left;
mod line;
mod play;
mod report;
mod rules;
mod table;
