//! Writing a form around content that is not read.

use std::mem;

use http::HeaderValue;

use super::error::excerpt;
use super::label::{base_name, escape};
use super::{Boundary, FormError};
use crate::transport::{Body, Segment};

/// Writes the fields of a form in the order of the calls.
///
/// ```
/// # use partwise_protocol::{multipart::{Boundary, FormWriter}, transport::SourceRange};
/// let content = SourceRange::new(0, 1_000_000_000);
/// let (content_type, body) = FormWriter::new(Boundary::from_entropy([7; 16]))
///     .text("purpose", "fine-tune")?
///     .file("file", "train.jsonl", "application/jsonl", content.into())?
///     .finish()?;
/// assert_eq!(content_type, "multipart/form-data; boundary=07070707070707070707070707070707");
/// assert_eq!(body.segments().len(), 3); // what precedes the content, the content, what follows it
/// # Ok::<(), partwise_protocol::multipart::FormError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct FormWriter {
    boundary: Boundary,
    /// What is complete, up to the end of the last file's content.
    segments: Vec<Segment>,
    /// What has been written since.
    text: String,
}

impl FormWriter {
    /// A form without fields.
    pub fn new(boundary: Boundary) -> Self {
        Self { boundary, segments: Vec::new(), text: String::new() }
    }

    /// Adds a text field. `name` is one of the API's own: line breaks and quotes in it are escaped, a backslash is not.
    ///
    /// # Errors
    /// [`FormError::BoundaryInText`] when a line of `value` begins with the boundary: the rest of the value would be read as other
    /// fields. A random boundary is in no value by chance.
    pub fn text(mut self, name: &str, value: &str) -> Result<Self, FormError> {
        // Readers differ in what ends a line, and some read a boundary at the beginning of a value as one.
        let delimiter = format!("--{}", self.boundary.as_str());
        if value.split(['\r', '\n']).any(|line| line.starts_with(&delimiter)) {
            return Err(FormError::BoundaryInText { name: excerpt(name) });
        }
        self.open_field(name);
        self.text += &format!("\r\n\r\n{value}\r\n");
        Ok(self)
    }

