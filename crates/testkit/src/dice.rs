//! Chance from a seed.

use std::time::Duration;

/// Random numbers that follow from a seed, by splitmix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xA076_1D64_78BD_642F) ^ 0x1234_5678_9ABC_DEF0)
    }

    /// The dice of one thing of a story: they fall the same whatever else is drawn meanwhile.
    #[must_use]
    pub fn of(seed: u64, thing: &str, number: u64) -> Self {
        let name = thing.bytes().fold(number, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        Self::new(seed ^ Self::new(name).word())
    }

    /// Draws any number.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// Draws a number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.word() % end
    }

    /// Returns `true` so many times out of a thousand.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// Picks one of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// Draws a time below so many milliseconds.
    pub fn millis(&mut self, below: u64) -> Duration {
        Duration::from_millis(self.below(below))
    }

    /// Draws a time from nothing to `end`, in whole milliseconds.
    pub fn up_to(&mut self, end: Duration) -> Duration {
        self.millis(end.as_millis() as u64 + 1)
    }

    /// Draws entropy for a machine.
    pub fn entropy(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.iter_mut().for_each(|byte| *byte = self.word() as u8);
        bytes
    }
}
