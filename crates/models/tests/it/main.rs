//! How the wire types read and write.

#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

mod flatten;
mod lenient;
mod open_enums;
mod round_trip;
mod samples;
mod schemas;
mod strict;
mod values;
