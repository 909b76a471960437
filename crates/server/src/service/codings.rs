//! The codings of a request's body: none is decoded.

use http::{HeaderMap, HeaderName, header};

use crate::refusal::Refusal;

/// Checks that a body comes as it is.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Refusal> {
    // Stored as it came, it would be another file than the caller means.
    if list(headers, header::CONTENT_ENCODING).any(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
        return Err(Refusal::ContentCoding);
    }
    // HTTP below has undone `chunked`, and nothing else.
    if list(headers, header::TRANSFER_ENCODING).any(|coding| !coding.eq_ignore_ascii_case(b"chunked")) {
        return Err(Refusal::TransferCoding);
    }
    Ok(())
}

fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let values = headers.get_all(name).into_iter();
    let items = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    items.map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}
