//! The OpenAI and Azure OpenAI Files and Uploads APIs without any I/O: what to send, what an answer means, what to do
//! next.
//!
//! This crate never opens a socket or a file, never reads a clock or random numbers, never logs and knows no async
//! runtime. Bytes, time and entropy are arguments, so everything in it can be replayed.
//!
//! - [`Operation`]: ten operations, each in both directions, over an [`Api`] with its [`Dialect`].
//! - [`Body`]: what to send as a list of [`Segment`]s, some of them ranges of the caller's file that are never read here.
//! - [`FormWriter`], [`FormReader`], [`FormDecoder`]: multipart forms, written with an exact length and read as they come.
//! - [`ApiError`], [`RetryPolicy`]: what a refusal means and whether to try again.
//! - [`Transfer`]: one file's way to the service, in parallel parts, as a state machine.
//! - [`Fetch`]: one file's way back, in parallel ranges where the service serves them, as another.
//! - [`Machine`]: the contract that both have with their drivers.
//! - [`JsonLinesCheck`]: what a service could not read of a file of JSON Lines, found before it is sent.
//!
//! ```
//! use bytes::Bytes;
//! use partwise_protocol::{Api, Credential, Operation, RetrieveFile};
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

mod account;
mod activity;
mod api;
mod azure_endpoint;
mod body;
mod checks;
mod coding;
mod credential;
mod dialect;
mod download;
mod error;
mod files;
mod form;
mod generated;
mod json;
mod json_lines;
mod machine;
mod multipart;
mod operation;
mod random;
mod retry;
mod route;
mod service_state;
mod sizes;
mod transfer;
pub mod transport;
mod uploads;

pub use account::Account;
pub use activity::TransferState;
pub use api::Api;
pub use body::{Body, BodyTooLong, Segment, SourceRange, SourceTooShort};
pub use credential::Credential;
pub use dialect::{Dialect, Limits};
pub use download::{
    ContentCheck, DownloadAction, DownloadCheckpoint, DownloadError, DownloadPlan, DownloadProgress,
    DownloadResumeError, DownloadTask, DownloadWarning, Fetch, Instead, WrongContent,
};
pub use error::{
    ApiError, ApiErrorKind, DecodeError, EncodeError, Garbled, Redirect, ResponseError, excerpt,
};
pub use files::{
    ByteRange, ContentRange, CreateFile, DeleteFile, DownloadFile, DownloadHead, FileListEnd, FileListWriter,
    ImportFile, ListFiles, Order, RetrieveFile,
};
pub use form::{
    Boundary, FieldHead, FormDecoder, FormError, FormEvent, FormFields, FormLimits, FormPoll, FormReader,
    FormWriter, base_name, decode_whole,
};
pub use generated::{OperationId, PathPart};
pub use json_lines::{BadLine, ForeignFormat, JsonLinesCheck, LineProblem, filename_suits};
pub use machine::{Action, ActionOf, Attempt, Machine, RequestId, SaveError};
pub use operation::{Operation, Repeat};
pub use retry::{Now, RetryAfter, RetryHint, RetryPolicy, Verdict};
pub use route::{Route, RouteError};
pub use service_state::{Call, CallAttempt, Offline, ServiceState};
pub use transfer::{
    Attempts, Checkpoint, Comparison, Parallel, Phase, Plan, PlanError, Progress, Proof, ResumeError,
    Retries, Retry, RetryReason, RouteChoice, SourceError, SourceStamp, Statistics, Transfer, TransferError,
    UploadAction, UploadTask, Warning,
};
pub use transport::{Failure, FailureKind};
pub use uploads::{AddUploadPart, CancelUpload, CompleteUpload, CreateUpload};
