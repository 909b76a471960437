//! A client for the Files and Uploads APIs of OpenAI and Azure OpenAI: it executes operations, and moves files of any
//! size up in parallel parts and down in parallel ranges, over hyper or over any tower service.
//!
//! This crate never decides what goes on the wire or what an answer means: that is `partwise-protocol`. It owns sockets,
//! clocks, files and tasks, and it never holds a file or a part in memory as a whole.
//!
//! ```no_run
//! use partwise_models::Purpose;
//! use partwise_protocol::{Api, Credential, upload::Plan};
//! use partwise::{Client, FileSource};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::with_defaults(Api::openai(), Credential::key(&std::env::var("OPENAI_API_KEY")?)?);
//! let plan = Plan::new("train.jsonl", "application/jsonl", Purpose::FineTune);
//! let file = client.upload(FileSource::open("train.jsonl")?, plan).await?;
//! println!("{} has {:?} bytes", file.id, file.bytes);
//! # Ok(())
//! # }
//! ```
//!
//! - [`Client`]: [`call`](Client::call) for any operation, [`download`](Client::download) for content as it comes,
//!   [`upload`](Client::upload) for files; [`Upload`] for progress, checkpoints and cancelling.
//! - [`Source`]: what is uploaded. [`FileSource`] and bytes are there, your own is two functions.
//! - [`Target`]: where a whole file is [downloaded to](Client::download_to); [`FileDownload`] for progress, checkpoints and
//!   stopping.
//! - [`CredentialSource`]: a key, or a token that is fetched anew when it must be.
//! - [`stack`]: how requests are sent when you bring no service of your own.
//!
//! Everything here runs inside a tokio runtime with time and I/O enabled.

mod attempt;
mod body;
mod buffers;
mod checkpoints;
mod client;
mod compare;
mod credentials;
mod decoded;
mod digest;
mod download;
mod driver;
mod error;
mod failure;
mod positioned;
mod reading;
mod redirects;
mod retries;
mod service;
mod source;
mod system;
mod target;
mod trace;
mod upload;
mod writing;

#[cfg(feature = "hyper")]
pub use partwise_transport_hyper::stack;
pub use {partwise_models as models, partwise_protocol as protocol};

pub use self::{
    body::RequestBody,
    checkpoints::{CheckpointFile, CheckpointJournal, CheckpointStore},
    client::Client,
    credentials::CredentialSource,
    download::{Download, FileDownload},
    error::Error,
    reading::Reading,
    source::{FileSource, Source},
    target::{FileTarget, Target},
    upload::Upload,
    writing::Writing,
};

/// The examples in the project's README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
