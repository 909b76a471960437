//! The OpenAI and Azure OpenAI Files and Uploads APIs without any I/O: what to send, what an answer means, what to do
//! next.
//!
//! This crate never opens a socket or a file, never reads a clock or random numbers, never logs and knows no async
//! runtime. Bytes, time and entropy are arguments, so everything in it can be replayed.
//!
//! - [`Operation`]: ten [operations], each in both directions, over an [`Api`] with its [`Dialect`];
//!   [`Translation`](operations::Translation) takes them through a gateway from one dialect to another.
//! - [`upload`]: one file's way to the service, in parallel parts, as a state machine; [`download`]: its way back, in parallel ranges
//!   where the service serves them, as another; [`machine`]: the contract that both have with their drivers.
//! - [`multipart`]: forms, written with an exact length and read as they come.
//! - [`transport`]: what to send, as a list of segments, some of them ranges of the caller's file that are never read here; and what
//!   became of it.
//! - [`error`], [`retry`]: what a rejection means, and whether to try again.
//! - [`jsonl`]: what a service could not read of a file of JSON Lines, found before it is sent.
//!
//! ```
//! use bytes::Bytes;
//! use partwise_protocol::{Api, Credential, Operation, operations::RetrieveFile};
//!
//! let api = Api::azure("https://example.openai.azure.com", "2024-10-21")?;
//! let mut request = RetrieveFile::new("file-abc123").encode_request(&api)?;
//! Credential::key("secret")?.apply(&api, &mut request);
//! assert_eq!(request.uri(), "https://example.openai.azure.com/openai/files/file-abc123?api-version=2024-10-21");
//!
//! // … any transport sends it and gets an answer …
//! let answer = http::Response::new(Bytes::from_static(br#"{"id":"file-abc123","bytes":140,"status":"processed"}"#));
//! let file = RetrieveFile::decode_response(answer)?;
//! assert_eq!(file.bytes, Some(140));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # More
//! Programs in `crates/protocol/examples` of the project, each run with `cargo run -p partwise-protocol --example NAME`:
//!
//! | example | shows |
//! |---|---|
//! | `reqwest` | a whole driver over an async client: parts in parallel, resumed when it is started again |
//! | `ureq` | the same over a blocking client, with threads |
//! | `gateway` | a gateway that speaks OpenAI's dialect and forwards to Azure OpenAI |
//!
//! A program that wants files moved, and not each request, depends on `partwise` instead: the project's `docs/guides/library.md` is its
//! guide. `docs/architecture.md` says how the crates fit together.

mod api;
mod azure_endpoint;
mod checks;
mod coding;
mod credential;
mod dialect;
pub mod download;
pub mod error;
mod generated;
mod json;
pub mod jsonl;
pub mod machine;
pub mod multipart;
mod openai_endpoint;
mod operation;
pub mod operations;
mod random;
pub mod retry;
mod sizes;
pub mod transport;
pub mod upload;

pub use api::Api;
pub use credential::Credential;
pub use dialect::{Dialect, Limits};
pub use operation::Operation;
