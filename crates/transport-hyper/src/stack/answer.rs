//! The body of an answer, which owns its connection until it has been read.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Uri;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::{
    connection::Lease,
    direct::{DirectBody, Setting},
    error::StackError,
    exchange::explain,
};
use crate::body::Handoff;

/// The body of an answer. Read to its end it frees its connection for the next request; dropped before, it closes it.
pub struct AnswerBody {
    incoming: Incoming,
    handoff: Arc<Handoff>,
    lease: Option<Lease>,
    silence: Silence,
    uri: Uri,
    is_kept: bool,
}

/// Less than this is not worth the taking of the stream.
const WORTH_TAKING: u64 = 256 * 1024;

/// How long nothing has come while somebody waited.
pub(super) struct Silence {
    limit: Duration,
    sleep: Pin<Box<Sleep>>,
    waiting: bool,
}

impl AnswerBody {
    pub(super) fn new(incoming: Incoming, handoff: Arc<Handoff>, setting: Setting) -> Self {
        let Setting { lease, silence, uri, is_kept } = setting;
        let mut body = Self { incoming, handoff, lease: Some(lease), silence, uri, is_kept };
        if body.incoming.is_end_stream() {
            body.complete();
        }
        body
    }

    /// The rest, to be read from the connection itself; the same body where that cannot be, or is not worth it.
    pub(crate) async fn direct(mut self) -> Result<DirectBody, Self> {
        let length = self.incoming.size_hint().exact().filter(|length| *length >= WORTH_TAKING);
        let (Some(mut remaining), true) = (length, self.everything_left()) else { return Err(self) };
        let Some(mut lease) = self.lease.take() else { return Err(self) };
        let Some(taken) = lease.connection.take().await else {
            self.lease = Some(lease);
            return Err(self);
        };
        let mut early = VecDeque::new();
        // hyper has handed out one frame at most, and says after it that it was torn away.
        while let Some(Ok(frame)) = self.incoming.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            remaining = remaining.saturating_sub(data.len() as u64);
            early.push_back(data);
        }
        let Self { silence, uri, is_kept, .. } = self;
        Ok(DirectBody::new(early, taken, remaining, Setting { lease, silence, uri, is_kept }))
    }

    fn everything_left(&self) -> bool {
        let is_blocked = |lease: &Lease| lease.connection.gauge.is_blocked();
        self.handoff.is_finished() && !self.lease.as_ref().is_some_and(is_blocked)
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

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = StackError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StackError>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.silence.is_over();
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
                    self.lease = None;
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

impl Silence {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, sleep: Box::pin(tokio::time::sleep(limit)), waiting: false }
    }

    pub(super) fn is_over(&mut self) {
        self.waiting = false;
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        if !self.waiting {
            self.waiting = true;
            self.sleep.as_mut().reset(Instant::now() + self.limit);
        }
        self.sleep.as_mut().poll(cx).map(|()| self.limit)
    }
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerBody").field("complete", &self.lease.is_none()).finish_non_exhaustive()
    }
}
