use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Found, read_in_pieces};
use crate::multipart::{Boundary, FieldHead, FormEvent, FormLimits, FormReader, FormWriter, decode_whole};
use crate::transport::{Segment, SourceRange};

#[derive(Clone, Debug)]
enum Field {
    Text { name: String, value: Vec<u8> },
    File { name: String, filename: String, content_type: String, content: Vec<u8> },
}

impl Field {
    fn write(&self, form: FormWriter) -> FormWriter {
        match self {
            Self::Text { name, value } => form.text(name, std::str::from_utf8(value).unwrap()).unwrap(),
            Self::File { name, filename, content_type, content } => {
                let content = Bytes::copy_from_slice(content);
                form.file(name, filename, content_type, content.into()).unwrap()
            }
        }
    }

    fn into_found(self) -> (FieldHead, Vec<u8>) {
        match self {
            Self::Text { name, value } => (FieldHead { name, filename: None, content_type: None }, value),
            Self::File { name, filename, content_type, content } => {
                (FieldHead { name, filename: Some(filename), content_type: Some(content_type) }, content)
            }
        }
    }
}

/// A name without what nobody escapes: a backslash, and a `%` that may begin an escape.
fn name() -> impl Strategy<Value = String> {
    r"[^\\%]{0,12}"
}

fn filename() -> impl Strategy<Value = String> {
    r"[^\\%/]{1,12}"
}

fn content_type() -> impl Strategy<Value = String> {
    "[!-~]( ?[!-~]){0,12}"
}

/// Text that is full of what a boundary's line is made of, but holds no delimiter.
fn value(boundary: &Boundary) -> impl Strategy<Value = Vec<u8>> + use<> {
    let delimiter = boundary.delimiter();
    let beginnings = delimiter.clone();
    let fragment = prop_oneof![
        ".{0,8}".prop_map(String::into_bytes),
        (1..beginnings.len()).prop_map(move |length| beginnings[..length].to_vec()),
        Just(format!("--{}", boundary.as_str()).into_bytes()),
        Just(format!("\n--{}--", boundary.as_str()).into_bytes()),
        Just(b"\r".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"--".to_vec()),
    ];
    vec(fragment, 0..8)
        .prop_map(|fragments| fragments.concat())
        .prop_filter("holds a delimiter", move |value| memchr::memmem::find(value, &delimiter).is_none())
}

/// What a text field takes: no line of it begins with the boundary.
fn text(boundary: &Boundary) -> impl Strategy<Value = Vec<u8>> + use<> {
    let delimiter = format!("--{}", boundary.as_str()).into_bytes();
    value(boundary).prop_filter("has a line that begins with the boundary", move |value| {
        !value.split(|byte| b"\r\n".contains(byte)).any(|line| line.starts_with(&delimiter))
    })
}

fn content(boundary: &Boundary) -> impl Strategy<Value = Vec<u8>> + use<> {
    let delimiter = boundary.delimiter();
    (value(boundary), vec(any::<u8>(), 0..64))
        .prop_map(|(text, bytes)| [bytes, text].concat())
        .prop_filter("holds a delimiter", move |content| memchr::memmem::find(content, &delimiter).is_none())
}

fn form() -> impl Strategy<Value = (Boundary, Vec<Field>)> {
    any::<[u8; 16]>().prop_map(Boundary::from_entropy).prop_flat_map(|boundary| {
        let field = prop_oneof![
            (name(), text(&boundary)).prop_map(|(name, value)| Field::Text { name, value }),
            (name(), filename(), content_type(), content(&boundary)).prop_map(
                |(name, filename, content_type, content)| Field::File {
                    name,
                    filename,
                    content_type,
                    content
                }
            ),
        ];
        (Just(boundary), vec(field, 0..5))
    })
}

fn written(boundary: &Boundary, fields: &[Field]) -> Bytes {
    let form = fields.iter().fold(FormWriter::new(boundary.clone()), |form, field| field.write(form));
    let (content_type, body) = form.finish().unwrap();
    assert_eq!(Boundary::of(&content_type).as_ref(), Ok(boundary));
    let length = body.content_length();
    let bytes = body.into_bytes().unwrap();
    assert_eq!(bytes.len() as u64, length);
    bytes
}

