//! Bytes that were gathered for one request, in memory that is no larger than they need.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use bytes::Bytes;
use object_store::PutPayload;

const FIRST_BLOCK: usize = 4 * 1024;
const LARGEST_BLOCK: usize = 256 * 1024;

/// Bytes in blocks, each twice as large as the one before: what came as small slices of large buffers does not keep those.
#[derive(Debug)]
pub(super) struct Gathered {
    blocks: Arc<Blocks>,
    full: Vec<Bytes>,
    open: Vec<u8>,
    length: usize,
}

/// The largest blocks that nobody needs now. Those who gather use them again: what they were allocated in would otherwise be cut up
/// for others, and the process have half as much again. Blocks that outlive this are freed.
#[derive(Debug, Default)]
pub(super) struct Blocks(Mutex<Vec<Vec<u8>>>);

/// A largest block on its way to the store.
struct Lent {
    block: Vec<u8>,
    blocks: Weak<Blocks>,
}

impl Gathered {
    pub(super) fn new(blocks: Arc<Blocks>) -> Self {
        let (full, open) = Default::default();
        Self { blocks, full, open, length: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn extend(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len();
        while !bytes.is_empty() {
            if self.open.len() == self.open.capacity() {
                let next = self.next_block();
                let full = mem::replace(&mut self.open, next);
                self.full.extend((!full.is_empty()).then(|| self.blocks.lend(full)));
            }
            let room = self.open.capacity() - self.open.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.open.extend_from_slice(now);
            bytes = later;
        }
    }

    fn next_block(&self) -> Vec<u8> {
        match self.open.capacity() * 2 {
            LARGEST_BLOCK.. => self.blocks.take(),
            next => Vec::with_capacity(next.max(FIRST_BLOCK)),
        }
    }

    /// All that was gathered. Nothing is left.
    pub(super) fn take(&mut self) -> PutPayload {
        let (full, open) = (mem::take(&mut self.full), mem::take(&mut self.open));
        self.length = 0;
        full.into_iter().chain([self.blocks.lend(open)]).filter(|block| !block.is_empty()).collect()
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        drop(self.blocks.lend(mem::take(&mut self.open)));
    }
}

impl Blocks {
    fn take(&self) -> Vec<u8> {
        self.free().pop().unwrap_or_else(|| Vec::with_capacity(LARGEST_BLOCK))
    }

    /// The bytes of a block, which is used again when they are dropped if it is one of the largest.
    fn lend(self: &Arc<Self>, block: Vec<u8>) -> Bytes {
        if block.capacity() == LARGEST_BLOCK {
            return Bytes::from_owner(Lent { block, blocks: Arc::downgrade(self) });
        }
        block.into()
    }

    fn free(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        // Nothing that holds it panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.block
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(blocks) = self.blocks.upgrade() {
            let mut block = mem::take(&mut self.block);
            block.clear();
            blocks.free().push(block);
        }
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
            let mut gathered = Gathered::new(Arc::default());
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

    #[test]
    fn large_blocks_are_used_again_and_hold_what_was_put_in_last() {
        let blocks = Arc::<Blocks>::default();
        let mut gathered = Gathered::new(blocks.clone());
        let mut most = 0;
        for round in 0u8..20 {
            // As much as a piece, and some that ends in the middle of a block.
            let content = vec![round; 8 * 1024 * 1024 - 1000 * usize::from(round)];
            content.chunks(70_001).for_each(|slice| gathered.extend(slice));
            let payload = gathered.take();
            assert!(payload.iter().flatten().eq(&content));
            assert_eq!(blocks.free().len(), if round == 0 { 0 } else { most - payload_blocks(&payload) });
            drop(payload);
            most = most.max(blocks.free().len());
            assert_eq!(blocks.free().len(), most);
        }
        assert!(most <= 8 * 1024 * 1024 / LARGEST_BLOCK, "{most}");

        gathered.extend(&vec![1; 3 * LARGEST_BLOCK]);
        let payload = gathered.take();
        drop((gathered, blocks));
        assert!(
            payload.iter().flatten().all(|byte| *byte == 1),
            "it outlives the blocks that it would go back to"
        );
    }

    #[test]
    fn a_block_that_is_begun_is_used_again_when_its_writer_goes() {
        let blocks = Arc::<Blocks>::default();
        let mut gathered = Gathered::new(blocks.clone());
        gathered.extend(&vec![1; 2 * LARGEST_BLOCK]);
        assert_eq!(gathered.open.capacity(), LARGEST_BLOCK);
        drop(gathered);
        assert_eq!(blocks.free().len(), 2);
    }

    /// The number of largest blocks.
    fn payload_blocks(payload: &PutPayload) -> usize {
        // Those before the first of them are smaller: 4 KiB, 8 KiB, … 128 KiB.
        payload.iter().count() - 6
    }
}
