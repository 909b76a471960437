//! The body of a request as one of our own connections sends it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::{Method, Request, header, request};
use http_body::{Body, Frame, SizeHint};
use partwise_net::{
    BoxError,
    files::{FileOrBytes, Files},
    request::{Portion, SendsFiles},
};
use partwise_protocol::transport::{SendAttempt, SendState};
use pin_project_lite::pin_project;

use super::wire::SEND_BUFFER;

/// A body whose files are sent by the system, when the connection has `files`, and whose bytes are counted as HTTP and the socket
/// take them. The type of the caller's body is forgotten, so that one connection serves requests of any.
pub(super) struct StackBody {
    body: Pin<Box<dyn Outgoing>>,
    files: Option<Files>,
    sending: Sending,
}

/// How a body gets on: counted here, and told to a caller who wants to know.
#[derive(Clone, Debug)]
pub(super) struct Sending {
    /// How much HTTP has taken.
    counted: SendState,
    /// The caller's, of a body that no layer has changed.
    told: Option<SendAttempt>,
}

/// A piece of it.
pub(super) struct Counted {
    piece: FileOrBytes,
    sending: Sending,
}

/// A body of any type.
trait Outgoing: Send {
    /// The next stretch of it, counted as taken; files are read unless there are `files` to send them.
    fn poll_piece(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        files: Option<&Files>,
        sending: &Sending,
    ) -> Poll<Option<Result<Frame<FileOrBytes>, BoxError>>>;

    fn is_end_stream(&self) -> bool;

    fn size_hint(&self) -> SizeHint;
}

pin_project! {
    struct Any<B> {
        #[pin]
        body: B,
        sends_files: Option<SendsFiles<B>>,
    }
}

