//! The body of a request as HTTP libraries take it.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    vec,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use partwise_net::request::{FileBody, Portion};
use partwise_protocol::transport::{Body, Segment, SendBuffer, SendState, SourceError, SourceRange};

use crate::{
    digest::{Digest, Digester},
    reading::{Pieces, Reader},
};

/// The body of one attempt of one request: an [`http_body::Body`] of exactly known length.
///
/// File content is read while it is sent, in pieces from a few buffers that are used again; no part or file is ever in
/// memory as a whole. It fails with [`SourceError`] when the source cannot be read or ends early.
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body::Body as _;
/// use http_body_util::Full;
/// use partwise::{Api, Client, Credential, RequestBody};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // A transport that answers every request itself.
/// let transport = tower::service_fn(|request: Request<RequestBody>| async move {
///     assert_eq!(request.body().size_hint().exact(), Some(0));
///     Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(r#"{"id": "file-1"}"#))))
/// });
/// let client = Client::builder(Api::openai(), Credential::key("secret")?).transport(transport).build();
/// assert_eq!(client.file("file-1").await?.id, "file-1");
/// # Ok(())
/// # }
/// ```
pub struct RequestBody {
    whole: Body,
    segments: vec::IntoIter<Segment>,
    reader: Option<Reader>,
    pieces: Option<Pieces>,
    /// Takes the digest of the source's bytes as they are handed out, where that is wanted.
    digester: Option<Digester>,
    handoff: Arc<Handoff>,
}

/// How a body gets on, beside what its transport tells.
#[derive(Debug)]
pub(crate) struct Handoff {
    state: SendState,
    /// The digest of the source's bytes, once all of them were handed out.
    digest: OnceLock<Digest>,
    broken: OnceLock<SourceError>,
    /// Of the same body, once it is sent again for a redirect.
    again: OnceLock<Arc<Handoff>>,
}

impl Handoff {
    /// Of the body that was sent last.
    fn latest(&self) -> &Self {
        self.again.get().map_or(self, |again| again.latest())
    }

    /// What the transport is given, to tell how the body gets on.
    pub(crate) fn state(&self) -> &SendState {
        &self.state
    }

    /// Stops the body, and says how many of its bytes may have reached the peer: an upper bound that is final.
    pub(crate) fn left(&self) -> u64 {
        let left = self.state.stop();
        self.again.get().map_or(left, |again| again.left())
    }

    /// The digest of the source's bytes, once all of them were handed out and if it was wanted.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.latest().digest.get().copied()
    }

    /// How many bytes the body has.
    pub(crate) fn len(&self) -> u64 {
        self.state.length().unwrap_or(u64::MAX)
    }

    /// How many bytes have left, as far as the transport tells.
    pub(crate) fn sent(&self) -> u64 {
        self.latest().state.departed()
    }

    /// What the transport may hold of those bytes, once it has said so.
    pub(crate) fn send_buffer(&self) -> Option<SendBuffer> {
        self.latest().state.send_buffer()
    }

    /// How often bytes that had left were seen to get on.
    pub(crate) fn signs(&self) -> u64 {
        self.latest().state.movements()
    }

    /// Why the source could not be read to its end, if that is what happened.
    pub(crate) fn broken(&self) -> Option<&SourceError> {
        self.broken.get()
    }
}

impl RequestBody {
    /// A body whose ranges of a source are read by `reader`.
    pub(crate) fn new(body: Body, reader: Option<Reader>) -> Self {
        let handoff = Handoff {
            state: SendState::new(body.content_length()),
            digest: OnceLock::new(),
            broken: OnceLock::new(),
            again: OnceLock::new(),
        };
        let segments = body.clone().into_segments().into_iter();
        let handoff = Arc::new(handoff);
        Self { whole: body, segments, reader, pieces: None, digester: None, handoff }
    }

    /// The same body, which takes the digest of the source's bytes as they are handed out.
    pub(crate) fn with_digest(self) -> Self {
        Self { digester: Some(Digester::new()), ..self }
    }

    /// What it takes to send the same body again.
    pub(crate) fn spare(&self) -> Spare {
        let (whole, reader) = (self.whole.clone(), self.reader.clone());
        Spare { whole, reader, takes_digest: self.digester.is_some(), handoff: self.handoff.clone() }
    }

    pub(crate) fn handoff(&self) -> Arc<Handoff> {
        self.handoff.clone()
    }

    /// What comes next, counted as taken; files are read unless they are wanted `as_files`.
    fn poll_counted(
        &mut self,
        cx: &mut Context<'_>,
        as_files: bool,
    ) -> Poll<Option<Result<Portion, SourceError>>> {
        if self.handoff.state.is_stopped() {
            return Poll::Pending;
        }
        let portion = ready!(self.poll_uncounted(cx, as_files));
        match &portion {
            Some(Ok(portion)) if !self.handoff.state.take(portion.len()) => return Poll::Pending,
            Some(Ok(_)) => {}
            Some(Err(error)) => drop(self.handoff.broken.set(error.clone())),
            None => {}
        }
        Poll::Ready(portion)
    }

