//! Buffers that are used again and again: the way from file to socket allocates nothing once it runs.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

/// Buffers of one size. There are as many as were ever in use at the same time; they go when this goes.
#[derive(Debug)]
pub(crate) struct Buffers {
    size: usize,
    free: Mutex<Vec<Box<[u8]>>>,
}

/// A filled buffer, which goes back when the last [`Bytes`] of it is dropped.
struct Filled {
    buffer: Box<[u8]>,
    len: usize,
    home: Arc<Buffers>,
}

impl Buffers {
    pub(crate) fn of(size: usize) -> Arc<Self> {
        Arc::new(Self { size, free: Mutex::new(Vec::new()) })
    }

    /// The size of one buffer, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Bytes filled by `fill`, at most one buffer full.
    pub(crate) fn fill(
        self: &Arc<Self>,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<Bytes> {
        let buffer = self.take().unwrap_or_else(|| vec![0; self.size].into_boxed_slice());
        let mut filled = Filled { buffer, len: len.min(self.size), home: self.clone() };
        fill(&mut filled.buffer[..filled.len])?;
        Ok(Bytes::from_owner(filled))
    }

    fn take(&self) -> Option<Box<[u8]>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.home.free.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_its_bytes_are_gone() {
        let buffers = Buffers::of(8);
        let first = buffers
            .fill(3, |buffer| {
                buffer.copy_from_slice(b"abc");
                Ok(())
            })
            .unwrap();
        let (address, tail) = (first.as_ptr(), first.slice(2..));
        drop(first);
        let second = buffers.fill(8, |_| Ok(())).unwrap();
        assert_ne!(second.as_ptr(), address, "a part of the first is still in use");
        assert_eq!(tail, "c");
        drop(tail);
        assert_eq!(buffers.fill(1, |_| Ok(())).unwrap().as_ptr(), address);
    }

    #[test]
    fn a_buffer_that_could_not_be_filled_goes_back() {
        let buffers = Buffers::of(8);
        buffers.fill(8, |_| Err(io::ErrorKind::Other.into())).unwrap_err();
        assert_eq!(buffers.free.lock().unwrap().len(), 1);
    }
}
