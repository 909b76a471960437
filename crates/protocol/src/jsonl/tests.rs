use std::fmt::Write as _;

use partwise_models::Purpose;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{BadLine, JsonLinesCheck};

fn check<'a>(purpose: &Purpose, pieces: impl IntoIterator<Item = &'a [u8]>) -> (u64, Vec<BadLine>) {
    run(JsonLinesCheck::new(purpose), pieces)
}

fn run<'a>(mut check: JsonLinesCheck, pieces: impl IntoIterator<Item = &'a [u8]>) -> (u64, Vec<BadLine>) {
    let mut found = Vec::new();
    for piece in pieces {
        check.read(piece, |bad| found.push(bad));
        assert!(check.begun.capacity() <= check.longest_line + 1);
    }
    (check.finish(|bad| found.push(bad)), found)
}

fn said(purpose: &Purpose, file: &[u8]) -> String {
    let (lines, found) = check(purpose, [file]);
    let mut said = String::new();
    for bad in found {
        writeln!(said, "{bad}").unwrap();
    }
    write!(said, "{lines} lines").unwrap();
    said
}

#[test]
fn objects_in_utf_8_are_what_a_service_reads() {
    let files: [&[u8]; 5] = [
        b"{}",
        b"{}\n",
        b"{}\r\n  {\"a\": [1, 2.5e-3, null, true]}\t\r\n",
        "{\"name\": \"süß 你好 \u{1f980}\"}\n{\"\\u00e9\\n\": \"\\\\\"}".as_bytes(),
        "\u{feff}{}\n{}".as_bytes(),
    ];
    for file in files {
        let (_, found) = check(&Purpose::FineTune, [file]);
        assert_eq!(found, [], "{}", String::from_utf8_lossy(&file[..file.len().min(60)]));
    }
}

