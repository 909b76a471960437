//! From a source to frames of a body, without blocking whom it must not.

use std::{
    fs::File,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use partwise_net::blocking::Blocking;
use partwise_protocol::{
    transport::{SourceError, SourceRange},
    upload::SourceStamp,
};

use crate::{
    buffers::Buffers,
    source::{AnySource, Kind, OnceSource, Source, read_exact_at},
};

/// Where a [`Source`] is read.
///
/// ```
/// use partwise::{Api, Client, Credential, Reading, Writing};
///
/// # fn example() -> Result<Client, Box<dyn std::error::Error>> {
/// // A program that does nothing but this upload.
/// let client = Client::builder(Api::openai(), Credential::key("sk-…")?)
///     .reading(Reading::Inline)
///     .writing(Writing::Inline)
///     .build();
/// # Ok(client)
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reading {
    /// On tokio's threads for blocking work, in pieces of 1 MiB, the next one while the one before is being sent. Right
    /// inside a service that has other things to do: a cold disk or a network file system holds up nobody else.
    #[default]
    Blocking,
    /// On the thread that sends, in pieces of 256 KiB. Saves a switch between threads for every piece; right when the
    /// runtime has nothing to do but this upload. On 64-bit Linux, and over plain http, the kernel sends files itself
    /// then (`sendfile`), in pieces of 512 KiB, which saves a copy of every byte.
    Inline,
}

impl Reading {
    fn piece(self) -> usize {
        match self {
            Self::Blocking => 1024 * 1024,
            Self::Inline => 256 * 1024,
        }
    }
}

/// As much of a file as is handed over at once. More would make progress coarse; hyper takes the next piece only when
/// most of this one has left.
const PIECE_OF_FILE: usize = 512 * 1024;

/// A source as bodies read it: all bodies of one upload share it, and its buffers with it.
#[derive(Clone)]
pub(crate) struct Reader {
    source: AnySource,
    reading: Reading,
    buffers: Arc<Buffers>,
}

impl Reader {
    pub(crate) fn new(source: AnySource, reading: Reading) -> Self {
        Self { source, reading, buffers: Buffers::of(reading.piece()) }
    }

    pub(crate) fn source(&self) -> &AnySource {
        &self.source
    }

    /// The bytes of this range in order, piece by piece.
    pub(crate) fn read(&self, range: SourceRange) -> Pieces {
        let at = match &self.source.0 {
            Kind::Async(source) => At::Stream { left: range.len(), stream: source.read(range).into() },
            Kind::Once(source) => At::Stream { left: range.len(), stream: source.clone().read(range).into() },
            Kind::Blocking(source) => match source.in_memory(range) {
                Some(bytes) => At::Memory(bytes),
                None => At::Source { source: source.clone(), rest: range, ahead: None },
            },
        };
        Pieces { reader: self.clone(), at }
    }

    /// The source, if it cannot be read from its beginning again.
    pub(crate) fn once(&self) -> Option<&Arc<OnceSource>> {
        match &self.source.0 {
            Kind::Once(source) => Some(source),
            Kind::Blocking(_) | Kind::Async(_) => None,
        }
    }

    /// Waits until this range can be read without waiting, where it comes once.
    pub(crate) async fn prepare(self, range: SourceRange) -> Result<(), SourceError> {
        match self.once() {
            Some(source) => source.fill(range).await.map_err(SourceError::new),
            None => Ok(()),
        }
    }

    /// What the source looks like now.
    pub(crate) async fn stamp(self) -> Result<SourceStamp, SourceError> {
        let stamp = match (&self.source.0, self.reading) {
            (Kind::Async(source), _) => source.stamp().await,
            (Kind::Once(source), _) => source.stamp().await,
            (Kind::Blocking(source), Reading::Inline) => source.stamp(),
            (Kind::Blocking(source), Reading::Blocking) => {
                let source = source.clone();
                Blocking::start(move || source.stamp()).await
            }
        };
        stamp.map_err(SourceError::new)
    }

    fn read_piece(&self, source: &dyn Source, piece: SourceRange) -> io::Result<Bytes> {
        // A piece is never longer than a buffer, so the length fits.
        let len = usize::try_from(piece.len()).unwrap_or(usize::MAX);
        self.buffers.fill(len, |buffer| read_exact_at(source, piece.start(), buffer))
    }
}

/// The pieces of one range.
pub(crate) struct Pieces {
    reader: Reader,
    at: At,
}

enum At {
    Memory(Bytes),
    Source {
        source: Arc<dyn Source>,
        rest: SourceRange,
        ahead: Option<Blocking<Bytes>>,
    },
    /// In a mutex, which is never locked, so that a body can be shared between threads as HTTP libraries want it.
    Stream {
        left: u64,
        stream: Mutex<BoxStream<'static, io::Result<Bytes>>>,
    },
}

impl Pieces {
    /// The next piece; `None` at the end.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let size = self.reader.buffers.size();
        match &mut self.at {
            At::Memory(rest) if rest.is_empty() => Poll::Ready(None),
            // In pieces as well, so that progress can be seen.
            At::Memory(rest) => Poll::Ready(Some(Ok(rest.split_to(size.min(rest.len()))))),
            At::Source { rest, ahead: None, .. } if rest.is_empty() => Poll::Ready(None),
            At::Source { source, rest, .. } if self.reader.reading == Reading::Inline => {
                let piece = take_piece(rest, size);
                Poll::Ready(Some(self.reader.read_piece(&**source, piece)))
            }
            At::Source { source, rest, ahead } => {
                let start = |rest: &mut SourceRange| {
                    self.reader.clone().start(source.clone(), take_piece(rest, size))
                };
                let current = ahead.get_or_insert_with(|| start(rest));
                let piece = ready!(Pin::new(current).poll(cx));
                *ahead = match piece {
                    Ok(_) if !rest.is_empty() => Some(start(rest)),
                    _ => None,
                };
                Poll::Ready(Some(piece))
            }
            At::Stream { left: 0, .. } => Poll::Ready(None),
            At::Stream { left, stream } => {
                let stream = stream.get_mut().unwrap_or_else(PoisonError::into_inner);
                let piece = ready!(stream.as_mut().poll_next(cx));
                let piece = piece.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
                Poll::Ready(Some(piece.map(|mut bytes| {
                    bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= bytes.len() as u64;
                    bytes
                })))
            }
        }
    }
}