proptest! {
    #[test]
    fn what_is_written_is_read_again_however_it_is_cut(
        (boundary, fields) in form(),
        sizes in vec(1usize..80, 0..6),
    ) {
        let body = written(&boundary, &fields);
        let expected = Found { fields: fields.into_iter().map(Field::into_found).collect(), error: None };
        for sizes in [&sizes[..], &[1], &[]] {
            prop_assert_eq!(&read_in_pieces(&boundary, FormLimits::default(), &body, sizes), &expected);
        }
    }

    #[test]
    fn a_form_cut_short_anywhere_is_an_error((boundary, fields) in form(), kept in any::<prop::sample::Index>()) {
        let body = written(&boundary, &fields);
        let kept = kept.index(body.len() - "\r\n".len());
        let found = read_in_pieces(&boundary, FormLimits::default(), &body[..kept], &[]);
        prop_assert!(found.error.is_some());
    }
}

#[test]
fn every_size_of_piece_and_every_cut_gives_the_same_form() {
    let boundary = Boundary::from_entropy([0x2d; 16]);
    let content = format!("--{0}\r\r\n--{0:.31}\r\n-\r\n\n--{0}--\r\n\r", boundary.as_str());
    let source = format!("before{content}after");
    let range = SourceRange::new(6, 6 + content.len() as u64);
    let (_, body) = FormWriter::new(boundary.clone())
        .text("purpose", "")
        .unwrap()
        .file("file", "a.bin", "text/plain", Segment::Source(range))
        .unwrap()
        .text("last", "\r\n--")
        .unwrap()
        .finish()
        .unwrap();
    let body = body.resolve(source.as_bytes()).unwrap();

    let whole = read_in_pieces(&boundary, FormLimits::default(), &body, &[]);
    assert_eq!(whole.error, None);
    assert_eq!(whole.fields[1].1, content.as_bytes());
    for size in 1..=body.len() {
        assert_eq!(read_in_pieces(&boundary, FormLimits::default(), &body, &[size]), whole);
        assert_eq!(read_in_pieces(&boundary, FormLimits::default(), &body, &[size, body.len()]), whole);
    }
}

#[test]
fn pieces_pushed_ahead_of_a_poll_are_read_in_order() {
    let boundary = Boundary::from_entropy([1; 16]);
    let mut reader = FormReader::new(&boundary, FormLimits::default());
    for piece in written(&boundary, &[Field::Text { name: "a".into(), value: b"value".into() }]).chunks(7) {
        reader.push(Bytes::copy_from_slice(piece));
    }
    assert!(matches!(reader.poll(), Ok(FormEvent::Field(head)) if head.name == "a"));
    assert_eq!(reader.poll(), Ok(FormEvent::Data(Bytes::from_static(b"value"))));
    assert_eq!(reader.poll(), Ok(FormEvent::End));
}

#[test]
fn content_in_memory_is_decoded_without_a_copy() {
    let boundary = Boundary::from_entropy([1; 16]);
    let content = vec![b'\r'; 100_000];
    let form = FormWriter::new(boundary)
        .text("purpose", "batch")
        .unwrap()
        .file("file", "a.jsonl", "application/jsonl", Bytes::from(content.clone()).into())
        .unwrap();
    let (content_type, body) = form.finish().unwrap();
    let body = body.into_bytes().unwrap();

    let (fields, decoded) = decode_whole(&content_type, body.clone(), "file").unwrap();
    assert_eq!(fields.text("purpose"), Some("batch"));
    assert_eq!(decoded, content);
    assert!(body.as_ptr_range().contains(&decoded.as_ptr()));
}

#[test]
fn a_name_that_looks_escaped_is_read_as_its_escape() {
    let boundary = Boundary::from_entropy([1; 16]);
    let form = FormWriter::new(boundary.clone())
        .file("file", "a%22.txt", "text/plain", Bytes::new().into())
        .unwrap();
    let body = form.finish().unwrap().1.into_bytes().unwrap();
    let found = read_in_pieces(&boundary, FormLimits::default(), &body, &[]);
    assert_eq!(found.fields[0].0.filename.as_deref(), Some("a\".txt"));
}
