//! A reader that blocks, read by async code.

use std::{
    io::{self, Read},
    pin::Pin,
    task::{Context, Poll, ready},
    thread,
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::mpsc,
};

/// The most that is read at a time, in bytes.
const PIECE: usize = 256 << 10;

/// Reads on a thread, one piece ahead. The thread is not one of the runtime's, which would wait for it at its end: a reader may
/// block for ever.
pub(super) enum Stream {
    /// Nothing has been read yet.
    New(Box<dyn Read + Send>),
    Reading {
        pieces: mpsc::Receiver<io::Result<Bytes>>,
        piece: Bytes,
    },
    Ended,
}

impl Stream {
    pub(super) fn new(reader: impl Read + Send + 'static) -> Self {
        Self::New(Box::new(reader))
    }

    /// Starts the thread, which ends with the reader, with its first error, or after this was dropped.
    fn start(mut reader: Box<dyn Read + Send>) -> io::Result<Self> {
        let (sender, pieces) = mpsc::channel(1);
        thread::Builder::new().name("partwise-read".to_owned()).spawn(move || {
            loop {
                let piece = match read(&mut *reader) {
                    Ok(piece) if piece.is_empty() => return,
                    piece => piece,
                };
                let is_error = piece.is_err();
                if sender.blocking_send(piece).is_err() || is_error {
                    return;
                }
            }
        })?;
        Ok(Self::Reading { pieces, piece: Bytes::new() })
    }
}

/// The next bytes; none at the end.
fn read(reader: &mut dyn Read) -> io::Result<Bytes> {
    let mut room = vec![0; PIECE];
    loop {
        match reader.read(&mut room) {
            Ok(count) => {
                room.truncate(count);
                return Ok(room.into());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match &mut *self {
                Self::Ended => return Poll::Ready(Ok(())),
                Self::Reading { piece, .. } if piece.has_remaining() => {
                    let count = piece.len().min(room.remaining());
                    room.put_slice(&piece.split_to(count));
                    return Poll::Ready(Ok(()));
                }
                Self::Reading { pieces, piece } => match ready!(pieces.poll_recv(cx)) {
                    Some(Ok(read)) => *piece = read,
                    Some(Err(error)) => {
                        *self = Self::Ended;
                        return Poll::Ready(Err(error));
                    }
                    None => *self = Self::Ended,
                },
                Self::New(_) => {
                    if let Self::New(reader) = std::mem::replace(&mut *self, Self::Ended) {
                        *self = Self::start(reader)?;
                    }
                }
            }
        }
    }
}
