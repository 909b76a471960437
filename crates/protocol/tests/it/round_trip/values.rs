//! Values as nobody sane sends them, but somebody will.

use partwise_models::{ExpiresAfter, ExpiryAnchor, File, Purpose};
use partwise_protocol::multipart::Boundary;
use proptest::{collection::vec, prelude::*, sample::select, string::string_regex};

/// Any text, line breaks and control characters included.
pub(super) fn text() -> impl Strategy<Value = String> {
    string_regex("(?s).{0,12}").unwrap()
}

/// Any identifier that a path can carry: all but nothing and the two that mean a folder.
pub(super) fn id() -> impl Strategy<Value = String> {
    let pieces = select(vec![
        "file-", "/", "//", "%", "%2F", "%2f", "%00", "..", ".", "?", "#", "&", "=", "+", " ", "\"", "\\",
        "é", "\u{7f}", "\0", "import", "content", "\r\n", "🦀",
    ]);
    let odd = vec(pieces, 1..6).prop_map(|pieces| pieces.concat());
    prop_oneof![odd, string_regex("(?s).{1,12}").unwrap(), Just("x".repeat(4096))]
        .prop_filter("means no folder", |id| !matches!(id.as_str(), "." | ".."))
}

/// A file's name that can be told from its escape: without folders, and without the text of an escape.
pub(super) fn filename() -> impl Strategy<Value = String> {
    let pieces = select(vec![
        "train",
        ".jsonl",
        "\"",
        "\r",
        "\n",
        "\r\n",
        "%",
        "%2",
        "%41",
        "2",
        "20",
        ";",
        "=",
        "'",
        " ",
        "\t",
        "\0",
        "é",
        "你好",
        "filename*=",
        "--",
    ]);
    let odd = vec(pieces, 1..8).prop_map(|pieces| pieces.concat());
    prop_oneof![odd, string_regex(r"(?s)[^/\\]{1,16}").unwrap()]
        .prop_filter("is no escape", |name| !["%22", "%0D", "%0A"].iter().any(|escape| name.contains(escape)))
}

/// A media type as it can stand in a header.
pub(super) fn mime_type() -> impl Strategy<Value = String> {
    string_regex("[!-~]( ?[!-~]){0,12}").unwrap()
}

/// What can stand in any header.
pub(super) fn header_text() -> impl Strategy<Value = String> {
    string_regex("[!-~]{1,12}").unwrap()
}

pub(super) fn content() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        vec(any::<u8>(), 0..16),
        select(vec!["\r\n--", "\r\n", "--", "\r", "Content-Disposition: form-data; name=\"file\"\r\n\r\n"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    vec(pieces, 0..6).prop_map(|pieces| pieces.concat())
}

/// Random as it must be, so that it stands in no content.
pub(super) fn boundary() -> impl Strategy<Value = Boundary> {
    any::<[u8; 16]>().prop_map(Boundary::from_entropy)
}

pub(super) fn purpose() -> impl Strategy<Value = Purpose> {
    prop_oneof![select(Purpose::KNOWN), string_regex("(?s).{1,8}").unwrap().prop_map(Purpose::from)]
}

pub(super) fn expiry() -> impl Strategy<Value = ExpiresAfter> {
    // An empty one is refused before it is sent in a form.
    let other = string_regex("(?s).{1,12}").unwrap().prop_map(ExpiryAnchor::from);
    let anchor = prop_oneof![Just(ExpiryAnchor::CreatedAt), other];
    (anchor, any::<u64>()).prop_map(|(anchor, seconds)| ExpiresAfter::new(anchor, seconds))
}

/// A file that a path can name.
pub(super) fn file() -> impl Strategy<Value = File> {
    (id(), any::<File>()).prop_map(|(id, mut file)| {
        file.id = id;
        file
    })
}
