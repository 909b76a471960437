//! What is uploaded: something of known length that can be read at any place, any number of times.

mod any;
mod file;
mod once;
mod stream;

use std::{fs::File, io, sync::Arc};

use bytes::Bytes;
use partwise_protocol::{transport::SourceRange, upload::SourceStamp};

pub use self::{
    any::{AnySource, AsyncSource, IntoSource},
    file::FileSource,
};
pub(crate) use self::{
    any::{Kind, ReadAsync},
    once::OnceSource,
    stream::{AnyReader, PieceReader, collect, spool},
};

/// Content to upload. Several readers read different places of it at the same time, and a part that fails is read
/// again; nothing is kept in between.
///
/// Files ([`FileSource`]) and [`Bytes`] are sources. For your own, implement [`stamp`](Self::stamp) and
/// [`read_at`](Self::read_at); both may block, and both run where [`Reading`](crate::Reading) says.
///
/// ```
/// use std::io;
/// use partwise_protocol::upload::SourceStamp;
/// use partwise::Source;
///
/// /// So many zeros, from nowhere.
/// struct Zeros(u64);
///
/// impl Source for Zeros {
///     fn stamp(&self) -> io::Result<SourceStamp> {
///         Ok(SourceStamp::new(self.0))
///     }
///
///     fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
///         let left = usize::try_from(self.0.saturating_sub(offset)).unwrap_or(usize::MAX);
///         let filled = buffer.len().min(left);
///         buffer[..filled].fill(0);
///         Ok(filled)
///     }
/// }
/// ```
pub trait Source: Send + Sync + 'static {
    /// What the source looks like now: length, time and identity. It is compared later with another stamp, and any
    /// difference means that the content may have changed.
    ///
    /// # Errors
    /// When the source cannot be asked.
    fn stamp(&self) -> io::Result<SourceStamp>;

    /// Reads bytes at `offset` into `buffer` and says how many: at least one, unless the source ends there or the
    /// buffer is empty. It need not fill the buffer.
    ///
    /// # Errors
    /// When the source cannot be read. [`io::ErrorKind::Interrupted`] is tried again.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// These bytes without a copy, when the source has them in memory anyway. Then they are never
    /// [read](Self::read_at).
    fn in_memory(&self, range: SourceRange) -> Option<Bytes> {
        let _ = range;
        None
    }

    /// The regular file that the source is, byte for byte and at the same places, if it is one. Where the system can, it
    /// then sends the file itself, and it is not [read](Self::read_at) here; see [`Reading::Inline`](crate::Reading::Inline).
    /// It is asked for piece by piece on the thread that sends, so the answer must be at hand.
    fn file(&self) -> Option<Arc<File>> {
        None
    }
}

impl Source for Bytes {
    fn stamp(&self) -> io::Result<SourceStamp> {
        Ok(SourceStamp::new(self.len() as u64))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let filled = rest.len().min(buffer.len());
        buffer[..filled].copy_from_slice(&rest[..filled]);
        Ok(filled)
    }

    fn in_memory(&self, range: SourceRange) -> Option<Bytes> {
        let (start, end) = (usize::try_from(range.start()).ok()?, usize::try_from(range.end()).ok()?);
        // A range past the end is left to `read_at`, which says where the source ends.
        (end <= self.len()).then(|| self.slice(start..end))
    }
}

impl<S: Source + ?Sized> Source for Arc<S> {
    fn stamp(&self) -> io::Result<SourceStamp> {
        (**self).stamp()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, buffer)
    }

    fn in_memory(&self, range: SourceRange) -> Option<Bytes> {
        (**self).in_memory(range)
    }

    fn file(&self) -> Option<Arc<File>> {
        (**self).file()
    }
}

/// Fills the whole buffer from `offset` on. A source that ends before is an error: what was promised cannot be sent.
pub(crate) fn read_exact_at(source: &dyn Source, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read_at(offset + filled as u64, &mut buffer[filled..]) {
            Ok(0) => {
                let (end, wanted) = (offset + filled as u64, offset + buffer.len() as u64);
                let problem =
                    format!("the source ends at byte {end}, and bytes up to {wanted} were to be read");
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, problem));
            }
            Ok(more) => filled += more.min(buffer.len() - filled),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, and every other time nothing but an interruption.
    struct Stuttering(Bytes, std::sync::atomic::AtomicBool);

    impl Source for Stuttering {
        fn stamp(&self) -> io::Result<SourceStamp> {
            self.0.stamp()
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            if self.1.fetch_xor(true, std::sync::atomic::Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            self.0.read_at(offset, &mut buffer[..1])
        }
    }

    #[test]
    fn short_and_interrupted_reads_are_continued() {
        let source = Stuttering(Bytes::from_static(b"0123456789"), false.into());
        let mut buffer = [0; 6];
        read_exact_at(&source, 3, &mut buffer).unwrap();
        assert_eq!(&buffer, b"345678");
    }

    #[test]
    fn a_source_that_ends_early_is_an_error_and_not_a_short_read() {
        let source = Bytes::from_static(b"0123456789");
        let error = read_exact_at(&source, 8, &mut [0; 4]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(error.to_string(), "the source ends at byte 10, and bytes up to 12 were to be read");
        assert!(read_exact_at(&source, 99, &mut [0; 1]).is_err());
    }

    #[test]
    fn bytes_are_handed_out_without_a_copy() {
        let source = Bytes::from(vec![1, 2, 3, 4]);
        let slice = source.in_memory(SourceRange::new(1, 3)).unwrap();
        assert_eq!(slice.as_ptr(), source[1..].as_ptr());
        assert_eq!(slice, [2, 3].as_slice());
        assert_eq!(source.in_memory(SourceRange::new(3, 5)), None);
        assert_eq!(source.stamp().unwrap(), SourceStamp::new(4));
    }
}
