//! Excerpts of texts from outside for messages: one line, and not too long.

use std::borrow::Cow;

/// The most characters that are shown.
const LONGEST: usize = 512;

/// A character of UTF-8 has at most so many bytes.
const WIDEST: usize = 4;

/// The beginning of a body, with what is no text replaced.
pub(super) fn body_excerpt(body: &[u8]) -> String {
    let beginning = &body[..body.len().min(LONGEST * WIDEST)];
    let mut line = one_line(&String::from_utf8_lossy(beginning));
    if beginning.len() < body.len() && !line.ends_with('…') {
        line.truncate(line.trim_end_matches('\u{FFFD}').len());
        line.push('…');
    }
    line
}

/// The beginning of a name, an identifier, a path or a value of a field as a message shows it: at most 64 characters.
pub(crate) fn beginning(text: &str) -> Cow<'_, str> {
    const MOST: usize = 64;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// The beginning of a text that a caller sent, for a message: its first 64 characters, on one line. Line breaks and other control
/// characters are escaped; `…` stands for the rest.
///
/// ```
/// use partwise_protocol::error::excerpt;
///
/// assert_eq!(excerpt("two\nlines"), "two\\nlines");
/// assert_eq!(excerpt(&"x".repeat(1000)), "x".repeat(64) + "…");
/// ```
#[must_use]
pub fn excerpt(text: &str) -> String {
    let breaks = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    let mut line = String::new();
    for character in beginning(text).chars() {
        if breaks(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
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
    fn an_excerpt_is_one_line_of_at_most_64_characters() {
        assert_eq!(excerpt("a\r\u{2028}\u{1b}[2J\"\\ü"), "a\\r\\u{2028}\\u{1b}[2J\"\\ü");
        assert_eq!(excerpt(&"ü".repeat(64)), "ü".repeat(64));
        assert_eq!(excerpt(&"ü".repeat(65)), "ü".repeat(64) + "…");
    }

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        for (body, shown) in [("x".repeat(512), 512), ("ü".repeat(512), 512), ("🦀".repeat(512), 512)] {
            assert_eq!(body_excerpt(body.as_bytes()).chars().count(), shown);
            let longer = body_excerpt(format!("{body}yz").as_bytes());
            assert_eq!(longer, format!("{body}…"));
        }
        assert_eq!(body_excerpt(&[b" ".repeat(2047), "🦀".into()].concat()), "…");
        assert_eq!(body_excerpt(b"\xffa"), "\u{FFFD}a");
    }
}
