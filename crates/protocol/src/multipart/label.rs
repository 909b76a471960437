//! The quoted names in a `Content-Disposition`: what is escaped in them, and what a file is called.

use std::borrow::Cow;

/// What browsers, httpx and undici escape, with what they make of it (WHATWG HTML §4.10.21.8, RFC 7578 §4.2).
const WRITTEN: [(char, &str); 3] = [('"', "%22"), ('\r', "%0D"), ('\n', "%0A")];

/// What is unescaped: the above, and the backslash pairs of RFC 2616 clients. Any other `%` or `\` stands for
/// itself, since nobody escapes those.
const READ: [(&str, char); 5] = [("%22", '"'), ("%0D", '\r'), ("%0A", '\n'), ("\\\"", '"'), ("\\\\", '\\')];

/// The name of a file without the folders before it: what follows the last `/` or `\`, on any platform.
///
/// Only this is ever sent: a whole path would tell the service how the sender's disk is laid out.
///
/// ```
/// # use partwise_protocol::multipart::base_name;
/// assert_eq!(base_name("/home/ada/train.jsonl"), "train.jsonl");
/// assert_eq!(base_name(r"C:\data\train.jsonl"), "train.jsonl");
/// ```
#[must_use]
pub fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// A name as it stands between the quotes.
///
/// A name that has an escape's text in it, such as `%22`, does not survive: no client says which of the two
/// it meant.
pub(super) fn escape(name: &str) -> Cow<'_, str> {
    let mut escaped = Cow::Borrowed(name);
    for (plain, code) in WRITTEN {
        if escaped.contains(plain) {
            escaped = escaped.replace(plain, code).into();
        }
    }
    escaped
}

/// What was meant by the text between the quotes.
pub(super) fn unescape(quoted: &str) -> String {
    let mut name = String::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some(next) = rest.chars().next() {
        let known = READ.iter().find(|(code, _)| rest.starts_with(code));
        let (length, plain) = known.map_or((next.len_utf8(), next), |(code, plain)| (code.len(), *plain));
        name.push(plain);
        rest = &rest[length..];
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_name_follows_the_last_slash_of_either_kind() {
        for (path, name) in [
            ("a.txt", "a.txt"),
            ("../a/b.txt", "b.txt"),
            (r"Assets\fine_tuning.jsonl", "fine_tuning.jsonl"),
            (r"C:\a/b\c.txt", "c.txt"),
            ("dir/", ""),
            ("", ""),
        ] {
            assert_eq!(base_name(path), name, "{path}");
        }
    }

    #[test]
    fn only_quotes_and_line_ends_are_escaped() {
        assert_eq!(escape("a\"b\r\nc%41\t你好.txt"), "a%22b%0D%0Ac%41\t你好.txt");
        assert!(matches!(escape("plain.txt"), Cow::Borrowed(_)));
    }

    #[test]
    fn only_what_clients_escape_is_unescaped() {
        for (quoted, name) in [
            ("q%22.txt", "q\".txt"),
            (r#"q\".txt"#, "q\".txt"),
            ("%0D%0A", "\r\n"),
            ("%41%0d%2", "%41%0d%2"),
            (r"a\\b", r"a\b"),
            (r"C:\new\dir", r"C:\new\dir"),
            (r"\\\\", r"\\"),
            ("你好.txt", "你好.txt"),
            ("\\", "\\"),
        ] {
            assert_eq!(unescape(quoted), name, "{quoted}");
        }
    }
}