    fn poll_uncounted(
        &mut self,
        cx: &mut Context<'_>,
        as_files: bool,
    ) -> Poll<Option<Result<Portion, SourceError>>> {
        loop {
            if let Some(pieces) = &mut self.pieces {
                if let Some((file, range)) = as_files.then(|| pieces.take_file()).flatten() {
                    // The system sends these bytes; they never come by here.
                    self.digester = None;
                    return Poll::Ready(Some(Ok(Portion::File(file, range.start()..range.end()))));
                }
                match ready!(pieces.poll_next(cx)) {
                    Some(piece) => {
                        if let (Some(digester), Ok(piece)) = (&mut self.digester, &piece) {
                            digester.update(piece);
                        }
                        return Poll::Ready(Some(piece.map(Portion::Bytes).map_err(SourceError::new)));
                    }
                    None => {
                        self.pieces = None;
                        if let Some(digester) = &self.digester {
                            let _ = self.handoff.digest.set(digester.digest());
                        }
                    }
                }
            }
            match self.segments.next() {
                None => return Poll::Ready(None),
                Some(Segment::Bytes(bytes)) => return Poll::Ready(Some(Ok(Portion::Bytes(bytes)))),
                Some(Segment::Source(range)) => match &self.reader {
                    Some(reader) => self.pieces = Some(reader.read(range)),
                    None => return Poll::Ready(Some(Err(SourceError::new(NoSource { range })))),
                },
            }
        }
    }
}

/// A body that was sent before, from its beginning.
pub(crate) struct Spare {
    whole: Body,
    reader: Option<Reader>,
    takes_digest: bool,
    handoff: Arc<Handoff>,
}

impl Spare {
    /// The body. Who asks the one that was sent before how much has left hears of this one from now on.
    pub(crate) fn into_body(self) -> RequestBody {
        let mut body = RequestBody::new(self.whole, self.reader);
        if self.takes_digest {
            body = body.with_digest();
        }
        // It is sent again once, and the next time from the body that was sent last.
        let _ = self.handoff.again.set(body.handoff());
        body
    }
}

/// A request names bytes of a source, and none was given with it.
#[derive(Debug, thiserror::Error)]
#[error("the request needs bytes {}..{} of a source, and none was given", range.start(), range.end())]
struct NoSource {
    range: SourceRange,
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = SourceError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SourceError>>> {
        match ready!(self.poll_counted(cx, false)?) {
            Some(Portion::Bytes(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Some(Portion::File(..)) => unreachable!("files are not wanted"),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.handoff.state.is_taken()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.handoff.len().saturating_sub(self.handoff.state.taken()))
    }
}

impl FileBody for RequestBody {
    fn poll_portion(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Portion, SourceError>>> {
        self.poll_counted(cx, true)
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("len", &self.handoff.len())
            .field("taken", &self.handoff.state.taken())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::BodyExt;

    use super::*;
    use crate::{IntoSource as _, Reading};

    fn mixed() -> Body {
        Body::from_segments(vec![
            Bytes::from_static(b"head").into(),
            SourceRange::new(2, 7).into(),
            Bytes::from_static(b"tail").into(),
        ])
        .unwrap()
    }

    fn reader(content: &'static [u8]) -> Reader {
        Reader::new(Bytes::from_static(content).into_source(), Reading::Inline)
    }

    #[tokio::test]
    async fn segments_come_in_order_and_the_length_is_exact() {
        let mut body = RequestBody::new(mixed(), Some(reader(b"0123456789")));
        let handoff = body.handoff();
        assert_eq!(body.size_hint().exact(), Some(13));
        let head = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(
            (&*head, body.size_hint().exact(), handoff.state.taken()),
            (b"head".as_slice(), Some(9), 4)
        );
        assert_eq!(body.collect().await.unwrap().to_bytes(), "23456tail");
        assert!(handoff.state.is_taken());
    }

    #[tokio::test]
    async fn the_last_frame_is_known_to_be_the_last() {
        let mut body = RequestBody::new(Body::from(Bytes::from_static(b"x")), None);
        assert!(!body.is_end_stream());
        body.frame().await.unwrap().unwrap();
        assert!(body.is_end_stream());
        assert!(RequestBody::new(Body::empty(), None).is_end_stream());
    }

    #[tokio::test]
    async fn a_body_without_its_source_says_so() {
        let error = RequestBody::new(mixed(), None).collect().await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap();
        assert_eq!(cause.to_string(), "the request needs bytes 2..7 of a source, and none was given");
    }

    #[tokio::test]
    async fn what_has_left_is_what_was_taken_until_the_socket_says_less() {
        let mut body = RequestBody::new(mixed(), Some(reader(b"0123456789")));
        let handoff = body.handoff();
        body.frame().await.unwrap().unwrap();
        let attempt = handoff.state.begin_attempt(SendBuffer::default());
        assert!(attempt.take(4));
        attempt.note_departed(3);
        attempt.note_closed();
        assert_eq!((handoff.left(), handoff.len()), (3, 13));

        let mut body = RequestBody::new(mixed(), Some(reader(b"0123456789")));
        body.frame().await.unwrap().unwrap();
        let handoff = body.handoff();
        assert_eq!(handoff.left(), 4, "without a socket that counts");
    }

    #[tokio::test]
    async fn a_body_that_is_sent_again_tells_how_much_of_it_has_left() {
        let first = RequestBody::new(mixed(), Some(reader(b"0123456789")));
        let (handoff, spare) = (first.handoff(), first.spare());
        first.collect().await.unwrap();
        assert_eq!(handoff.sent(), 13);
        let mut second = spare.into_body();
        assert_eq!(handoff.sent(), 0);
        second.frame().await.unwrap().unwrap();
        assert_eq!(handoff.sent(), 4);
        assert_eq!(second.collect().await.unwrap().to_bytes(), "23456tail");
    }

    #[tokio::test]
    async fn a_stopped_body_is_silent() {
        let mut body = RequestBody::new(mixed(), Some(reader(b"0123456789")));
        body.frame().await.unwrap().unwrap();
        body.handoff().state.stop();
        let next =
            std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx).is_pending())).await;
        assert!(next);
    }
}
