//! Content that is the same in every run.

use bytes::Bytes;

/// How much content a boundary is searched in.
pub(super) const LENGTH: usize = 4 << 20;
/// How much of it is not a repetition.
const DISTINCT: usize = 16 << 10;

/// Lines of JSON as a training file has them: letters in no order, and an end of line now and then.
pub(super) fn lines() -> Bytes {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut text = Vec::new();
    while text.len() < DISTINCT {
        text.extend_from_slice(br#"{"messages":[{"role":"user","content":""#);
        for _ in 0..64 + state % 128 {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            text.push(b" etaoinshrdlucmf"[(state >> 60) as usize]);
        }
        text.extend_from_slice(b"\"}]}\r\n");
    }
    repeated(&text)
}

/// `piece`, again and again.
pub(super) fn repeated(piece: &[u8]) -> Bytes {
    let mut content = piece.repeat(LENGTH / piece.len() + 1);
    content.truncate(LENGTH);
    content.into()
}
