//! The bodies that come in and go out.

use std::{
    fmt,
    fs::File,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tracing::Span;

use crate::{
    blob::{Chunks, Opened, Stretches},
    limits::Limits,
    memory::MemoryShare,
    pace::Pace,
    refusal::Refusal,
    store::StoreError,
};

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request, of whatever kind the connection has it.
pub(super) struct RequestBody {
    body: Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>,
    received: u64,
    is_at_end: bool,
    stall: Duration,
    rate: u64,
    pace: Pace,
}

impl RequestBody {
    pub(super) fn new<B>(body: B, limits: &Limits) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let is_at_end = body.is_end_stream();
        Self {
            body: Box::pin(body.map_err(Into::into)),
            received: 0,
            is_at_end,
            stall: limits.body_stall_timeout,
            rate: limits.min_rate,
            pace: Pace::new(limits.min_rate, limits.rate_window),
        }
    }

    /// The next bytes, or `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let frame = self.frame().await?;
            let Some(frame) = frame.transpose().map_err(Refusal::Interrupted)? else {
                self.is_at_end = true;
                return Ok(None);
            };
            // Trailers mean nothing here.
            if let Ok(bytes) = frame.into_data() {
                self.received += bytes.len() as u64;
                self.pace.moved(bytes.len() as u64);
                return Ok(Some(bytes));
            }
        }
    }

    /// Waits for the caller, and for nothing else: what the server does meanwhile with what came counts against nobody.
    async fn frame(&mut self) -> Result<Option<Result<Frame<Bytes>, BoxError>>, Refusal> {
        let left = self.pace.left().unwrap_or(Duration::MAX);
        let since = Instant::now();
        let frame = tokio::time::timeout(self.stall.min(left), self.body.frame()).await;
        self.pace.waited(since.elapsed());
        frame.map_err(|_| {
            if left < self.stall {
                Refusal::TooSlow { rate: self.rate }
            } else {
                Refusal::Stalled { seconds: self.stall.as_secs() }
            }
        })
    }

    /// The whole body, if it has at most `limit` bytes and there is room for it, which `share` holds from then on.
    pub(super) async fn collect(&mut self, limit: u64, share: &mut MemoryShare) -> Result<Bytes, Refusal> {
        self.check_announced(limit)?;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut whole = Vec::new();
        while let Some(bytes) = self.next().await? {
            if self.received > limit {
                return Err(Refusal::BodyTooLarge { limit });
            }
            let length = whole.len() + bytes.len();
            if length > whole.capacity() {
                // What a body announces takes no room: it may never come.
                let capacity = length.max(whole.capacity() * 2).min(most);
                share.hold(capacity)?;
                whole.reserve_exact(capacity - whole.len());
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.into())
    }

    /// Refuses a body that says beforehand that it is too large.
    pub(super) fn check_announced(&self, limit: u64) -> Result<(), Refusal> {
        if self.body.size_hint().lower() > limit { Err(Refusal::BodyTooLarge { limit }) } else { Ok(()) }
    }

    /// The number of bytes that have come.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end || self.body.is_end_stream()
    }

    /// The number of bytes that come within this time at the lowest rate that is taken.
    pub(super) fn least_within(&self, time: Duration) -> u64 {
        self.rate.saturating_mul(time.as_secs())
    }

    /// The number of bytes that are still to come, if that is known.
    pub(super) fn remaining(&self) -> Option<u64> {
        self.body.size_hint().upper()
    }
}

/// The body of an answer: bytes that are there, or what the store gives as it is read. The length of a long list is not known
/// beforehand.
///
/// ```
/// use http_body_util::{BodyExt as _, Empty};
/// use partwise_server::{Keys, Server, Store};
/// use tower_service::Service as _;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut server = Server::builder(Store::memory()).keys(Keys::any()).build().await?;
/// let request = http::Request::get("/v1/files").header("authorization", "Bearer key");
/// let response = server.call(request.body(Empty::new())?).await?;
/// let list = response.into_body().collect().await?.to_bytes();
/// assert!(list.starts_with(br#"{"object":"list","data":[]"#));
/// # Ok(())
/// # }
/// ```
pub struct ResponseBody {
    content: AnswerContent,
    request: RequestName,
}

/// The names of a request in the log: the span that has them is not there where only errors are logged.
#[derive(Default)]
struct RequestName {
    id: String,
    operation: &'static str,
}

enum AnswerContent {
    Bytes(Bytes),
    Stored(Stored),
    Pieces(Pieces),
}

/// An answer that is written as it is sent, of a length that nobody knows.
struct Pieces {
    pieces: BoxStream<'static, Result<Bytes, Refusal>>,
    /// The request's: what is logged on the way belongs to it.
    span: Span,
}

