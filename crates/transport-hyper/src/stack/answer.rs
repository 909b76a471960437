//! The body of an answer, which owns its connection until it has been read.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Uri;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use partwise_net::answer::{DirectBody, DirectRead};

use super::{
    body::Sending, connection::Lease, direct::DirectAnswer, error::StackError, exchange::explain,
    silence::ReadSilence,
};

/// A shorter answer comes with its head, or nearly: there is nothing to be gained by reading the rest without HTTP.
const WORTH_TAKING: u64 = 256 * 1024;

/// The body of an answer. Read to its end it frees its connection for the next request; dropped before, it closes it.
///
/// ```no_run
/// use bytes::Bytes;
/// use http_body_util::{BodyExt as _, Full};
/// use partwise_transport_hyper::stack::Stack;
/// use tower_service::Service as _;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let request = http::Request::get("http://127.0.0.1:8080/v1/files").body(Full::new(Bytes::new()))?;
/// let answer = Stack::default().call(request).await?;
/// println!("{} bytes", answer.into_body().collect().await?.to_bytes().len());
/// # Ok(())
/// # }
/// ```
pub struct AnswerBody {
    incoming: Incoming,
    lease: Option<Lease>,
    state: Sending,
    silence: ReadSilence,
    uri: Uri,
    /// The connection is to serve other requests after this one, so everybody has said.
    stays_open: bool,
}

impl AnswerBody {
    pub(super) fn new(
        incoming: Incoming,
        lease: Lease,
        state: Sending,
        limit: Duration,
        uri: Uri,
        stays_open: bool,
    ) -> Self {
        let silence = ReadSilence::new(limit, lease.connection.gauge.traffic());
        let mut body = Self { incoming, lease: Some(lease), state, silence, uri, stays_open };
        if body.incoming.is_end_stream() {
            body.complete();
        }
        body
    }

    /// HTTP has taken all of the request's body and holds nothing of it back: it writes in the same turn, and says when it
    /// could not.
    fn everything_left(&self) -> bool {
        let is_blocked = |lease: &Lease| lease.connection.gauge.is_blocked();
        self.state.is_taken() && !self.lease.as_ref().is_some_and(is_blocked)
    }

    fn complete(&mut self) {
        let everything_left = self.everything_left();
        if let Some(lease) = self.lease.take().filter(|_| everything_left) {
            lease.give_back();
        }
    }

    fn fail(&mut self, error: hyper::Error) -> StackError {
        match self.lease.take() {
            Some(lease) => explain(error, &lease, &self.uri),
            None => StackError::Exchange(error),
        }
    }
}

/// How a connection ends that is not to stay open is left to HTTP.
impl DirectBody for AnswerBody {
    async fn direct(mut self) -> Result<Box<dyn DirectRead>, Self> {
        let length = self.incoming.size_hint().exact().filter(|length| *length >= WORTH_TAKING);
        let may_be_taken = self.stays_open && self.everything_left();
        let (Some(mut remaining), true) = (length, may_be_taken) else { return Err(self) };
        let Some(mut lease) = self.lease.take() else { return Err(self) };
        let Some(taken) = lease.connection.take().await else {
            self.lease = Some(lease);
            return Err(self);
        };
        let mut early = VecDeque::new();
        // hyper has handed out one frame at most; behind it stands its error that the connection is gone.
        while let Some(Ok(frame)) = self.incoming.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            remaining = remaining.saturating_sub(data.len() as u64);
            early.push_back(data);
        }
        let Self { silence, uri, .. } = self;
        Ok(Box::new(DirectAnswer::new(early, taken, remaining, lease, silence, uri)))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = StackError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StackError>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.silence.ended();
                if self.incoming.is_end_stream() {
                    self.complete();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(self.fail(error)))),
            Poll::Ready(None) => {
                self.complete();
                Poll::Ready(None)
            }
            Poll::Pending => match self.silence.poll(cx) {
                Poll::Ready(after) => {
                    if let Some(lease) = self.lease.take() {
                        lease.distrust(after);
                    }
                    Poll::Ready(Some(Err(StackError::NoAnswer { after })))
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerBody").field("complete", &self.lease.is_none()).finish_non_exhaustive()
    }
}
