//! Content of known length that comes once, as a source of which one part is kept.

use std::{collections::VecDeque, io, sync::Arc};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use partwise_protocol::{transport::SourceRange, upload::SourceStamp};
use tokio::sync::Mutex;

use super::stream::{PieceReader, piece_of};
use crate::digest::{Digest, Digester};

/// A stream that is sent in parts, in its order. The bytes of the range that was asked for last are kept, so that a part that fails
/// is sent again; bytes before it are gone.
pub(crate) struct OnceSource {
    length: u64,
    /// Held while the stream is read.
    window: Mutex<Window>,
}

/// The bytes of the stream from `start` to `end`, and what comes behind them.
struct Window {
    pieces: PieceReader,
    kept: VecDeque<Bytes>,
    start: u64,
    end: u64,
    /// Takes the digest of everything before `end`.
    digester: Digester,
    failure: Option<(io::ErrorKind, String)>,
}

impl OnceSource {
    pub(crate) fn new(pieces: PieceReader, length: u64) -> Self {
        let window = Window {
            pieces,
            kept: VecDeque::new(),
            start: 0,
            end: 0,
            digester: Digester::new(),
            failure: None,
        };
        Self { length, window: Mutex::new(window) }
    }

    /// The announced length. Once all bytes are read, it is also the length that the stream turned out to have.
    pub(crate) async fn stamp(&self) -> io::Result<SourceStamp> {
        let mut window = self.window.lock().await;
        if window.end == self.length {
            window.expect_end(self.length).await?;
        }
        Ok(SourceStamp::new(self.length))
    }

    /// The digest of the whole content, once all of it was read.
    pub(crate) async fn digest(&self) -> Option<Digest> {
        let window = self.window.lock().await;
        (window.end == self.length).then(|| window.digester.digest())
    }

    /// Reads the stream until it has the whole range, and forgets what comes before it. May be dropped and called again.
    pub(crate) async fn fill(&self, range: SourceRange) -> io::Result<()> {
        self.window.lock().await.fill(range, self.length).await
    }

    pub(crate) fn read(self: Arc<Self>, range: SourceRange) -> BoxStream<'static, io::Result<Bytes>> {
        let next = move |at| {
            let source = self.clone();
            async move {
                if at == range.end() {
                    return Ok(None);
                }
                let mut window = source.window.lock().await;
                window.fill(range, source.length).await?;
                let bytes = window.piece(SourceRange::new(at, range.end()));
                let end = at + bytes.len() as u64;
                Ok(Some((bytes, end)))
            }
        };
        stream::try_unfold(range.start(), next).boxed()
    }
}

impl Window {
    async fn fill(&mut self, range: SourceRange, length: u64) -> io::Result<()> {
        self.forget_until(range.start())?;
        while self.end < range.end() {
            let piece = self.next(piece_of(range.end() - self.end)).await?;
            if piece.is_empty() {
                let problem = format!("the stream ends at byte {}, and {length} were announced", self.end);
                return Err(self.fail(io::Error::new(io::ErrorKind::UnexpectedEof, problem)));
            }
            self.digester.update(&piece);
            self.end += piece.len() as u64;
            self.kept.push_back(piece);
        }
        Ok(())
    }

