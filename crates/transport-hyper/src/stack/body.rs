//! The body of a request as one of our own connections sends it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use partwise_protocol::SourceError;
use partwise_sendfile::{Files, Piece};

use crate::{RequestBody, body::Portion};

/// A body whose files are sent by the system, when the connection has `files`.
pub(super) struct StackBody {
    body: RequestBody,
    files: Option<Files>,
}

impl StackBody {
    pub(super) fn new(body: RequestBody, files: Option<Files>) -> Self {
        Self { body, files }
    }

    /// The body, for another connection.
    pub(super) fn into_inner(self) -> RequestBody {
        self.body
    }
}

impl Body for StackBody {
    type Data = Piece;
    type Error = SourceError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, SourceError>>> {
        let Self { body, files } = &mut *self;
        let Some(portion) = ready!(body.poll_portion(cx, files.is_some())?) else { return Poll::Ready(None) };
        let piece = match (portion, files) {
            (Portion::Bytes(bytes), _) => Piece::Bytes(bytes),
            (Portion::File(file, range), Some(files)) => files.piece(file, range.start()..range.end()),
            (Portion::File(..), None) => unreachable!("files are not wanted"),
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
