//! A client for the Files and Uploads APIs of OpenAI and Azure OpenAI: it executes operations, and moves files of any
//! size up in parallel parts and down in parallel ranges, over hyper or over any tower service.
//!
//! This crate never decides what goes on the wire or what an answer means: that is [`protocol`]. It owns clocks, files and tasks, and
//! holds no file or part in memory as a whole, but for one part of a stream. Sockets are the transport's: `stack`, or any tower
//! service.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use partwise::{Client, Purpose};
//!
//! let client = Client::from_env()?;
//! let file = client.upload_file("train.jsonl", Purpose::FineTune).await?;
//! println!("{} has {:?} bytes", file.id, file.bytes);
//! # Ok(())
//! # }
//! ```
//!
//! - [`Client`]: [`upload_file`](Client::upload_file), [`files`](Client::files), [`download_file`](Client::download_file) and the like for what most
//!   programs do, [`call`](Client::call) for any operation of the API.
//! - [`UploadBuilder`], [`PathDownload`] and [`DownloadBuilder`]: settings, progress, checkpoints and stopping of one transfer.
//! - [`Source`] and [`AsyncSource`]: content to upload. [`FileSource`] and bytes are there; your own is two functions.
//! - [`Target`] and [`AsyncTarget`]: where a whole file is [downloaded to](Client::download_to).
//! - `ObjectSource` and `ObjectTarget`: objects of S3, Azure Blob Storage and others (feature `object_store`).
//! - [`CredentialSource`]: a key, or a token that is fetched again when it must be.
//! - [`Error`] and [`ErrorKind`]: what failed, and what that means for the caller.
//! - `blocking`: the same for programs without async (feature `blocking`).
//! - `stack`: how requests are sent when you bring no service of your own (feature `hyper`, on by default).
//!
//! Everything here runs inside a tokio runtime with time and I/O enabled.
//!
//! # More
//! The project's `docs/guides/library.md` is a guide to all of it. Programs in `crates/client/examples`, each run with
//! `cargo run -p partwise --example NAME`:
//!
//! | example | shows |
//! |---|---|
//! | `five_jobs` | upload, list, wait, download, delete |
//! | `upload` | an upload that shows how far it is, and resumes when it is started again |
//! | `azure_token` | a token of Microsoft Entra that is fetched again before it expires |
//! | `custom_transport` | requests over a service of your own, inside a layer that prints what passes |

mod attempt;
#[cfg(feature = "blocking")]
pub mod blocking;
mod body;
mod buffers;
mod builder;
mod checkpoints;
mod client;
mod compare;
mod credentials;
mod deadline;
mod decoded;
mod digest;
mod download;
mod driver;
mod environment;
mod error;
mod failure;
mod listing;
mod lock;
mod mime;
#[cfg(feature = "object_store")]
mod object;
mod paths;
mod positioned;
mod reading;
mod redirects;
mod refreshing;
mod retries;
mod service;
mod single;
mod source;
mod system;
mod target;
mod telling;
mod trace;
mod upload;
mod writing;

#[cfg(feature = "object_store")]
pub use self::object::{ObjectSource, ObjectTarget};
#[cfg(feature = "hyper")]
pub use partwise_transport_hyper::stack;
pub use {
    partwise_models::{self as models, File, Purpose},
    partwise_protocol::{self as protocol, Api, Credential},
};

pub use self::{
    body::RequestBody,
    builder::{ClientBuilder, DefaultTransport, GivenTransport, HeaderError},
    checkpoints::{
        CheckpointDir, CheckpointDirError, CheckpointFile, CheckpointJournal, CheckpointStore, FoundUpload,
        UnfinishedCheckpoint, UnfinishedUpload, UploadSubject,
    },
    client::Client,
    credentials::CredentialSource,
    download::{
        Download, DownloadBuilder, DownloadEvent, DownloadPathError, DownloadReader, DownloadRequest,
        FileDownload, NotResumable, PathDownload, PreparedPathDownload,
    },
    environment::{DEFAULT_AZURE_API_VERSION, EnvironmentError},
    error::{Error, ErrorKind, TransferError},
    listing::FileListing,
    mime::mime_type,
    reading::Reading,
    refreshing::RefreshingToken,
    source::{AnySource, AsyncSource, FileSource, IntoSource, Source},
    target::{AnyTarget, AsyncTarget, FileTarget, IntoTarget, Target},
    upload::{Upload, UploadBuilder},
    writing::Writing,
};

/// The examples in the guide to this library.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/library.md")]
struct Guide;

/// The examples in the project's README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