/// Content of the store on its way out.
struct Stored {
    stretches: Stretches,
    /// The rest of the stretch that is being read.
    chunks: Option<Chunks>,
    remaining: u64,
}

/// The content of a file cannot be read to its end; what was sent of it is not all.
#[derive(Debug, thiserror::Error)]
#[error("the content cannot be read to its end")]
#[non_exhaustive]
pub struct BrokenContent(#[source] BoxError);

impl ResponseBody {
    pub(super) fn bytes(bytes: Bytes) -> Self {
        Self::of_content(AnswerContent::Bytes(bytes))
    }

    /// A body of the protocol's, which names no source when it comes from the server's side.
    pub(super) fn of(body: partwise_protocol::transport::Body) -> Self {
        Self::bytes(body.into_bytes().unwrap_or_default())
    }

    pub(super) fn stream(stretches: Stretches, length: u64) -> Self {
        Self::of_content(AnswerContent::Stored(Stored { stretches, chunks: None, remaining: length }))
    }

    fn of_content(content: AnswerContent) -> Self {
        Self { content, request: RequestName::default() }
    }

    /// Has the log name this request when the content cannot be read.
    pub(super) fn belongs_to(&mut self, id: &str, operation: &'static str) {
        self.request = RequestName { id: id.to_owned(), operation };
    }

    /// Takes a file back that came as a portion, to be read after all.
    pub(crate) fn read(&mut self, file: File, range: Range<u64>) {
        if let AnswerContent::Stored(stored) = &mut self.content {
            stored.read(file, range);
        }
    }

    /// Pieces that are not made before they are asked for.
    pub(super) fn pieces(pieces: impl Stream<Item = Result<Bytes, Refusal>> + Send + 'static) -> Self {
        Self::of_content(AnswerContent::Pieces(Pieces { pieces: pieces.boxed(), span: Span::current() }))
    }

    /// The next portion; files are not read.
    pub(crate) fn poll_portion(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Portion, BrokenContent>>> {
        let RequestName { id, operation } = &self.request;
        match &mut self.content {
            AnswerContent::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then_some(Ok(Portion::Bytes(bytes))))
            }
            AnswerContent::Stored(stored) => stored.poll_portion(context).map(|portion| {
                portion.map(|portion| {
                    portion.map_err(|error| {
                        let cause: &dyn std::error::Error = &error;
                        tracing::error!(id, operation, error = cause, "a download was interrupted");
                        BrokenContent(error.into())
                    })
                })
            }),
            AnswerContent::Pieces(Pieces { pieces, span }) => {
                let _entered = span.enter();
                let piece = ready!(pieces.poll_next_unpin(context));
                Poll::Ready(piece.map(|piece| {
                    piece.map(Portion::Bytes).map_err(|error| {
                        let cause: &dyn std::error::Error = &error;
                        tracing::error!(id, operation, error = cause, "a list was interrupted");
                        BrokenContent(error.into())
                    })
                }))
            }
        }
    }
}

/// A piece of a body.
pub(crate) enum Portion {
    Bytes(Bytes),
    /// These bytes of the file.
    File(File, Range<u64>),
}

impl Stored {
    fn poll_portion(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Portion, StoreError>>> {
        loop {
            if let Some(chunks) = &mut self.chunks {
                if let Some(bytes) = ready!(chunks.poll_next_unpin(context)?) {
                    self.remaining = self.remaining.saturating_sub(bytes.len() as u64);
                    return Poll::Ready(Some(Ok(Portion::Bytes(bytes))));
                }
                self.chunks = None;
            }
            match ready!(self.stretches.poll_next_unpin(context)?) {
                None => return Poll::Ready(None),
                Some(Opened::Chunks(chunks)) => self.chunks = Some(chunks),
                Some(Opened::File(file, range)) => {
                    self.remaining = self.remaining.saturating_sub(range.end - range.start);
                    return Poll::Ready(Some(Ok(Portion::File(file, range))));
                }
            }
        }
    }

    /// Takes a file back, to be read after all.
    fn read(&mut self, file: File, range: Range<u64>) {
        self.remaining += range.end - range.start;
        self.chunks = Some(Opened::File(file, range).into_chunks());
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BrokenContent;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenContent>>> {
        loop {
            match ready!(self.poll_portion(context)?) {
                None => return Poll::Ready(None),
                Some(Portion::Bytes(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Portion::File(file, range)) => self.read(file, range),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            AnswerContent::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            AnswerContent::Stored(stored) => SizeHint::with_exact(stored.remaining),
            AnswerContent::Pieces(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("length", &self.size_hint().exact()).finish_non_exhaustive()
    }
}
