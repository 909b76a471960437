//! Requests and answers on the wire: the exact bytes of each operation in each dialect, that both sides read what the other
//! wrote, and that neither is thrown by what nobody should write.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod codings;
mod hostile;
mod page;
mod refusals;
mod round_trip;
mod samples;
mod send_state;
mod setters;
mod sides;
mod translation;
mod wire;