impl<B> Outgoing for Any<B>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    fn poll_piece(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        files: Option<&Files>,
        sending: &Sending,
    ) -> Poll<Option<Result<Frame<FileOrBytes>, BoxError>>> {
        let this = self.project();
        if let (Some(sends_files), Some(files)) = (*this.sends_files, files) {
            let Some(portion) = ready!(sends_files.poll_portion(this.body, cx)?) else {
                return Poll::Ready(None);
            };
            // Before it becomes a piece: one that was made has to be sent.
            if !sending.take(portion.len()) {
                return Poll::Pending;
            }
            return Poll::Ready(Some(Ok(Frame::data(match portion {
                Portion::Bytes(bytes) => FileOrBytes::Bytes(bytes),
                Portion::File(file, range) => files.piece(file, range),
            }))));
        }
        let Some(frame) = ready!(this.body.poll_frame(cx).map_err(Into::into)?) else {
            return Poll::Ready(None);
        };
        if !sending.take(frame.data_ref().map_or(0, |data| data.len() as u64)) {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(frame.map_data(FileOrBytes::Bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Buf for Counted {
    fn remaining(&self) -> usize {
        self.piece.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.piece.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.piece.advance(count);
        self.sending.tell(|told| told.note_departed(count as u64));
    }
}

impl Sending {
    fn of<B: Body>(head: &request::Parts, body: &B) -> Self {
        let length = body.size_hint().exact().or_else(|| announced(head));
        // Of a body that a layer has compressed, all may arrive although less has departed than the caller's has.
        let callers = head.extensions.get::<SendState>();
        let callers = callers.filter(|state| length.is_some() && state.length() == length);
        Self {
            counted: length.map_or_else(SendState::of_unknown_length, SendState::new),
            told: callers.map(|state| state.begin_attempt(SEND_BUFFER)),
        }
    }

    /// The length of the body, in bytes, when it is known.
    pub(super) fn length(&self) -> Option<u64> {
        self.counted.length()
    }

    /// Whether HTTP has taken the whole body.
    pub(super) fn is_taken(&self) -> bool {
        self.counted.is_taken()
    }

    /// Stops the body: nothing more of it is sent.
    pub(super) fn stop(&self) {
        self.counted.stop();
        self.tell(SendAttempt::stop);
    }

    /// Says that the connection is closed, so that what has departed is all that ever does.
    pub(super) fn note_closed(&self) {
        self.tell(SendAttempt::note_closed);
    }

    /// Says that bytes that had departed were seen to move.
    pub(super) fn note_movement(&self) {
        self.tell(SendAttempt::note_movement);
    }

    /// Whether nothing more of it is to be sent, by the caller's wish or by the answer.
    pub(super) fn is_stopped(&self) -> bool {
        self.counted.is_stopped() || self.told.as_ref().is_some_and(SendAttempt::is_stopped)
    }

    fn take(&self, bytes: u64) -> bool {
        self.counted.take(bytes) && self.told.as_ref().is_none_or(|told| told.take(bytes))
    }

    fn end(&self) {
        self.counted.end();
    }

    fn tell(&self, tell: impl FnOnce(&SendAttempt)) {
        if let Some(told) = &self.told {
            tell(told);
        }
    }
}

/// The number of bytes that HTTP sends of a body that does not know its length, where the head settles it.
fn announced(head: &request::Parts) -> Option<u64> {
    if head.headers.contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    match head.headers.get(header::CONTENT_LENGTH) {
        Some(length) => length.to_str().ok()?.trim().parse().ok(),
        None => matches!(head.method, Method::GET | Method::HEAD | Method::CONNECT).then_some(0),
    }
}

impl StackBody {
    /// The request with its body as a connection sends it. If its caller wants to be told how the body gets on, there is a
    /// [`SendState`] among its extensions.
    pub(super) fn of<B>(request: Request<B>) -> Request<Self>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (head, body) = request.into_parts();
        let sending = Sending::of(&head, &body);
        let sends_files = head.extensions.get::<SendsFiles<B>>().copied();
        let body = Box::pin(Any { body, sends_files });
        Request::from_parts(head, Self { body, files: None, sending })
    }

    pub(super) fn sending(&self) -> &Sending {
        &self.sending
    }

    /// Makes ready for a connection, whose `files` go there.
    pub(super) fn begin(&mut self, files: Option<Files>) {
        self.files = files;
    }
}

impl Body for StackBody {
    type Data = Counted;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Counted>, BoxError>>> {
        let Self { body, files, sending } = &mut *self;
        if sending.is_stopped() {
            return Poll::Pending;
        }
        let Some(frame) = ready!(body.as_mut().poll_piece(cx, files.as_ref(), sending)?) else {
            sending.end();
            return Poll::Ready(None);
        };
        // HTTP asks for nothing behind them.
        if frame.is_trailers() {
            sending.end();
        }
        let counted = |piece| Counted { piece, sending: sending.clone() };
        Poll::Ready(Some(Ok(frame.map_data(counted))))
    }

    fn is_end_stream(&self) -> bool {
        let is_end = self.body.is_end_stream();
        if is_end {
            self.sending.end();
        }
        is_end
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

    use futures_util::stream;
    use http::HeaderMap;
    use http_body_util::{BodyExt as _, Full, StreamBody};

    use super::*;

    type Frames = Vec<Result<Frame<Bytes>, std::io::Error>>;

    fn streamed(method: Method, length: Option<u64>, frames: Frames) -> Request<StackBody> {
        let mut request = Request::builder().method(method);
        if let Some(length) = length {
            request = request.header(header::CONTENT_LENGTH, length);
        }
        StackBody::of(request.body(StreamBody::new(stream::iter(frames))).unwrap())
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_is_taken_at_its_end_or_with_its_trailers() {
        let data = || Ok(Frame::data(Bytes::from_static(b"some")));
        for frames in [vec![data()], vec![data(), Ok(Frame::trailers(HeaderMap::new()))]] {
            let count = frames.len();
            let mut body = streamed(Method::POST, None, frames).into_body();
            let sending = body.sending().clone();
            for _ in 0..count {
                assert!(!sending.is_taken());
                body.frame().await.unwrap().unwrap();
            }
            if count == 1 {
                assert!(body.frame().await.is_none());
            }
            assert_eq!((sending.length(), sending.is_taken()), (Some(4), true));
        }
    }

    #[test]
    fn the_head_says_how_long_a_body_is_that_does_not_know_it() {
        let length = |method, length| streamed(method, length, Vec::new()).into_body().sending().length();
        assert_eq!(length(Method::POST, Some(7)), Some(7));
        assert_eq!(length(Method::GET, None), Some(0));
        assert_eq!(length(Method::POST, None), None);
    }

    fn told(state: &SendState, body: &'static [u8]) -> StackBody {
        let request = Request::builder().extension(state.clone()).body(Full::new(Bytes::from_static(body)));
        let mut body = StackBody::of(request.unwrap()).into_body();
        body.begin(None);
        body
    }

    #[tokio::test]
    async fn a_caller_who_wants_to_know_is_told_what_has_departed_and_can_stop_the_body() {
        let state = SendState::new(8);
        let mut body = told(&state, b"01234567");
        let mut piece = body.frame().await.unwrap().unwrap().into_data().ok().unwrap();
        piece.advance(5);
        assert_eq!(state.departed(), 5);
        assert_eq!(state.stop(), 8, "the connection has it, and may send the rest");
        let next = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx).is_pending()));
        assert!(next.await);
        body.sending().note_closed();
        assert_eq!(state.stop(), 5);
    }

    #[tokio::test]
    async fn of_a_body_that_a_layer_has_changed_nothing_is_told() {
        let state = SendState::new(10_000);
        assert!(state.take(10_000), "a layer that compresses it has taken it all");
        let mut body = told(&state, b"compressed");
        let mut piece = body.frame().await.unwrap().unwrap().into_data().ok().unwrap();
        piece.advance(10);
        body.sending().note_closed();
        assert_eq!((state.departed(), state.stop()), (10_000, 10_000));
    }

    #[tokio::test]
    async fn an_answer_that_stops_one_attempt_leaves_the_next_one_alone() {
        let state = SendState::new(8);
        told(&state, b"01234567").sending().stop();
        assert!(told(&state, b"01234567").frame().await.is_some());
    }
}