#[test]
fn an_object_of_any_depth_is_read_without_recursion() {
    let file = [&b"{\"a\":".repeat(100_000)[..], b"1", &b"}".repeat(100_000)].concat();
    assert_eq!(check(&Purpose::FineTune, [&file[..]]), (1, vec![]));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let file = b"{\"a\": 1,}\n{}\n[1]\n\n  \"text\"\n{\"a\": \"b\nc\"}\n{\"a\" 1}\n{} {}\n{\"a\": \"\xff\"}\n \t\r\n{\"a\": NaN}\n{\"a\": \"b\tc\"}\n{\"a\": \"b\r\n{\"a\": \"\\x\"}\n{\"a\": 01}\r\n{\"a\r\n{\"a";
    insta::assert_snapshot!(said(&Purpose::FineTune, file), @r"
    line 1, column 9: not JSON: key must be a string
    line 3, column 1: JSON, but not an object
    line 4, column 1: empty
    line 5, column 3: JSON, but not an object
    line 6, column 8: not JSON: EOF while parsing a string
    line 7, column 1: not JSON: expected value
    line 8, column 6: not JSON: expected `:`
    line 9, column 4: not JSON: trailing characters
    line 10, column 8: not UTF-8
    line 11, column 1: empty
    line 12, column 7: not JSON: expected value
    line 13, column 9: not JSON: control character (\u0000-\u001F) found while parsing a string
    line 14, column 9: not JSON: control character (\u0000-\u001F) found while parsing a string
    line 15, column 9: not JSON: invalid escape
    line 16, column 8: not JSON: invalid number
    line 17, column 4: not JSON: control character (\u0000-\u001F) found while parsing a string
    line 18, column 3: not JSON: EOF while parsing a string
    18 lines
    ");
}

#[test]
fn a_file_without_a_line_is_told_of() {
    insta::assert_snapshot!(said(&Purpose::Batch, b""), @"
    line 1, column 1: the file is empty
    0 lines
    ");
    insta::assert_snapshot!(said(&Purpose::Batch, b"\n"), @"
    line 1, column 1: empty
    1 lines
    ");
    insta::assert_snapshot!(said(&Purpose::FineTune, "\u{feff}".as_bytes()), @"
    line 1, column 1: empty
    1 lines
    ");
}

#[test]
fn half_a_surrogate_pair_is_an_error_wherever_it_stands() {
    let file = br#"{"a": "\ud83d"}
{"\ud83d": 1}
{"a": "\uDE00"}
{"a": "\ud83d\ud83d\ude00"}
{"a": "\ud83d \ude00"}
{"a": "\ud83d\n"}
{"a": "x\\\ud83d"}
{"a": "\ud83d\ude00", "\uD83D\uDE00": "\u00e9\\ud83d \ud7ff\ue000"}
"#;
    insta::assert_snapshot!(said(&Purpose::Batch, file), @r#"
    line 1, column 8: half a surrogate pair: \ud83d stands without its other half
    line 2, column 3: half a surrogate pair: \ud83d stands without its other half
    line 3, column 8: half a surrogate pair: \uDE00 stands without its other half
    line 4, column 8: half a surrogate pair: \ud83d stands without its other half
    line 5, column 8: half a surrogate pair: \ud83d stands without its other half
    line 6, column 8: half a surrogate pair: \ud83d stands without its other half
    line 7, column 11: half a surrogate pair: \ud83d stands without its other half
    8 lines
    "#);
}

#[test]
fn one_empty_line_at_the_end_is_a_warning() {
    insta::assert_snapshot!(said(&Purpose::Batch, b"{}\n\n"), @"
    line 2, column 1: an empty line at the end
    2 lines
    ");
    insta::assert_snapshot!(said(&Purpose::Batch, b"{}\r\n \t"), @"
    line 2, column 1: an empty line at the end
    2 lines
    ");
    insta::assert_snapshot!(said(&Purpose::Batch, b"{}\n\n\n"), @"
    line 2, column 1: empty
    line 3, column 1: an empty line at the end
    3 lines
    ");
    let (_, found) = check(&Purpose::Batch, [&b"{}\n\n{}\n\n"[..]]);
    assert_eq!(found.iter().map(|bad| bad.problem.is_warning()).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_byte_order_mark_is_wrong_in_a_batch_and_after_the_beginning() {
    insta::assert_snapshot!(said(&Purpose::Batch, "\u{feff}{\n{}".as_bytes()), @"
    line 1, column 1: a byte order mark; only a file for fine-tuning may begin with one
    2 lines
    ");
    insta::assert_snapshot!(said(&Purpose::FineTune, "{}\n\u{feff}{}".as_bytes()), @"
    line 2, column 1: not JSON: expected value
    2 lines
    ");
    insta::assert_snapshot!(said(&Purpose::FineTune, "\u{feff}[]\n{}".as_bytes()), @"
    line 1, column 4: JSON, but not an object
    2 lines
    ");
}

#[test]
fn a_line_that_is_too_long_is_not_looked_into() {
    let check = |pieces: &[&str]| {
        let check = JsonLinesCheck { longest_line: 8, ..JsonLinesCheck::new(&Purpose::FineTune) };
        let (lines, found) = run(check, pieces.iter().map(|piece| piece.as_bytes()));
        (lines, found.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let too_long =
        |line: u64| format!("line {line}, column 9: longer than 64 MiB, so it was not looked into");
    assert_eq!(check(&["{\"a\": 1}\n{}\n"]), (2, vec![]));
    assert_eq!(check(&["{\"a\":", " 1", "}\n{}\n"]), (2, vec![]));
    assert_eq!(check(&["{\"a\": 12}\n{}\n"]), (2, vec![too_long(1)]));
    assert_eq!(check(&["{}\n{\"a\"", ": 12", "}    ", "     ", "\n{}\n"]), (3, vec![too_long(2)]));
    assert_eq!(check(&["{}\n{\"a\"", ": 12}"]), (2, vec![too_long(2)]));
}

/// Bytes as a file could have them: often right, often nearly.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just("{\"a\": 1}\n".as_bytes()),
        Just("{}".as_bytes()),
        Just("\n".as_bytes()),
        Just("\r\n".as_bytes()),
        Just("{\"é\": \"".as_bytes()),
        Just("\"}".as_bytes()),
        Just("\\".as_bytes()),
        Just("[1, ".as_bytes()),
        Just("{\"a\": ".as_bytes()),
        Just("}".as_bytes()),
        Just("-1.5e3".as_bytes()),
        Just("\\u00e9".as_bytes()),
        Just("\\ud83d".as_bytes()),
        Just("\\ude00".as_bytes()),
        Just("{\"\\ud83d\\ude00\": \"\\\\\"}\n".as_bytes()),
        Just("\t".as_bytes()),
        Just("\u{feff}".as_bytes()),
        Just(&b"\xc3"[..]),
        Just(&b"\xa9"[..]),
        Just(" ".as_bytes()),
    ];
    vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn pieces_of_any_size_say_what_the_whole_says(file in file(), longest_line in 1..100_usize, sizes in vec(1..20_usize, 1..20)) {
        let new = || JsonLinesCheck { longest_line, ..JsonLinesCheck::new(&Purpose::FineTune) };
        let mut rest = &file[..];
        let pieces: Vec<&[u8]> = sizes
            .iter()
            .cycle()
            .map_while(|size| {
                let (piece, after) = rest.split_at((*size).min(rest.len()));
                rest = after;
                (!piece.is_empty()).then_some(piece)
            })
            .collect();
        prop_assert_eq!(run(new(), pieces), run(new(), [&file[..]]));
    }

    #[test]
    fn a_line_is_bad_when_no_map_can_be_read_from_it(file in file()) {
        let lines: Vec<_> = file.split(|byte| *byte == b'\n').collect();
        let ended = if lines.last() == Some(&&b""[..]) { &lines[..lines.len() - 1] } else { &lines[..] };
        let is_bad = |(index, line): (usize, &&[u8])| {
            let json = if index == 0 { line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line) } else { line };
            let read = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(json);
            read.is_err().then_some(index as u64 + 1)
        };
        let expected: Vec<_> = ended.iter().enumerate().filter_map(is_bad).collect();
        let (count, found) = check(&Purpose::FineTune, [&file[..]]);
        for bad in &found {
            let length = ended.get(bad.line as usize - 1).map_or(0, |line| line.len() as u64);
            prop_assert!((1..=length.max(1)).contains(&bad.column), "{bad} of {length} bytes");
            prop_assert!(!bad.problem.to_string().contains(" at line "), "{bad}");
        }
        let found: Vec<_> = found.into_iter().map(|bad| bad.line).collect();
        prop_assert_eq!(count, ended.len() as u64);
        prop_assert_eq!(found, if ended.is_empty() { vec![1] } else { expected });
    }
}
