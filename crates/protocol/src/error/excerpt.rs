//! What a message shows of a text from outside: one line of it, and not too much.

use std::borrow::Cow;

/// The most characters that are shown.
const LONGEST: usize = 512;

/// A character of UTF-8 has at most so many bytes.
const WIDEST: usize = 4;

/// The beginning of a body, with what is no text replaced.
pub(super) fn excerpt(body: &[u8]) -> String {
    let beginning = &body[..body.len().min(LONGEST * WIDEST)];
    let mut line = one_line(&String::from_utf8_lossy(beginning));
    if beginning.len() < body.len() && !line.ends_with('…') {
        line.truncate(line.trim_end_matches('\u{FFFD}').len());
        line.push('…');
    }
    line
}

/// As much of a name, an identifier or a path as a message shows.
pub(crate) fn beginning(text: &str) -> Cow<'_, str> {
    const MOST: usize = 64;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// The beginning of a text, with a blank for each run of what would break its line or move a terminal's cursor.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    let words = text.split(|character: char| character.is_whitespace() || character.is_control());
    for word in words.filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if let Some((end, _)) = line.char_indices().nth(LONGEST) {
            line.truncate(end);
            line.push('…');
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_breaks_a_line_becomes_a_blank() {
        assert_eq!(one_line(" a\r\n\tb\u{2028}c\u{1b}[31md\u{85}\0 "), "a b c [31md");
        assert_eq!(one_line("\n \r"), "");
    }

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        for (body, shown) in [("x".repeat(512), 512), ("ü".repeat(512), 512), ("🦀".repeat(512), 512)] {
            assert_eq!(excerpt(body.as_bytes()).chars().count(), shown);
            let longer = excerpt(format!("{body}yz").as_bytes());
            assert_eq!(longer, format!("{body}…"));
        }
        assert_eq!(excerpt(&[b" ".repeat(2047), "🦀".into()].concat()), "…");
        assert_eq!(excerpt(b"\xffa"), "\u{FFFD}a");
    }
}