    async fn expect_end(&mut self, length: u64) -> io::Result<()> {
        self.check()?;
        match self.pieces.expect_end(length).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// A stream that has failed is not read again: it fails with the same error.
    async fn next(&mut self, size: usize) -> io::Result<Bytes> {
        self.check()?;
        match self.pieces.next(size).await {
            Ok(piece) => Ok(piece),
            Err(error) => Err(self.fail(error)),
        }
    }

    fn check(&self) -> io::Result<()> {
        match &self.failure {
            Some((kind, problem)) => Err(io::Error::new(*kind, problem.clone())),
            None => Ok(()),
        }
    }

    fn fail(&mut self, error: io::Error) -> io::Error {
        self.failure = Some((error.kind(), error.to_string()));
        error
    }

    fn forget_until(&mut self, start: u64) -> io::Result<()> {
        if start < self.start || start > self.end {
            let problem = format!(
                "a stream cannot be read from byte {start}: its bytes from {} on are kept",
                self.start
            );
            return Err(io::Error::new(io::ErrorKind::Unsupported, problem));
        }
        while self.start < start {
            // Ranges follow the parts, and pieces end where parts do.
            let Some(mut first) = self.kept.pop_front() else { break };
            let forgotten = (start - self.start).min(first.len() as u64);
            let rest = first.split_off(usize::try_from(forgotten).unwrap_or(usize::MAX));
            if !rest.is_empty() {
                self.kept.push_front(rest);
            }
            self.start += forgotten;
        }
        Ok(())
    }

    /// The bytes from the range's start on that are kept in one piece, and none past its end.
    fn piece(&self, range: SourceRange) -> Bytes {
        let mut at = self.start;
        for piece in &self.kept {
            let end = at + piece.len() as u64;
            if range.start() < end {
                let within = |place: u64| usize::try_from(place.min(end) - at).unwrap_or(usize::MAX);
                return piece.slice(within(range.start())..within(range.end()));
            }
            at = end;
        }
        Bytes::new()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;
    use crate::source::stream::{
        PIECE,
        tests::{Trickle, content},
    };

    fn source(length: u64) -> Arc<OnceSource> {
        Arc::new(OnceSource::new(PieceReader::new(Box::pin(Trickle(io::Cursor::new(content())))), length))
    }

    async fn read(source: &Arc<OnceSource>, start: u64, end: u64) -> io::Result<Vec<u8>> {
        let pieces: Vec<Bytes> = source.clone().read(SourceRange::new(start, end)).try_collect().await?;
        Ok(pieces.concat())
    }

    #[tokio::test]
    async fn a_range_is_read_again_and_what_comes_before_it_is_forgotten() {
        let (source, content) = (source(1_000_000), content());
        for _ in 0..2 {
            assert!(read(&source, 0, 600_000).await.unwrap() == content[..600_000]);
        }
        assert!(read(&source, 300_000, 600_000).await.unwrap() == content[300_000..600_000]);
        for _ in 0..2 {
            assert!(read(&source, 600_000, 1_000_000).await.unwrap() == content[600_000..]);
        }
        let kept = source.window.lock().await.kept.iter().map(Bytes::len).collect::<Vec<_>>();
        assert_eq!(kept, [PIECE, 400_000 - PIECE], "full pieces, however little comes at a time");
        let error = read(&source, 0, 1).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "a stream cannot be read from byte 0: its bytes from 600000 on are kept"
        );
        assert_eq!(source.stamp().await.unwrap(), SourceStamp::new(1_000_000));
    }

    #[tokio::test]
    async fn a_stream_that_ends_early_fails_each_time_it_is_asked() {
        let source = source(1_000_001);
        assert_eq!(source.stamp().await.unwrap(), SourceStamp::new(1_000_001));
        let error = read(&source, 900_000, 1_000_001).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "a stream cannot be read from byte 900000: its bytes from 0 on are kept"
        );
        for _ in 0..2 {
            let error = read(&source, 0, 1_000_001).await.unwrap_err();
            assert_eq!(error.to_string(), "the stream ends at byte 1000000, and 1000001 were announced");
        }
    }

    #[tokio::test]
    async fn a_stream_that_has_more_than_was_announced_has_no_stamp_at_its_end() {
        let source = source(999_999);
        assert!(source.stamp().await.is_ok());
        assert_eq!(read(&source, 0, 999_999).await.unwrap().len(), 999_999);
        for _ in 0..2 {
            let error = source.stamp().await.unwrap_err();
            assert_eq!(error.to_string(), "the stream has more than the 999999 bytes that were announced");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_stays_open_has_ended_when_it_says_nothing_more() {
        let (mut peer, reader) = tokio::io::duplex(1 << 20);
        tokio::io::AsyncWriteExt::write_all(&mut peer, &content()).await.unwrap();
        let source = Arc::new(OnceSource::new(PieceReader::new(Box::pin(reader)), 1_000_000));
        assert!(read(&source, 0, 1_000_000).await.unwrap() == content());
        assert!(source.stamp().await.is_ok());
    }

    #[tokio::test]
    async fn the_digest_of_what_came_is_known_at_the_end() {
        let source = source(1_000_000);
        read(&source, 0, 500_000).await.unwrap();
        assert_eq!(source.digest().await, None);
        read(&source, 500_000, 1_000_000).await.unwrap();
        let mut digester = Digester::new();
        digester.update(&content());
        assert_eq!(source.digest().await, Some(digester.digest()));
    }
}
