//! Bytes that nothing makes smaller, and that show where in a file they belong.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

const PIECE: usize = 1024 * 1024;
/// How much further each piece is turned than the one before. It is odd, so that all pieces of a file below 1 TiB differ.
const TURN: usize = 0x4_3b2d;

/// A file without end: one piece of noise again and again, each time turned a little further.
#[derive(Debug)]
pub(crate) struct Noise {
    /// The piece twice, so that it lies in one stretch however far it is turned.
    twice: Vec<u8>,
}

impl Noise {
    pub(crate) fn new() -> Self {
        let mut word = 0x9e37_79b9_7f4a_7c15_u64;
        let words = std::iter::repeat_with(|| {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            word.to_le_bytes()
        });
        Self { twice: words.take(PIECE / 8).flatten().collect::<Vec<u8>>().repeat(2) }
    }

    /// What the file has from this offset on: up to 1 MiB of it, and at least one byte.
    pub(crate) fn at(&self, offset: u64) -> &[u8] {
        let (number, within) = (offset as usize / PIECE, offset as usize % PIECE);
        let turned = (number % PIECE * TURN + within) % PIECE;
        &self.twice[turned..turned + PIECE - within]
    }

    /// The same, but not beyond `end`.
    fn between(&self, offset: u64, end: u64) -> &[u8] {
        let bytes = self.at(offset);
        &bytes[..bytes.len().min(usize::try_from(end - offset).unwrap_or(PIECE))]
    }

    /// Writes its first bytes to a new file, so far that nothing waits to be written to the disk.
    pub(crate) fn write(&self, path: &Path, length: u64) -> Result<()> {
        let mut file = File::create(path)?;
        let mut at = 0;
        while at < length {
            let bytes = self.between(at, length);
            file.write_all(bytes)?;
            at += bytes.len() as u64;
        }
        Ok(file.sync_all()?)
    }

    /// Compares a whole file with the first bytes of this.
    pub(crate) fn ensure_same(&self, path: &Path, length: u64) -> Result<()> {
        let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let there = file.metadata()?.len();
        ensure!(there == length, "the file has {there} bytes instead of {length}");
        let (mut read, mut at) = (vec![0; PIECE], 0);
        while at < length {
            let expected = self.between(at, length);
            let read = &mut read[..expected.len()];
            file.read_exact(read)?;
            if read != expected {
                let differs =
                    read.iter().zip(expected).take_while(|(read, expected)| read == expected).count();
                bail!("the file differs from what was sent at byte {}", at + differs as u64);
            }
            at += expected.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Two pieces and a little of a third.
    const LENGTH: usize = 2 * PIECE + 7;

    #[test]
    fn a_file_that_lacks_or_misplaces_something_is_not_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, noise) = (folder.path().join("noise"), Noise::new());
        noise.write(&path, LENGTH as u64).expect("it writes");
        let whole = fs::read(&path).expect("it is there");
        let said = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("it writes");
            noise.ensure_same(&path, LENGTH as u64).err().map_or(String::new(), |error| error.to_string())
        };
        assert_eq!(said(&whole), "");
        assert_eq!(said(&whole[..LENGTH - 1]), "the file has 2097158 bytes instead of 2097159");

        let mut changed = whole.clone();
        changed[LENGTH - 1] ^= 1;
        assert_eq!(said(&changed), "the file differs from what was sent at byte 2097158");

        let mut swapped = whole.clone();
        swapped[..2 * PIECE].rotate_left(PIECE);
        assert!(said(&swapped).starts_with("the file differs from what was sent at byte "));
    }

    #[test]
    fn what_lies_at_an_offset_does_not_depend_on_where_one_begins_to_read() {
        let noise = Noise::new();
        let offset = 5 * PIECE as u64 + 1000;
        assert_eq!(noise.at(offset), &noise.at(offset - 1000)[1000..]);
        assert_eq!(noise.at(offset).len(), PIECE - 1000);
    }
}