    /// Adds a file. Of `filename` only the [`base_name`] is sent, as UTF-8; `content` is neither read nor
    /// copied.
    ///
    /// The field has both a `filename` and a `Content-Type`, without which Azure refuses it, and no
    /// `Content-Length`, with which Azure misreads the other fields.
    ///
    /// # Errors
    /// [`FormError::NoFilename`] when nothing is left of `filename`; [`FormError::BadFileType`] when
    /// `content_type` is empty or cannot stand in a header.
    pub fn file(
        mut self,
        name: &str,
        filename: &str,
        content_type: &str,
        content: Segment,
    ) -> Result<Self, FormError> {
        let base_name = base_name(filename);
        if base_name.is_empty() {
            return Err(FormError::NoFilename { filename: excerpt(filename) });
        }
        if content_type.is_empty() || !content_type.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(FormError::BadFileType { content_type: excerpt(content_type) });
        }
        self.open_field(name);
        let filename = escape(base_name);
        self.text += &format!("; filename=\"{filename}\"\r\nContent-Type: {content_type}\r\n\r\n");
        self.end_segment();
        self.segments.push(content);
        self.text += "\r\n";
        Ok(self)
    }

    /// Closes the form: its `Content-Type` and its body.
    ///
    /// # Errors
    /// [`FormError::TooLong`] when the length does not fit a `u64`.
    pub fn finish(mut self) -> Result<(HeaderValue, Body), FormError> {
        self.text += &format!("--{}--\r\n", self.boundary.as_str());
        self.end_segment();
        Ok((self.boundary.content_type(), Body::from_segments(self.segments)?))
    }

    fn open_field(&mut self, name: &str) {
        let (boundary, name) = (self.boundary.as_str(), escape(name));
        self.text += &format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"");
    }

    fn end_segment(&mut self) {
        self.segments.push(Segment::Bytes(mem::take(&mut self.text).into()));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::transport::SourceRange;

    fn writer() -> FormWriter {
        FormWriter::new(Boundary::from_entropy([0xab; 16]))
    }

    fn on_the_wire(form: FormWriter, source: &[u8]) -> String {
        let (content_type, body) = form.finish().unwrap();
        let bytes = body.resolve(source).unwrap();
        assert_eq!(body.content_length(), bytes.len() as u64);
        let text = std::str::from_utf8(&bytes).unwrap().replace('\r', "␍");
        format!("Content-Type: {}\nContent-Length: {}\n\n{text}", content_type.to_str().unwrap(), bytes.len())
    }

    #[test]
    fn a_file_of_a_source_with_text_before_it() {
        let form = writer()
            .text("purpose", "batch")
            .unwrap()
            .text("expires_after[seconds]", "3600")
            .unwrap()
            .text("expires_after[anchor]", "created_at")
            .unwrap()
            .file("file", "batch.jsonl", "application/jsonl", SourceRange::new(2, 9).into())
            .unwrap();
        insta::assert_snapshot!(on_the_wire(form, b"0123456789"));
    }

    #[test]
    fn a_part_is_one_range_between_two_pieces_of_text() {
        let range = SourceRange::new(64 << 20, 128 << 20);
        let form = writer().file("data", "upload", "application/octet-stream", range.into()).unwrap();
        let (_, body) = form.finish().unwrap();
        insta::assert_debug_snapshot!(body);
    }

    #[test]
    fn text_may_follow_a_file_in_memory() {
        let content = Bytes::from_static(b"{}\n");
        let address = content.as_ptr();
        let form = writer().file("file", "a.jsonl", "text/plain", content.into()).unwrap();
        let form = form.text("purpose", "evals").unwrap();
        let (_, body) = form.clone().finish().unwrap();
        assert!(matches!(&body.segments()[1], Segment::Bytes(bytes) if bytes.as_ptr() == address));
        insta::assert_snapshot!(on_the_wire(form, b""));
    }

    #[test]
    fn a_form_of_text_alone_is_in_memory() {
        insta::assert_snapshot!(on_the_wire(writer().text("name", "Zoë\r\n\"quoted\"").unwrap(), b""));
    }

    #[test]
    fn an_empty_file_keeps_its_field() {
        let form = writer().file("file", "empty.txt", "text/plain", Bytes::new().into()).unwrap();
        insta::assert_snapshot!(on_the_wire(form, b""));
    }

    #[test]
    fn names_cannot_break_out_of_their_header() {
        let form = writer()
            .file(
                "file",
                "/home/ada/\"q\"\r\nX-Evil: 你好;%41.txt",
                "text/plain",
                Bytes::from_static(b"x").into(),
            )
            .unwrap();
        insta::assert_snapshot!(on_the_wire(form.text("a\"\r\nb", "").unwrap(), b""));
    }

    #[test]
    fn no_value_and_no_name_can_end_its_field() {
        let delimiter = "--abababababababababababababababab";
        for value in ["", "x\r\n", "x\n", "x\r", "\r\n"].map(|before| format!("{before}{delimiter}--\r\n")) {
            let error = writer().text("purpose", &value).unwrap_err();
            assert_eq!(error, FormError::BoundaryInText { name: "purpose".into() }, "{value:?}");
        }
        let inside = format!("x{delimiter}\r\n -{delimiter}");
        assert!(on_the_wire(writer().text("a", &inside).unwrap(), b"").contains(delimiter));
        let name = writer().text(&format!("a\r\n{delimiter}--"), "").unwrap().finish().unwrap().1;
        let name = name.into_bytes().unwrap();
        let delimiters = memchr::memmem::find_iter(&name, &format!("\n{delimiter}")).count();
        assert_eq!(delimiters, 1, "the one at the end");
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_refused() {
        let errors = [
            ("", "text/plain"),
            ("folder/", "text/plain"),
            ("a.txt", ""),
            ("a.txt", "text/plain\r\nX-Evil: 1"),
            ("a.txt", "text/plain; name=ü"),
        ]
        .map(|(filename, content_type)| {
            writer().file("file", filename, content_type, Bytes::new().into()).unwrap_err().to_string()
        });
        insta::assert_debug_snapshot!(errors, @r#"
        [
            "the file name \"\" is empty after its last slash; name the file",
            "the file name \"folder/\" is empty after its last slash; name the file",
            "the content type \"\" of the file is not printable ASCII",
            "the content type \"text/plain\\r\\nX-Evil: 1\" of the file is not printable ASCII",
            "the content type \"text/plain; name=ü\" of the file is not printable ASCII",
        ]
        "#);
    }

    #[test]
    fn a_form_too_long_to_measure_is_refused() {
        let form = writer().file("file", "a", "text/plain", SourceRange::new(0, u64::MAX).into()).unwrap();
        assert!(matches!(form.finish(), Err(FormError::TooLong(_))));
    }
}
