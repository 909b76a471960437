//! The body of a request or answer: bytes we own, and ranges of a file that we never read.

use bytes::{Bytes, BytesMut};

/// A body of exactly known length, made of [`Segment`]s in wire order.
///
/// It is cheap to clone and can be sent any number of times: nothing in it is consumed by reading it. No
/// segment in it is empty.
///
/// ```
/// use bytes::Bytes;
/// use partwise_protocol::transport::{Body, Segment, SourceRange};
///
/// let head = Segment::Bytes(Bytes::from_static(b"<"));
/// let content = Segment::Source(SourceRange::new(2, 5));
/// let body = Body::from_segments(vec![head, content])?;
/// assert_eq!(body.content_length(), 4);
/// assert_eq!(body.resolve(b"0123456789")?, "<234");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    segments: Vec<Segment>,
    len: u64,
}

/// One stretch of a [`Body`].
///
/// ```
/// use bytes::Bytes;
/// use partwise_protocol::transport::{Segment, SourceRange};
///
/// let head = Segment::from(Bytes::from("--boundary"));
/// let content = Segment::from(SourceRange::new(100, 400));
/// assert_eq!((head.len(), content.len()), (10, 300));
/// ```
#[expect(clippy::exhaustive_enums, reason = "whoever sends a body must handle every kind of segment")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Bytes held in memory.
    Bytes(Bytes),
    /// Bytes of the caller's source, which whoever sends the body reads.
    Source(SourceRange),
}

/// The bytes of the caller's source from `start` up to, but not including, `end`; `start` is never after
/// `end`.
///
/// ```
/// use partwise_protocol::transport::SourceRange;
///
/// let range = SourceRange::new(100, 400);
/// assert_eq!((range.start(), range.end(), range.len()), (100, 400, 300));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceRange {
    start: u64,
    end: u64,
}

/// The segments of a body add up to more than `u64::MAX` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body would be longer than {} bytes", u64::MAX)]
#[non_exhaustive]
pub struct BodyTooLong;

/// A body names bytes of its source that the source does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body needs bytes {}..{} of a source of {source_len} bytes", range.start, range.end)]
#[non_exhaustive]
pub struct SourceTooShort {
    /// The range that does not fit.
    pub range: SourceRange,
    /// The length of the source, in bytes.
    pub source_len: u64,
}

impl Body {
    /// A body of no bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// A body of these segments in this order; empty ones are dropped.
    ///
    /// # Errors
    /// [`BodyTooLong`] when the lengths do not add up in a `u64`.
    pub fn from_segments(mut segments: Vec<Segment>) -> Result<Self, BodyTooLong> {
        segments.retain(|segment| !segment.is_empty());
        let len = segments.iter().try_fold(0u64, |len, segment| len.checked_add(segment.len()));
        Ok(Self { segments, len: len.ok_or(BodyTooLong)? })
    }

    /// A body in memory, of these bytes in this order; empty ones are dropped.
    pub(crate) fn of_bytes(pieces: Vec<Bytes>) -> Self {
        let segments: Vec<_> =
            pieces.into_iter().filter(|bytes| !bytes.is_empty()).map(Segment::Bytes).collect();
        Self { len: segments.iter().map(Segment::len).sum(), segments }
    }

    /// The exact length in bytes: the value of `Content-Length`.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        self.len
    }

    /// The segments in wire order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The segments in wire order, owned.
    #[must_use]
    pub fn into_segments(self) -> Vec<Segment> {
        self.segments
    }

    /// The whole body in memory, with the source's ranges as `read` fills them in: for transports that take bytes.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read_with<E>(
        &self,
        mut read: impl FnMut(SourceRange, &mut [u8]) -> Result<(), E>,
    ) -> Result<Vec<u8>, E> {
        let mut whole = Vec::new();
        for segment in &self.segments {
            match segment {
                Segment::Bytes(bytes) => whole.extend_from_slice(bytes),
                Segment::Source(range) => {
                    let start = whole.len();
                    whole.resize(start.saturating_add(usize::try_from(range.len()).unwrap_or(usize::MAX)), 0);
                    read(*range, &mut whole[start..])?;
                }
            }
        }
        Ok(whole)
    }

    /// The whole body, copied only when it has several segments.
    ///
    /// # Errors
    /// The body itself, unchanged, when it names a source.
    pub fn into_bytes(self) -> Result<Bytes, Self> {
        if let [Segment::Bytes(bytes)] = self.segments.as_slice() {
            return Ok(bytes.clone());
        }
        // Ranges are never empty here, so an empty source fails exactly when a source is named.
        self.resolve(&[]).map_err(|_| self)
    }

    /// The whole body with its ranges taken from `source`: a copy, for tests and small bodies.
    ///
    /// # Errors
    /// [`SourceTooShort`] when a range ends after the source.
    pub fn resolve(&self, source: &[u8]) -> Result<Bytes, SourceTooShort> {
        let mut whole = BytesMut::new();
        for segment in &self.segments {
            match segment {
                Segment::Bytes(bytes) => whole.extend_from_slice(bytes),
                Segment::Source(range) => whole.extend_from_slice(range.of(source)?),
            }
        }
        Ok(whole.freeze())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::empty();
        }
        Self { len: bytes.len() as u64, segments: vec![Segment::Bytes(bytes)] }
    }
}

