//! A file of which every block tells where it belongs.

use std::{
    fs::File,
    io::{Read, Write as _},
    path::Path,
};

const MIB: usize = 1 << 20;
const BLOCK: usize = 4096;
/// What stands before the offset at the beginning of every block.
const MARK: &[u8] = b"\nPARTWISE BLOCK\n";

/// So many mebibytes of noise, with its offset in every block.
pub(crate) struct Content {
    mebibytes: usize,
    noise: Vec<u8>,
}

impl Content {
    pub(crate) fn new(mebibytes: usize) -> Self {
        let mut noise = vec![0; MIB];
        fastrand::Rng::with_seed(0).fill(&mut noise);
        for block in noise.chunks_exact_mut(BLOCK) {
            block[..MARK.len()].copy_from_slice(MARK);
        }
        Self { mebibytes, noise }
    }

    pub(crate) fn write(mut self, path: &Path) -> Self {
        let mut file = File::create(path).unwrap();
        for number in 0..self.mebibytes {
            file.write_all(self.mebibyte(number)).unwrap();
        }
        self
    }

    /// That these are the same bytes, and no more.
    pub(crate) fn assert_is(mut self, mut other: impl Read) {
        let mut read = vec![0; MIB];
        for number in 0..self.mebibytes {
            other.read_exact(&mut read).unwrap();
            assert!(read == self.mebibyte(number), "the mebibyte {number} differs");
        }
        assert_eq!(other.read(&mut read).unwrap(), 0, "there is more than there should be");
    }

    fn mebibyte(&mut self, number: usize) -> &[u8] {
        for (index, block) in self.noise.chunks_exact_mut(BLOCK).enumerate() {
            let offset = (number * MIB + index * BLOCK) as u64;
            block[MARK.len()..][..8].copy_from_slice(&offset.to_le_bytes());
        }
        &self.noise
    }
}

/// The offset of the first block that is in these bytes, once its first bytes are.
pub(crate) fn offset_in(bytes: &[u8]) -> Option<u64> {
    let mark = bytes.windows(MARK.len()).position(|window| window == MARK)?;
    let offset = bytes.get(mark + MARK.len()..)?.first_chunk()?;
    Some(u64::from_le_bytes(*offset))
}
