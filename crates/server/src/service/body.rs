//! The bodies that come in and go out.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::{blob::Chunks, refusal::Refusal};

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long the next byte of a request may take.
const STALLED: Duration = Duration::from_secs(60);

/// The body of a request, of whatever kind the connection has it.
pub(super) struct RequestBody {
    body: Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>,
    received: u64,
    is_at_end: bool,
}

impl RequestBody {
    pub(super) fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let is_at_end = body.is_end_stream();
        Self { body: Box::pin(body.map_err(Into::into)), received: 0, is_at_end }
    }

    /// The next bytes, or `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let frame = tokio::time::timeout(STALLED, self.body.frame()).await;
            let frame = frame.map_err(|_| Refusal::Stalled { seconds: STALLED.as_secs() })?;
            let Some(frame) = frame.transpose().map_err(Refusal::Interrupted)? else {
                self.is_at_end = true;
                return Ok(None);
            };
            // Trailers mean nothing here.
            if let Ok(bytes) = frame.into_data() {
                self.received += bytes.len() as u64;
                return Ok(Some(bytes));
            }
        }
    }

    /// The whole body, if it has at most `limit` bytes.
    pub(super) async fn collect(&mut self, limit: u64) -> Result<Bytes, Refusal> {
        self.check_announced(limit)?;
        let mut whole = Vec::new();
        while let Some(bytes) = self.next().await? {
            if self.received > limit {
                return Err(Refusal::BodyTooLarge { limit });
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.into())
    }

    /// Refuses a body that says beforehand that it is too large.
    pub(super) fn check_announced(&self, limit: u64) -> Result<(), Refusal> {
        if self.body.size_hint().lower() > limit { Err(Refusal::BodyTooLarge { limit }) } else { Ok(()) }
    }

    /// How many bytes have come.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end || self.body.is_end_stream()
    }

    /// How many bytes are still to come, if that is known.
    pub(super) fn remaining(&self) -> Option<u64> {
        self.body.size_hint().upper()
    }
}

/// The body of an answer: bytes that are there, or a file's content as the store gives it.
pub struct ResponseBody(Content);

enum Content {
    Bytes(Bytes),
    Stream { chunks: Chunks, remaining: u64 },
}

/// The content of a file cannot be read to its end; what was sent of it is not all.
#[derive(Debug, thiserror::Error)]
#[error("the content cannot be read to its end")]
#[non_exhaustive]
pub struct BrokenContent(#[source] BoxError);

impl ResponseBody {
    pub(super) fn bytes(bytes: Bytes) -> Self {
        Self(Content::Bytes(bytes))
    }

    /// A body of the protocol's, which names no source when it comes from the server's side.
    pub(super) fn of(body: partwise_protocol::Body) -> Self {
        Self::bytes(body.into_bytes().unwrap_or_default())
    }

    pub(super) fn stream(chunks: Chunks, length: u64) -> Self {
        Self(Content::Stream { chunks, remaining: length })
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BrokenContent;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenContent>>> {
        match &mut self.0 {
            Content::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Content::Stream { chunks, remaining } => chunks.as_mut().poll_next(context).map(|chunk| {
                Some(match chunk? {
                    Ok(bytes) => {
                        *remaining = remaining.saturating_sub(bytes.len() as u64);
                        Ok(Frame::data(bytes))
                    }
                    Err(error) => {
                        let cause: &dyn std::error::Error = &error;
                        tracing::error!(error = cause, "a download broke off");
                        Err(BrokenContent(error.into()))
                    }
                })
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.0 {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Stream { remaining, .. } => *remaining,
        })
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("length", &self.size_hint().exact()).finish_non_exhaustive()
    }
}
