//! Names in the columns that a line has for them.

use console::measure_text_width;

const LEFT_OUT: char = '…';

/// The name in at most so many columns: where it is wider, its middle is left out. Its end stays, which tells files of one kind
/// apart.
pub(super) fn shortened(name: &str, columns: usize) -> String {
    if measure_text_width(name) <= columns {
        return name.to_owned();
    }
    let room = columns.saturating_sub(1);
    let end = fitting(name.chars().rev(), room / 2);
    let start = fitting(name.chars(), room - end.iter().map(|c| width(*c)).sum::<usize>());
    // A mark that combines would stand on the sign for what is left out.
    let end = end.into_iter().rev().skip_while(|c| width(*c) == 0);
    let mut short: Vec<char> = start;
    short.push(LEFT_OUT);
    short.extend(end);
    // Marks can make a character wider than it is alone.
    while measure_text_width(&String::from_iter(&short)) > columns && short.pop().is_some() {}
    short.into_iter().collect()
}

/// The first of these characters that fit into so many columns.
fn fitting(chars: impl Iterator<Item = char>, columns: usize) -> Vec<char> {
    let mut taken = 0;
    chars
        .take_while(|c| {
            taken += width(*c);
            taken <= columns
        })
        .collect()
}

fn width(c: char) -> usize {
    measure_text_width(c.encode_utf8(&mut [0; 4]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_name_loses_its_middle() {
        for (name, columns, short) in [
            ("mid.jsonl", 9, "mid.jsonl"),
            ("mid.jsonl", 8, "mid.…onl"),
            ("training-data-2026-11.jsonl", 16, "training…1.jsonl"),
            ("学習データ.jsonl", 16, "学習データ.jsonl"),
            ("学習データ.jsonl", 12, "学習デ…jsonl"),
            ("学習データ", 4, "学…"),
            ("mid.jsonl", 1, "…"),
            ("mid.jsonl", 0, ""),
            ("e\u{301}e\u{301}e\u{301}e\u{301}", 3, "e\u{301}…e\u{301}"),
        ] {
            assert_eq!(shortened(name, columns), short, "{name} in {columns}");
        }
    }

    proptest! {
        #[test]
        fn no_name_is_wider_than_it_may_be(name in "\\PC*", columns in 0..40_usize) {
            prop_assert!(measure_text_width(&shortened(&name, columns)) <= columns);
        }
    }
}
