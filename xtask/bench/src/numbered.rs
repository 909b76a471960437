//! A file whose bytes tell their place in it, so that a part is recognized by its first bytes.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Result;

/// Each block is its number and a hash of it.
const BLOCK: usize = 16;

/// So many bytes have a whole block among them.
pub(crate) const ENOUGH: usize = 2 * BLOCK - 1;

/// A numbered file of this length, made once. Nothing waits to be written to the disk.
pub(crate) fn file(folder: &Path, length: u64) -> Result<PathBuf> {
    let path = folder.join(format!("numbered-{length}.bin"));
    if path.exists() {
        return Ok(path);
    }
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&path)?);
    let mut left = length;
    for number in 0..length.div_ceil(BLOCK as u64) {
        let wanted = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        file.write_all(&block(number)[..wanted])?;
        left -= wanted as u64;
    }
    file.into_inner()?.sync_all()?;
    Ok(path)
}

fn block(number: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..8].copy_from_slice(&number.to_le_bytes());
    block[8..].copy_from_slice(&mixed(number).to_le_bytes());
    block
}

/// The finalizer of splitmix64.
fn mixed(number: u64) -> u64 {
    let mut word = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The offset of these bytes in a numbered file; `None` when they are of another file, or too few.
pub(crate) fn offset_of(bytes: &[u8]) -> Option<u64> {
    (0..BLOCK).find_map(|skipped| {
        let (number, hash) = bytes.get(skipped..skipped + BLOCK)?.split_at(8);
        let number = u64::from_le_bytes(number.try_into().ok()?);
        let offset = number.checked_mul(BLOCK as u64)?.checked_sub(skipped as u64)?;
        (mixed(number).to_le_bytes() == hash).then_some(offset)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_numbered_file_tell_their_offset_wherever_they_begin() {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes = std::fs::read(file(folder.path(), 1003).expect("it writes")).expect("it is there");
        assert_eq!(bytes.len(), 1003);
        for offset in 0..=1003 - 11 - ENOUGH {
            assert_eq!(offset_of(&bytes[offset..offset + ENOUGH]), Some(offset as u64));
        }
        assert_eq!(offset_of(&bytes[1..BLOCK]), None);
        assert_eq!(offset_of(&[7; 64]), None);
    }
}
