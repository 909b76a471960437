//! `Content-Disposition: attachment`, which names a file that is downloaded.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::field::filename_of;
use super::parameters::Parameterized;

/// The characters that RFC 8187 lets stand unescaped in an extended value.
const EXTENDED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The header of an answer whose body is to be kept under this name.
///
/// A name with characters that readers of the plain form misread (RFC 6266, appendix D) comes a second time in RFC
/// 8187's form, and first without them.
pub(crate) fn attachment(filename: &str) -> String {
    let is_plain = |character: char| matches!(character, ' '..='~') && !matches!(character, '"' | '\\' | '%');
    let fallback = filename.replace(|character| !is_plain(character), "_");
    if fallback == filename {
        return format!("attachment; filename=\"{filename}\"");
    }
    let extended = utf8_percent_encode(filename, EXTENDED);
    format!("attachment; filename=\"{fallback}\"; filename*=UTF-8''{extended}")
}

/// The name in such a header, in either form. A label, never to be used as a path. A header that is too long or has too
/// many parameters names nothing, as one that cannot be read.
pub(crate) fn disposition_filename(value: &str) -> Option<String> {
    filename_of(&Parameterized::parse(value).ok()?).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_again_as_it_was_written() {
        for name in [
            "a.txt",
            "two words.jsonl",
            "q\"uote.txt",
            "你好.txt",
            r"Assets\fine.jsonl",
            "a;b=c'd*.txt",
            "tab\t.txt",
            "a%22b%41.txt",
            "a__b",
            "",
        ] {
            let header = attachment(name);
            assert!(http::HeaderValue::try_from(&header).is_ok(), "{header}");
            assert_eq!(disposition_filename(&header).as_deref(), Some(name), "{header}");
        }
    }

    #[test]
    fn the_header_is_plain_where_it_can_be() {
        insta::assert_snapshot!(attachment("puppy.jsonl"), @r#"attachment; filename="puppy.jsonl""#);
        insta::assert_snapshot!(attachment("10%.txt"), @r#"attachment; filename="10_.txt"; filename*=UTF-8''10%25.txt"#);
        insta::assert_snapshot!(attachment("你.txt"), @r#"attachment; filename="_.txt"; filename*=UTF-8''%E4%BD%A0.txt"#);
    }

    #[test]
    fn a_header_with_more_than_is_read_has_no_name() {
        let many = (0..32).map(|number| format!("; p{number}=x")).collect::<String>();
        let long = "x".repeat(8 << 10);
        for header in [format!("attachment; filename=a{many}"), format!("attachment; filename={long}")] {
            assert_eq!(disposition_filename(&header), None);
        }
    }

    #[test]
    fn a_header_without_a_readable_name_has_none() {
        for header in ["attachment", "inline; filename", "attachment; filename*=latin1''x", ""] {
            assert_eq!(disposition_filename(header), None, "{header}");
        }
    }
}
