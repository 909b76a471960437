//! Numbers from the caller's entropy: for boundaries and for jitter.

/// xoshiro256++: small, fast, and good enough for what nobody must be able to choose but anybody may see.
#[derive(Clone, Debug)]
pub(crate) struct Random([u64; 4]);

impl Random {
    pub(crate) fn new(entropy: [u8; 32]) -> Self {
        let mut state = [0u64; 4];
        for (word, bytes) in state.iter_mut().zip(entropy.chunks_exact(8)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        // The one state that the generator never leaves.
        if state == [0; 4] {
            state[0] = 0x9E37_79B9_7F4A_7C15;
        }
        let mut random = Self(state);
        // Entropy with few bits set needs some rounds before its output looks random.
        for _ in 0..16 {
            random.next();
        }
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let output = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        output
    }

    pub(crate) fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_be_bytes());
        bytes[8..].copy_from_slice(&self.next().to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_entropy_gives_the_same_numbers_and_no_entropy_gives_numbers_too() {
        let mut zero = Random::new([0; 32]);
        let drawn: Vec<[u8; 16]> = (0..4).map(|_| zero.bytes()).collect();
        let mut again = Random::new([0; 32]);
        assert_eq!(drawn, (0..4).map(|_| again.bytes()).collect::<Vec<_>>());
        assert!(drawn.windows(2).all(|pair| pair[0] != pair[1]));
        assert_ne!(Random::new([1; 32]).bytes(), drawn[0]);
    }
}
