//! Bodies of answers that can be read straight into their reader's memory.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};

use crate::BoxError;

/// The rest of an answer, as its connection has it.
pub trait DirectRead: Send {
    /// Puts the next bytes at the beginning of `room`, which must not be empty, and says how many they are; 0 is the end.
    ///
    /// # Errors
    /// Those of the connection.
    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<Result<usize, BoxError>>;

    /// Frees the connection for the next request, when everything was read.
    fn finish(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// A body of an answer that may give its connection out of hand.
pub trait DirectBody: Body<Data = Bytes> + Send + Sized + Unpin + 'static {
    /// The rest, to be read from the connection itself; the same body where that cannot be, or is not worth it.
    fn direct(self) -> impl Future<Output = Result<Box<dyn DirectRead>, Self>> + Send;
}

/// An extension of an answer: its body is a [`DirectBody`], as long as no layer on the way has put another in its place.
///
/// The type of the body is part of the extension's type, so that a client that gets a `Response<B>` looks for `ReadsDirectly<B>`
/// and finds none when a layer has wrapped the body.
pub struct ReadsDirectly<B>(fn(B) -> Box<dyn AnyDirectBody>);

/// A [`DirectBody`] whose type is forgotten.
pub trait AnyDirectBody: Body<Data = Bytes, Error = BoxError> + Send + Unpin {
    /// [`DirectBody::direct`].
    fn direct(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn DirectRead>, Box<dyn AnyDirectBody>>>;
}

impl<B> ReadsDirectly<B>
where
    B: DirectBody,
    B::Error: Into<BoxError>,
{
    /// The extension for answers with this body.
    #[must_use]
    pub fn new() -> Self {
        Self(|body| Box::new(Forgotten(body)))
    }
}

impl<B> ReadsDirectly<B> {
    /// Forgets the type of the body.
    #[must_use]
    pub fn erase(self, body: B) -> Box<dyn AnyDirectBody> {
        (self.0)(body)
    }
}

impl<B> Default for ReadsDirectly<B>
where
    B: DirectBody,
    B::Error: Into<BoxError>,
{
    fn default() -> Self {
        Self::new()
    }
}

// Derived, they would ask the same of the body.
impl<B> Clone for ReadsDirectly<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for ReadsDirectly<B> {}

impl<B> fmt::Debug for ReadsDirectly<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadsDirectly")
    }
}

struct Forgotten<B>(B);

impl<B> AnyDirectBody for Forgotten<B>
where
    B: DirectBody,
    B::Error: Into<BoxError>,
{
    fn direct(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn DirectRead>, Box<dyn AnyDirectBody>>> {
        Box::pin(async move {
            self.0.direct().await.map_err(|body| Box::new(Self(body)) as Box<dyn AnyDirectBody>)
        })
    }
}

impl<B> Body for Forgotten<B>
where
    B: DirectBody,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
