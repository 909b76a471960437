//! The bytes of a body one piece after another.

use std::{io, iter::FusedIterator, vec};

use bytes::{Buf, Bytes};

use super::{Body, Segment, SourceError, SourceRange};

/// The most bytes that one piece has.
const CHUNK: u64 = 256 * 1024;

/// The bytes of a [`Body`] in pieces of at most 256 KiB, each read from the source when it is asked for: for transports that stream.
///
/// It is an iterator of pieces, and a reader of all of them for transports that block. A piece that cannot be read is a
/// [`SourceError`], which [`Failure::of`](super::Failure::of) finds again in what a transport makes of it. It is the last item; a reader
/// fails again each time, so that no transport takes what came before for the whole body.
///
/// ```
/// use std::io::Read as _;
///
/// use partwise_protocol::transport::{Body, Segment, SourceRange};
///
/// let source = b"0123456789";
/// let read = |range: SourceRange, room: &mut [u8]| (&source[range.start() as usize..]).read_exact(room);
/// let body = Body::from_segments(vec![Segment::Bytes("<".into()), SourceRange::new(2, 5).into()])?;
/// let pieces: Vec<_> = body.clone().into_chunks(read).collect::<Result<_, _>>()?;
/// assert_eq!(pieces, ["<", "234"]);
///
/// let mut whole = String::new();
/// body.into_chunks(read).read_to_string(&mut whole)?;
/// assert_eq!(whole, "<234");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BodyChunks<R> {
    segments: vec::IntoIter<Segment>,
    /// The rest of the range that is being read.
    range: SourceRange,
    /// The rest of the bytes that are in memory and have not been given out.
    rest: Bytes,
    read: R,
    /// A piece could not be read.
    is_broken: bool,
}

impl Body {
    /// The bytes of the body in pieces, with the source's ranges as `read` fills them in: the buffer that it is given has the length
    /// of the range.
    #[must_use]
    pub fn into_chunks<R>(self, read: R) -> BodyChunks<R>
    where
        R: FnMut(SourceRange, &mut [u8]) -> io::Result<()>,
    {
        BodyChunks {
            segments: self.into_segments().into_iter(),
            range: SourceRange::new(0, 0),
            rest: Bytes::new(),
            read,
            is_broken: false,
        }
    }
}

impl<R: FnMut(SourceRange, &mut [u8]) -> io::Result<()>> BodyChunks<R> {
    /// Sees to it that bytes are ready, of which none are left only at the end of the body.
    fn fill(&mut self) -> Result<(), SourceError> {
        while self.rest.is_empty() {
            if self.range.is_empty() {
                match self.segments.next() {
                    Some(Segment::Bytes(bytes)) => self.rest = bytes,
                    Some(Segment::Source(range)) => self.range = range,
                    None => return Ok(()),
                }
                continue;
            }
            let (start, end) = (self.range.start(), self.range.end());
            let piece = SourceRange::new(start, end.min(start.saturating_add(CHUNK)));
            let mut bytes = vec![0; usize::try_from(piece.len()).unwrap_or_default()];
            if let Err(error) = (self.read)(piece, &mut bytes) {
                self.is_broken = true;
                return Err(SourceError::new(error));
            }
            self.range = SourceRange::new(piece.end(), end);
            self.rest = bytes.into();
        }
        Ok(())
    }
}

impl<R: FnMut(SourceRange, &mut [u8]) -> io::Result<()>> Iterator for BodyChunks<R> {
    type Item = Result<Bytes, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_broken {
            return None;
        }
        if let Err(error) = self.fill() {
            return Some(Err(error));
        }
        let length = self.rest.len().min(usize::try_from(CHUNK).unwrap_or(usize::MAX));
        let piece = self.rest.split_to(length);
        (!piece.is_empty()).then_some(Ok(piece))
    }
}

impl<R: FnMut(SourceRange, &mut [u8]) -> io::Result<()>> FusedIterator for BodyChunks<R> {}

impl<R: FnMut(SourceRange, &mut [u8]) -> io::Result<()>> io::Read for BodyChunks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_broken {
            return Err(io::Error::other(SourceError::new(io::Error::other("an earlier read failed"))));
        }
        self.fill().map_err(io::Error::other)?;
        let length = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::transport::{Failure, FailureKind};

    const LENGTH: u64 = 2 * CHUNK + 3;

    /// Each byte tells its place.
    fn place(range: SourceRange, room: &mut [u8]) -> io::Result<()> {
        assert_eq!(range.len(), room.len() as u64);
        if range.end() > LENGTH {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (at, byte) in (range.start()..).zip(room) {
            *byte = (at % 251) as u8;
        }
        Ok(())
    }

    fn body(end: u64) -> Body {
        let ends = ["before", "behind"].map(|text| Segment::Bytes(text.into()));
        let [before, behind] = ends;
        Body::from_segments(vec![before, SourceRange::new(1, end).into(), behind]).unwrap()
    }

    #[test]
    fn the_pieces_are_small_and_make_the_body() {
        let whole = body(LENGTH).read_with(place).unwrap();
        let pieces: Vec<_> = body(LENGTH).into_chunks(place).map(Result::unwrap).collect();
        assert_eq!(
            pieces.iter().map(Bytes::len).collect::<Vec<_>>(),
            [6, CHUNK as usize, CHUNK as usize, 2, 6]
        );
        assert_eq!(pieces.concat(), whole);
    }

    #[test]
    fn bytes_in_memory_come_in_small_pieces_that_are_not_copied() {
        let bytes = Bytes::from(vec![7; LENGTH as usize]);
        let pieces: Vec<_> = Body::from(bytes.clone()).into_chunks(place).map(Result::unwrap).collect();
        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [CHUNK as usize, CHUNK as usize, 3]);
        assert!(pieces.iter().all(|piece| bytes.as_ptr_range().contains(&piece.as_ptr())));

        let mut chunks = Body::from(bytes.clone()).into_chunks(place);
        let mut first = [0; 4];
        chunks.read_exact(&mut first).unwrap();
        let mut rest = Vec::new();
        chunks.read_to_end(&mut rest).unwrap();
        assert_eq!(first.len() + rest.len(), bytes.len());
    }

    #[test]
    fn a_reader_gets_the_same_bytes_and_loses_none_that_is_asked_for_otherwise() {
        let whole = body(LENGTH).read_with(place).unwrap();
        let mut read = Vec::new();
        body(LENGTH).into_chunks(place).read_to_end(&mut read).unwrap();
        assert_eq!(read, whole);

        let mut chunks = body(LENGTH).into_chunks(place);
        let mut first = [0; 4];
        chunks.read_exact(&mut first).unwrap();
        let rest: Vec<_> = chunks.map(Result::unwrap).collect();
        assert_eq!([&first[..], &rest.concat()].concat(), whole);
    }

    #[test]
    fn a_source_that_ends_early_is_no_broken_connection() {
        let mut chunks = body(LENGTH + 1).into_chunks(place);
        let error = chunks.find_map(Result::err).unwrap();
        assert_eq!(Failure::of(error.into(), FailureKind::of).kind, FailureKind::Source);
        assert!(chunks.next().is_none(), "nothing behind a piece that was not read");

        let mut reader = body(LENGTH + 1).into_chunks(place);
        for _ in 0..2 {
            let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(Failure::of(error.into(), FailureKind::of).kind, FailureKind::Source);
        }
    }
}
