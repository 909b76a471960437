//! Bytes that were gathered for one request, in memory that is no larger than they need.

use bytes::{Bytes, BytesMut};
use object_store::PutPayload;

const FIRST_BLOCK: usize = 4 * 1024;
const LARGEST_BLOCK: usize = 256 * 1024;

/// Bytes in blocks, each twice as large as the one before: what came as small slices of large buffers does not keep those.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    full: Vec<Bytes>,
    open: BytesMut,
    length: usize,
}

impl Gathered {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn extend(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len();
        while !bytes.is_empty() {
            if self.open.len() == self.open.capacity() {
                let next = (self.open.capacity() * 2).clamp(FIRST_BLOCK, LARGEST_BLOCK);
                let full = std::mem::replace(&mut self.open, BytesMut::with_capacity(next));
                self.full.extend((!full.is_empty()).then(|| full.freeze()));
            }
            let room = self.open.capacity() - self.open.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.open.extend_from_slice(now);
            bytes = later;
        }
    }

    /// All that was gathered. Nothing is left.
    pub(super) fn take(&mut self) -> PutPayload {
        let Self { full, open, .. } = std::mem::take(self);
        full.into_iter().chain([open.freeze()]).filter(|block| !block.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_blocks_no_larger_than_they_need(
            slices in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9000), 0..40),
        ) {
            let mut gathered = Gathered::default();
            for slice in &slices {
                gathered.extend(slice);
                let held: usize = gathered.full.iter().map(Bytes::len).sum::<usize>() + gathered.open.capacity();
                prop_assert!(held <= 2 * gathered.len() + FIRST_BLOCK);
            }
            let whole = slices.concat();
            prop_assert_eq!(gathered.len(), whole.len());
            let payload = gathered.take();
            prop_assert_eq!(payload.iter().flatten().copied().collect::<Vec<u8>>(), whole);
            prop_assert_eq!(gathered.len(), 0);
        }
    }
}