impl Pieces {
    /// The next piece as a place in a file, where the source is one and is to be read right here.
    pub(crate) fn take_file(&mut self) -> Option<(Arc<File>, SourceRange)> {
        let At::Source { source, rest, ahead: None } = &mut self.at else { return None };
        if rest.is_empty() || self.reader.reading != Reading::Inline {
            return None;
        }
        let file = source.file()?;
        Some((file, take_piece(rest, PIECE_OF_FILE)))
    }
}

impl Reader {
    fn start(self, source: Arc<dyn Source>, piece: SourceRange) -> Blocking<Bytes> {
        Blocking::start(move || self.read_piece(&*source, piece))
    }
}

/// Cuts at most `size` bytes from the front.
fn take_piece(rest: &mut SourceRange, size: usize) -> SourceRange {
    let cut = rest.end().min(rest.start().saturating_add(size as u64));
    let piece = SourceRange::new(rest.start(), cut);
    *rest = SourceRange::new(cut, rest.end());
    piece
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::source::IntoSource as _;

    /// Never in memory, and remembers what was read of it.
    struct Recorded {
        content: Bytes,
        reads: Mutex<Vec<(u64, usize)>>,
    }

    impl Source for Recorded {
        fn stamp(&self) -> io::Result<SourceStamp> {
            self.content.stamp()
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            self.reads.lock().unwrap().push((offset, buffer.len()));
            self.content.read_at(offset, buffer)
        }
    }

    fn content(len: usize) -> Bytes {
        (0..len).map(|index| (index % 251) as u8).collect()
    }

    async fn collect(pieces: &mut Pieces) -> io::Result<Vec<Bytes>> {
        let mut all = Vec::new();
        while let Some(piece) = poll_fn(|cx| pieces.poll_next(cx)).await {
            all.push(piece?);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn every_way_of_reading_gives_the_same_bytes_in_pieces() {
        let content = content(3 * 1024 * 1024 + 17);
        for reading in [Reading::Inline, Reading::Blocking] {
            let source = Arc::new(Recorded { content: content.clone(), reads: Mutex::default() });
            for source in [source.into_source(), content.clone().into_source()] {
                let reader = Reader::new(source, reading);
                let range = SourceRange::new(5, content.len() as u64 - 1);
                let pieces = collect(&mut reader.read(range)).await.unwrap();
                assert!(pieces.iter().all(|piece| piece.len() <= reading.piece()));
                assert_eq!(pieces.concat(), content[5..content.len() - 1]);
                assert!(collect(&mut reader.read(SourceRange::new(9, 9))).await.unwrap().is_empty());
            }
        }
    }

    #[tokio::test]
    async fn one_piece_is_read_ahead_and_no_more() {
        let len = 4 * Reading::Blocking.piece();
        let source = Arc::new(Recorded { content: content(len), reads: Mutex::default() });
        let reader = Reader::new(source.clone().into_source(), Reading::Blocking);
        let mut pieces = reader.read(SourceRange::new(0, len as u64));
        let first = poll_fn(|cx| pieces.poll_next(cx)).await.unwrap().unwrap();
        let At::Source { ahead: Some(ahead), .. } = &pieces.at else { panic!("nothing is read ahead") };
        while !ahead.is_finished() {
            tokio::task::yield_now().await;
        }
        assert_eq!(source.reads.lock().unwrap().len(), 2);
        drop(first);
    }

    #[tokio::test]
    async fn a_source_that_ends_early_ends_the_body_with_an_error() {
        for reading in [Reading::Inline, Reading::Blocking] {
            let source = Arc::new(Recorded { content: content(1000), reads: Mutex::default() });
            let error =
                collect(&mut Reader::new(source.into_source(), reading).read(SourceRange::new(0, 1001)))
                    .await
                    .unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
