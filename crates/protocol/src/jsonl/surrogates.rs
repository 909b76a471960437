//! Surrogates in the strings of JSON: two escapes that make one character.

use memchr::{memchr, memmem};

/// Whether an escape of a surrogate may stand in these bytes: nearly no file has one, and many lines at once are searched
/// faster than one after the other.
pub(super) fn may_have_surrogates(bytes: &[u8]) -> bool {
    memmem::find_iter(bytes, r"\u").any(|at| matches!(bytes.get(at + 2), Some(b'd' | b'D')))
}

/// Where in this JSON, from 0, half a pair stands as an escape: `\ud83d` without its other half, or that one alone. What is
/// valid JSON has backslashes in strings alone.
pub(super) fn half_pair(json: &str) -> Option<usize> {
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(next) = memchr(b'\\', &bytes[at..]) {
        at += next;
        at += match surrogate(&bytes[at..]) {
            Some(Half::First) if surrogate(&bytes[at + ESCAPE..]) == Some(Half::Second) => 2 * ESCAPE,
            Some(_) => return Some(at),
            // The character behind the backslash may be another backslash.
            None => 2.min(bytes.len() - at),
        };
    }
    None
}

/// The length of `\ud83d`.
const ESCAPE: usize = 6;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    First,
    Second,
}

/// Which half these bytes begin with, if they begin with one.
fn surrogate(bytes: &[u8]) -> Option<Half> {
    let [b'\\', b'u', b'd' | b'D', second, third, fourth, ..] = bytes else { return None };
    if !third.is_ascii_hexdigit() || !fourth.is_ascii_hexdigit() {
        return None;
    }
    match second.to_ascii_lowercase() {
        b'8' | b'9' | b'a' | b'b' => Some(Half::First),
        b'c'..=b'f' => Some(Half::Second),
        _ => None,
    }
}