impl Segment {
    /// The length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Source(range) => range.len(),
        }
    }

    /// Whether the segment has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Bytes> for Segment {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<SourceRange> for Segment {
    fn from(range: SourceRange) -> Self {
        Self::Source(range)
    }
}

impl SourceRange {
    /// The bytes from `start` up to, but not including, `end`. As with `std`'s ranges, an `end` before
    /// `start` names no bytes: the range is then empty and lies at `start`.
    #[must_use]
    pub fn new(start: u64, end: u64) -> Self {
        Self { start, end: end.max(start) }
    }

    /// The offset of the first byte.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The offset after the last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Whether the range has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn of(self, source: &[u8]) -> Result<&[u8], SourceTooShort> {
        let too_short = SourceTooShort { range: self, source_len: source.len() as u64 };
        let start = usize::try_from(self.start).map_err(|_| too_short)?;
        let end = usize::try_from(self.end).map_err(|_| too_short)?;
        source.get(start..end).ok_or(too_short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Segment {
        Segment::Bytes(Bytes::from_static(text.as_bytes()))
    }

    fn source(start: u64, end: u64) -> Segment {
        Segment::Source(SourceRange::new(start, end))
    }

    #[test]
    fn the_length_is_the_sum_of_the_segments() {
        let body = Body::from_segments(vec![bytes("head"), source(2, 7), bytes("tail")]).unwrap();
        assert_eq!(body.content_length(), 13);
        assert_eq!(body.resolve(b"0123456789").unwrap(), "head23456tail");
    }

    #[test]
    fn empty_segments_are_dropped() {
        let body = Body::from_segments(vec![bytes(""), source(5, 5), bytes("x")]).unwrap();
        assert_eq!(body.segments(), [bytes("x")]);
        assert_eq!(Body::from(Bytes::new()), Body::empty());
        let body = Body::of_bytes(["", "a", "", "b"].map(Bytes::from).to_vec());
        assert_eq!((body.segments(), body.content_length()), (&[bytes("a"), bytes("b")][..], 2));
    }

    #[test]
    fn a_length_past_u64_is_refused() {
        assert_eq!(Body::from_segments(vec![source(0, u64::MAX), bytes("x")]), Err(BodyTooLong));
    }

    #[test]
    fn a_range_that_ends_before_it_starts_is_empty() {
        let range = SourceRange::new(9, 4);
        assert!(range.is_empty());
        assert_eq!((range.start(), range.end(), range.len()), (9, 9, 0));
    }

    #[test]
    fn a_body_in_memory_becomes_bytes_without_a_copy() {
        let held = Bytes::from(vec![1, 2, 3]);
        let address = held.as_ptr();
        assert_eq!(Body::from(held).into_bytes().unwrap().as_ptr(), address);
        assert_eq!(Body::from_segments(vec![bytes("a"), bytes("b")]).unwrap().into_bytes().unwrap(), "ab");
        assert_eq!(Body::empty().into_bytes().unwrap(), "");
    }

    #[test]
    fn a_body_that_names_a_source_is_handed_back() {
        let body = Body::from_segments(vec![bytes("a"), source(0, 1)]).unwrap();
        assert_eq!(body.clone().into_bytes(), Err(body));
    }

    #[test]
    fn a_range_past_the_source_says_what_is_missing() {
        let body = Body::from_segments(vec![source(3, 9)]).unwrap();
        let error = body.resolve(b"12345").unwrap_err();
        assert_eq!(error.to_string(), "the body needs bytes 3..9 of a source of 5 bytes");
    }
}
