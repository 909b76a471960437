//! Content for files.

use std::fmt::Debug;

/// Returns `length` bytes that no compression and no repetition would leave alone: a test that mixes up two ranges sees it.
///
/// # Panics
///
/// When so many bytes cannot be in memory.
#[must_use]
pub fn noise(length: impl TryInto<usize, Error: Debug>) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(length.try_into().unwrap())
    .collect()
}
