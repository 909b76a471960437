//! The codings of answers: every request asks for none, and an answer that has one anyway is not read.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header};

/// Asks for the answer as it is. Without this header HTTP allows every coding (RFC 9110, 12.5.3), and some gateways
/// compress then.
pub(crate) fn accept_identity(headers: &mut HeaderMap) {
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// The header's line, when the body is coded: its bytes are not what the service wanted to say, and its length is another.
pub(crate) fn coding(headers: &HeaderMap) -> Option<String> {
    let codings = || headers.get_all(header::CONTENT_ENCODING).iter().map(text);
    let is_coded = codings().any(|codings| !is_identity(&codings));
    is_coded.then(|| format!("Content-Encoding: {}", codings().collect::<Vec<_>>().join(", ")))
}

fn text(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

fn is_identity(codings: &str) -> bool {
    codings
        .split(',')
        .map(str::trim)
        .all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
}
