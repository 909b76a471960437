//! The body of a request as one of our own connections sends it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use partwise_protocol::SourceError;
use partwise_sendfile::{Files, Piece};

use crate::{
    RequestBody,
    body::{Handoff, Portion},
};

/// A body whose files are sent by the system, when the connection has `files`, and whose bytes are counted as the socket
/// takes them.
pub(super) struct StackBody {
    body: RequestBody,
    files: Option<Files>,
    handoff: Arc<Handoff>,
}

/// A piece of it.
pub(super) struct Counted {
    piece: Piece,
    handoff: Arc<Handoff>,
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
        self.handoff.note_written(count as u64);
    }
}

impl StackBody {
    pub(super) fn new(body: RequestBody, files: Option<Files>) -> Self {
        let handoff = body.handoff();
        handoff.tell_written();
        Self { body, files, handoff }
    }

    /// The body, for another connection.
    pub(super) fn into_inner(self) -> RequestBody {
        self.body
    }
}

impl Body for StackBody {
    type Data = Counted;
    type Error = SourceError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Counted>, SourceError>>> {
        let Self { body, files, handoff } = &mut *self;
        let Some(portion) = ready!(body.poll_portion(cx, files.is_some())?) else { return Poll::Ready(None) };
        let piece = match (portion, files) {
            (Portion::Bytes(bytes), _) => Piece::Bytes(bytes),
            (Portion::File(file, range), Some(files)) => files.piece(file, range.start()..range.end()),
            (Portion::File(..), None) => unreachable!("files are not wanted"),
        };
        Poll::Ready(Some(Ok(Frame::data(Counted { piece, handoff: handoff.clone() }))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
