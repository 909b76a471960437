//! The content of files: bytes that follow from a seed, so that none are kept for the comparison.

use std::fmt::Write as _;
use std::ops::Range;

use md5::{Digest as _, Md5};

const WORD: u64 = 8;

/// The content of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    seed: u64,
    length: u64,
}

impl Content {
    pub(crate) fn new(seed: u64, length: u64) -> Self {
        Self { seed, length }
    }

    pub(crate) fn length(self) -> u64 {
        self.length
    }

    pub(crate) fn all(self) -> Vec<u8> {
        self.bytes(0..self.length)
    }

    /// The bytes of a range, which ends no later than the content.
    pub(crate) fn bytes(self, range: Range<u64>) -> Vec<u8> {
        let range = range.start..range.end.min(self.length);
        let first = range.start / WORD;
        let mut bytes = Vec::with_capacity((range.end - first * WORD + WORD) as usize);
        for number in first..range.end.div_ceil(WORD) {
            bytes.extend(self.word(number).to_le_bytes());
        }
        let skipped = (range.start - first * WORD) as usize;
        bytes.drain(..skipped.min(bytes.len()));
        bytes.truncate((range.end - range.start) as usize);
        bytes
    }

    /// Says where `bytes` are not this range's; `None` when they are.
    pub(crate) fn difference(self, range: Range<u64>, bytes: &[u8]) -> Option<String> {
        let expected = self.bytes(range.clone());
        if expected == bytes {
            return None;
        }
        let place = expected.iter().zip(bytes).position(|(one, other)| one != other);
        Some(match place {
            Some(place) => format!("byte {} differs", range.start + place as u64),
            None => format!("{} bytes came, not {}", bytes.len(), expected.len()),
        })
    }

    /// The MD5 in hexadecimal digits.
    pub(crate) fn md5(self) -> String {
        let mut text = String::new();
        for byte in Md5::digest(self.all()) {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// One step of splitmix64.
    fn word(self, number: u64) -> u64 {
        let mut word = self.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_the_bytes_of_the_whole() {
        let content = Content::new(7, 1003);
        let all = content.all();
        assert_eq!(all.len(), 1003);
        for range in [0..1, 5..900, 8..16, 999..1003, 1003..1003] {
            let part = &all[range.start as usize..range.end as usize];
            assert_eq!(content.bytes(range.clone()), part, "{range:?}");
            assert_eq!(content.difference(range, part), None);
        }
    }

    #[test]
    fn what_differs_is_named() {
        let content = Content::new(7, 100);
        let mut bytes = content.bytes(10..20);
        assert_eq!(content.difference(10..20, &bytes[..9]).unwrap(), "9 bytes came, not 10");
        bytes[3] ^= 1;
        assert_eq!(content.difference(10..20, &bytes).unwrap(), "byte 13 differs");
    }

    #[test]
    fn the_digest_is_of_the_whole() {
        assert_eq!(Content::new(1, 0).md5(), "d41d8cd98f00b204e9800998ecf8427e");
    }
}
