//! The JSON that the OpenAI and Azure OpenAI Files and Uploads APIs send and take, as Rust types. This crate
//! never sends, waits, logs or reads a clock: without features it is `no_std` with `alloc`, and depends on `serde` alone.
//!
//! The types are generated from the description in `docs/contract/`, a superset of both providers; the
//! documentation of each field and value says where it exists. All of them read and write, for clients and
//! servers alike.
//!
//! # Reading
//! What a service answers is read so that nothing it did is lost to a detail:
//! - of an object only its `id` is required (of a [`FileList`] its `data`, of an [`ErrorResponse`] its
//!   `error`);
//! - null, and a value of a wrong type in an optional field, read as missing: `-1` or `12.0` where a size is
//!   due, a date as text where a time is due, an object where text is due;
//! - unknown fields are ignored; of a field that stands twice the last value that can be read counts;
//! - one odd item never fails its list: it is left out;
//! - an unknown value of an enum is kept, compares, and is written back as it came (see [`Unrecognized`]).
//!
//! What no reader of the format can hold still fails: text that is not JSON, and with `serde_json` also a
//! lone surrogate (`"\ud800"`) in a text or a number beyond `f64` (`1e400`) in a field that is known, and
//! errors nested deeper than 128 levels.
//!
//! With `serde_json`, text (`from_str`) is read a fifth faster than bytes (`from_slice`), in which every string is
//! checked by itself.
//!
//! The bodies of requests are read strictly instead, since what a caller asks for must not be guessed: a
//! missing field, a wrong type and a field that stands twice are errors that name the field. Unknown fields
//! are ignored there too.
//!
//! Types of the API can be flattened into one of your own (`#[serde(flatten)]`): a map beside them gets what they do not know.
//!
//! # Formats
//! Self-describing formats only, such as JSON, CBOR and MessagePack with names: reading asks the input what it has. Formats that
//! write no names, such as postcard, can be written and not read.
//!
//! # Writing
//! `None` is left out; fields stand in the order of the documents.
//!
//! # Features
//! None is on by default.
//!
//! | feature | adds |
//! |---|---|
//! | `std` | [`UnixSeconds`] to and from `SystemTime` |
//! | `schemars` | `JsonSchema` for every type, of what is read and of what is written; needs no `std` |
//! | `utoipa` | `ToSchema` for every type, of what is read |
//! | `proptest` | `Arbitrary` for every type: values that are the same after they were written and read |
//!
//! Schemas say what the documents say, and no more than the types hold: an optional field may be null when it is read; an enum lists its
//! known values with their descriptions and takes any other text; fields that are not described are allowed. They are stricter than
//! reading in one point: a value of a wrong type does not fit, though it is read as missing.
//!
//! # Example
//!
//! ```
//! use partwise_models::{File, FileState, Purpose};
//!
//! let answer = r#"{"id": "file-1", "purpose": "fine-tune", "status": "notRunning", "bytes": null}"#;
//! let file: File = serde_json::from_str(answer)?;
//! assert_eq!(file.purpose, Some(Purpose::FineTune));
//! assert_eq!(file.status, Some(FileState::from("notRunning")));
//! assert_eq!(file.bytes, None);
//! assert_eq!(serde_json::to_string(&file)?, r#"{"id":"file-1","purpose":"fine-tune","status":"notRunning"}"#);
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # More
//! Programs in `crates/models/examples` of the project, each run with `cargo run -p partwise-models --example NAME`:
//!
//! | example | shows |
//! |---|---|
//! | `axum_service` | a service that answers with the wire types, and keeps fields that they do not know |
//! | `read_samples` | documented JSON that is read and written again |
//!
//! The description that the types are generated from is in `docs/contract`, with its samples.

#![no_std]

#[cfg(feature = "std")]
extern crate std;

extern crate alloc;

#[cfg(feature = "proptest")]
mod arbitrary;
mod generated;
mod lenient;
mod open_enum;
#[cfg(any(feature = "schemars", feature = "utoipa"))]
mod schema;
mod strict;
mod text;
mod unix_seconds;

pub use generated::*;
pub use open_enum::Unrecognized;
pub use unix_seconds::UnixSeconds;
