//! Bodies on their way: read from the client piece by piece, and seen by the server as far as they came.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use partwise::RequestBody;
use partwise_protocol::transport::SourceError;
use tokio::{sync::mpsc, time::sleep};

/// A server gives up a body of which nothing comes for a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// A body that the client sends.
pub(crate) struct Outgoing {
    first: VecDeque<Bytes>,
    rest: RequestBody,
    len: u64,
}

/// How a body's way ended.
pub(crate) enum Sent {
    /// The whole of it has arrived, or the server wants no more.
    All,
    /// The connection broke.
    Cut,
}

impl Outgoing {
    /// A body whose first pieces are there: what stands before the content, and the beginning of that.
    pub(crate) async fn new(mut body: RequestBody) -> Result<Self, SourceError> {
        let len = body.size_hint().exact().expect("the length is always known");
        let mut first = VecDeque::new();
        while first.len() < 2 {
            let Some(frame) = body.frame().await.transpose()? else { break };
            first.extend(frame.into_data().ok());
        }
        Ok(Self { first, rest: body, len })
    }

    /// In bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The beginning of the content of a form.
    pub(crate) fn content(&self) -> &[u8] {
        self.first.get(1).map_or(&[], |content| content)
    }

    /// Sends the body within the time `takes`, or so many bytes of it.
    pub(crate) async fn send(
        mut self,
        to: mpsc::Sender<Bytes>,
        takes: Duration,
        mut limit: u64,
    ) -> Result<Sent, SourceError> {
        let pieces = 4.max(takes.as_millis() as u64 / LONGEST_PAUSE.as_millis() as u64 + 1);
        let (largest, pause) = (self.len.div_ceil(pieces).max(1), takes / pieces as u32);
        while let Some(mut bytes) = self.next().await? {
            while !bytes.is_empty() {
                sleep(pause).await;
                let piece = bytes.split_to(largest.min(limit).min(bytes.len() as u64) as usize);
                limit -= piece.len() as u64;
                if piece.is_empty() {
                    return Ok(Sent::Cut);
                }
                if to.send(piece).await.is_err() {
                    return Ok(Sent::All);
                }
            }
        }
        Ok(Sent::All)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        if let Some(bytes) = self.first.pop_front() {
            return Ok(Some(bytes));
        }
        let frame = self.rest.frame().await.transpose()?;
        Ok(frame.and_then(|frame| frame.into_data().ok()))
    }
}

/// The same body as the server sees it. Fails when it ends early.
pub(crate) struct Incoming {
    from: mpsc::Receiver<Bytes>,
    left: u64,
}

impl Incoming {
    pub(crate) fn new(from: mpsc::Receiver<Bytes>, len: u64) -> Self {
        Self { from, left: len }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let bytes = ready!(self.from.poll_recv(cx)).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.left -= bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
