//! Bodies of requests that can be handed over as stretches of a file.

use std::{
    fmt,
    fs::File,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Body;

use crate::BoxError;

/// A stretch of a body.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "whoever sends a body must handle every kind of stretch")]
pub enum Portion {
    /// These bytes.
    Bytes(Bytes),
    /// These bytes of the file.
    File(Arc<File>, Range<u64>),
}

impl Portion {
    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, range) => range.end.saturating_sub(range.start),
        }
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A body whose content can be handed over as stretches of a file instead of bytes.
pub trait FileBody: Body<Data = Bytes> {
    /// Polls the next stretch of the body. Bodies yield stretches of a file only to those who call this.
    fn poll_portion(self: Pin<&mut Self>, cx: &mut Context<'_>)
    -> Poll<Option<Result<Portion, Self::Error>>>;
}

/// An extension of a request: its body is a [`FileBody`], as long as no layer on the way has put another in its place.
///
/// The type of the body is part of the extension's type, so that a transport that gets a `Request<B>` looks for `SendsFiles<B>`
/// and finds none when a layer has wrapped the body.
pub struct SendsFiles<B>(PollPortion<B>);

type PollPortion<B> = fn(Pin<&mut B>, &mut Context<'_>) -> Poll<Option<Result<Portion, BoxError>>>;

impl<B> SendsFiles<B>
where
    B: FileBody,
    B::Error: Into<BoxError>,
{
    /// The extension for requests with this body.
    #[must_use]
    pub fn new() -> Self {
        Self(|body, cx| body.poll_portion(cx).map_err(Into::into))
    }
}

impl<B> SendsFiles<B> {
    /// Polls the next stretch of the body: see [`FileBody::poll_portion`].
    pub fn poll_portion(
        self,
        body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Portion, BoxError>>> {
        (self.0)(body, cx)
    }
}

impl<B> Default for SendsFiles<B>
where
    B: FileBody,
    B::Error: Into<BoxError>,
{
    fn default() -> Self {
        Self::new()
    }
}

// Derived, they would ask the same of the body.
impl<B> Clone for SendsFiles<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for SendsFiles<B> {}

impl<B> fmt::Debug for SendsFiles<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendsFiles")
    }
}
