use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};

use super::{BoxError, ended};

/// The body of an answer, which may end before its end.
pub struct FaultyBody {
    body: UnsyncBoxBody<Bytes, BoxError>,
    /// The number of bytes until the connection ends, if it does.
    left: Option<u64>,
    /// Set once the connection had its turn to send what it has before it ends.
    is_sent: bool,
}

impl FaultyBody {
    pub(super) fn of<B>(body: B, left: Option<u64>) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self { body: body.map_err(Into::into).boxed_unsync(), left, is_sent: false }
    }
}

impl Body for FaultyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left == Some(0) {
            // hyper throws away what it has not yet written when a body fails.
            if !std::mem::replace(&mut self.is_sent, true) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Some(Err(ended())));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let Some(left) = self.left else { return polled };
        polled.map(|frame| {
            let frame = frame?;
            Some(frame.map(|frame| {
                let data = frame.into_data().unwrap_or_default();
                let sent = data.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                self.left = Some(left - sent as u64);
                Frame::data(data.slice(..sent))
            }))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for FaultyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyBody").field("left", &self.left).finish_non_exhaustive()
    }
}
