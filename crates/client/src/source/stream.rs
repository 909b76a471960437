//! Content that comes once, as a stream.

use std::{
    fs::File,
    io::{self, Seek as _, Write as _},
    mem,
    pin::Pin,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use partwise_net::blocking::Blocking;
use tokio::{
    io::{AsyncRead, ReadBuf},
    time::timeout,
};

use super::FileSource;

/// How long a stream that has given all that was announced is asked for more.
const END_LIMIT: Duration = Duration::from_secs(1);
/// The size of a piece.
pub(super) const PIECE: usize = 256 * 1024;

pub(crate) type AnyReader = Pin<Box<dyn AsyncRead + Send>>;

/// A stream as pieces that are full, however little of it comes at a time.
pub(crate) struct PieceReader {
    reader: AnyReader,
    room: BytesMut,
    filled: usize,
}

impl PieceReader {
    pub(crate) fn new(reader: AnyReader) -> Self {
        Self { reader, room: BytesMut::new(), filled: 0 }
    }

    /// Reads a piece of `size` bytes, or fewer at the end of the stream. May be dropped and called again with the same size.
    pub(super) async fn next(&mut self, size: usize) -> io::Result<Bytes> {
        if self.room.len() < size {
            self.room.resize(size, 0);
        }
        while self.filled < size {
            let room = &mut self.room[self.filled..size];
            let read = std::future::poll_fn(|cx| {
                let mut room = ReadBuf::new(room);
                self.reader.as_mut().poll_read(cx, &mut room).map_ok(|()| room.filled().len())
            });
            match read.await? {
                0 => break,
                more => self.filled += more,
            }
        }
        let mut piece = mem::take(&mut self.room);
        piece.truncate(mem::take(&mut self.filled));
        Ok(piece.freeze())
    }

    /// Fails when the stream has more than the `announced` bytes that were read of it. One that stays open and says nothing has
    /// ended.
    pub(crate) async fn expect_end(&mut self, announced: u64) -> io::Result<()> {
        let Ok(piece) = timeout(END_LIMIT, self.next(1)).await else { return Ok(()) };
        if piece?.is_empty() {
            return Ok(());
        }
        let problem = format!("the stream has more than the {announced} bytes that were announced");
        Err(io::Error::new(io::ErrorKind::InvalidData, problem))
    }
}

/// The stream in a temporary file, which has no name, or goes with this process at the latest. At most `most` bytes are read.
pub(crate) async fn spool(pieces: &mut PieceReader, most: u64) -> io::Result<FileSource> {
    let mut file: File = Blocking::start(tempfile::tempfile).await?;
    let mut left = most;
    loop {
        let piece = pieces.next(piece_of(left)).await?;
        if piece.is_empty() {
            break;
        }
        left -= piece.len() as u64;
        file = Blocking::start(move || {
            file.write_all(&piece)?;
            Ok(file)
        })
        .await?;
    }
    file.rewind()?;
    Ok(FileSource::of(file))
}

/// The stream in memory. At most `most` bytes are read.
pub(crate) async fn collect(pieces: &mut PieceReader, most: u64) -> io::Result<Bytes> {
    let mut all = BytesMut::new();
    loop {
        let piece = pieces.next(piece_of(most - all.len() as u64)).await?;
        if piece.is_empty() {
            return Ok(all.freeze());
        }
        all.extend_from_slice(&piece);
    }
}

/// The size of the next piece, when this much is left.
pub(super) fn piece_of(left: u64) -> usize {
    usize::try_from(left).unwrap_or(PIECE).min(PIECE)
}

#[cfg(test)]
pub(super) mod tests {
    use std::task::{Context, Poll};

    use super::*;

    pub(in crate::source) fn content() -> Vec<u8> {
        (0..1_000_000_u32).map(|at| (at % 251) as u8).collect()
    }

    /// Gives a few bytes at a time.
    pub(in crate::source) struct Trickle(pub(in crate::source) io::Cursor<Vec<u8>>);

    impl AsyncRead for Trickle {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let mut few = [0; 100];
            let most = few.len().min(buffer.remaining());
            let count = io::Read::read(&mut self.0, &mut few[..most])?;
            buffer.put_slice(&few[..count]);
            Poll::Ready(Ok(()))
        }
    }

    fn trickle() -> PieceReader {
        PieceReader::new(Box::pin(Trickle(io::Cursor::new(content()))))
    }

    #[tokio::test]
    async fn what_is_spooled_or_collected_is_what_came_up_to_the_limit() {
        let content = content();
        for most in [2_000_000, 1_000_000, 999_999, 0] {
            let expected = &content[..content.len().min(usize::try_from(most).unwrap())];
            let source = spool(&mut trickle(), most).await.unwrap();
            let mut read = vec![0; expected.len()];
            crate::source::read_exact_at(&source, 0, &mut read).unwrap();
            assert!(read == expected);
            assert_eq!(crate::Source::stamp(&source).unwrap().length, expected.len() as u64);
            assert!(collect(&mut trickle(), most).await.unwrap() == expected);
        }
    }

    #[tokio::test]
    async fn pieces_are_full_however_little_comes_at_a_time() {
        let mut pieces = trickle();
        let mut sizes = Vec::new();
        loop {
            let piece = pieces.next(PIECE).await.unwrap();
            if piece.is_empty() {
                break;
            }
            sizes.push(piece.len());
        }
        assert_eq!(sizes, [PIECE, PIECE, PIECE, 1_000_000 - 3 * PIECE]);
    }
}
