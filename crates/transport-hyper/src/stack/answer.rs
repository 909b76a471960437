//! The body of an answer, which owns its connection until it has been read.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Uri;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::{connection::Lease, error::StackError, exchange::explain};
use crate::body::Handoff;

/// The body of an answer. Read to its end it frees its connection for the next request; dropped before, it closes it.
pub struct AnswerBody {
    incoming: Incoming,
    lease: Option<Lease>,
    handoff: Arc<Handoff>,
    silence: Silence,
    uri: Uri,
}

/// How long nothing has come while somebody waited.
struct Silence {
    limit: Duration,
    sleep: Pin<Box<Sleep>>,
    waiting: bool,
}

impl AnswerBody {
    pub(super) fn new(
        incoming: Incoming,
        lease: Lease,
        handoff: Arc<Handoff>,
        limit: Duration,
        uri: Uri,
    ) -> Self {
        let silence = Silence { limit, sleep: Box::pin(tokio::time::sleep(limit)), waiting: false };
        let mut body = Self { incoming, lease: Some(lease), handoff, silence, uri };
        if body.incoming.is_end_stream() {
            body.complete();
        }
        body
    }

    fn complete(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let everything_left = self.handoff.is_finished() && !lease.connection.gauge.is_blocked();
        if everything_left {
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
                self.silence.waiting = false;
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
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
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
