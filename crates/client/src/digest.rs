//! A digest of content that tells whether it is the same as before. It is no proof against somebody who wants two contents
//! to look alike; who writes the caller's files needs no such trick.
//!
//! XXH3 with 128 bits, since it has to be taken beside sending: it takes an order of magnitude less time than the encryption
//! of the same bytes.

use twox_hash::XxHash3_128;

/// The digest of some content.
pub(crate) type Digest = u128;

/// Takes a digest piece by piece.
pub(crate) struct Digester(XxHash3_128);

impl Digester {
    pub(crate) fn new() -> Self {
        Self(XxHash3_128::new())
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    pub(crate) fn digest(&self) -> Digest {
        self.0.finish_128()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_the_bytes_and_not_of_their_pieces() {
        let content: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
        let of = |pieces: &[&[u8]]| {
            let mut digester = Digester::new();
            pieces.iter().for_each(|piece| digester.update(piece));
            digester.digest()
        };
        assert_eq!(of(&[&content]), of(&[&content[..1], &content[1..70_000], &content[70_000..]]));
        assert_ne!(of(&[&content]), of(&[&content[1..]]));
    }
}
