use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};

use super::{BoxError, ended};

/// The body of an answer, which may end before its end.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::{BodyExt as _, Empty};
/// use partwise_server::{
///     Keys, Server, Store,
///     testing::{Fault, Faults},
/// };
/// use tower_service::Service as _;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let faults = Faults::new();
/// faults.on_any().every(Fault::Truncate(3));
/// let mut service = faults.around(Server::builder(Store::memory()).keys(Keys::any()).build().await?);
/// let list = http::Request::get("/v1/files").header("authorization", "Bearer key").body(Empty::<Bytes>::new())?;
/// let answer = service.call(list).await?;
/// assert!(answer.into_body().collect().await.is_err(), "it ends after three bytes");
/// # Ok(())
/// # }
/// ```
pub struct FaultyBody {
    body: UnsyncBoxBody<Bytes, BoxError>,
    /// The number of bytes until the connection ends, if it does.
    left: Option<u64>,
    /// Set once it is known that the body has more bytes than that.
    has_more: bool,
    /// Set once the connection had its turn to send what it has before it ends.
    is_sent: bool,
}

impl FaultyBody {
    pub(super) fn of<B>(body: B, left: Option<u64>) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self { body: body.map_err(Into::into).boxed_unsync(), left, has_more: false, is_sent: false }
    }

    fn end_early(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // hyper throws away what it has not yet written when a body fails.
        if !std::mem::replace(&mut self.is_sent, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(ended())))
    }
}

impl Body for FaultyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if self.left == Some(0) && (self.has_more || self.body.size_hint().lower() > 0) {
                return self.end_early(cx);
            }
            let polled = Pin::new(&mut self.body).poll_frame(cx);
            let Some(left) = self.left else { return polled };
            let Some(frame) = ready!(polled?) else { return Poll::Ready(None) };
            let data = frame.into_data().unwrap_or_default();
            let sent = data.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.has_more = sent < data.len();
            self.left = Some(left - sent as u64);
            if sent > 0 {
                return Poll::Ready(Some(Ok(Frame::data(data.slice(..sent)))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.has_more && self.body.is_end_stream()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::StreamBody;

    use super::*;

    /// What comes of a body of unknown length in these pieces, and whether that was all.
    async fn read(pieces: &[&'static str], left: u64) -> (Vec<u8>, bool) {
        let pieces: Vec<_> =
            pieces.iter().map(|&piece| Ok::<_, Infallible>(Frame::data(piece.into()))).collect();
        let mut body = FaultyBody::of(StreamBody::new(stream::iter(pieces)), Some(left));
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => read.extend(frame.into_data().unwrap()),
                Err(_) => return (read, false),
            }
        }
        (read, true)
    }

    #[tokio::test]
    async fn a_body_ends_early_only_where_it_has_more() {
        for (left, expected) in [(0, ""), (1, "a"), (2, "ab"), (3, "abc")] {
            assert_eq!(read(&["ab", "", "cd", ""], left).await, (expected.into(), false), "after {left}");
        }
        for left in [4, 5] {
            assert_eq!(read(&["ab", "", "cd", ""], left).await, ("abcd".into(), true), "after {left}");
        }
        assert_eq!(read(&[], 0).await, (Vec::new(), true));
    }
}
