//! Sorting a form into its text fields and its content.

use bytes::Bytes;
use http::HeaderValue;

use super::error::excerpt;
use super::{Boundary, FieldHead, FormError, FormEvent, FormLimits, FormReader};

/// The length of all text fields together, names and values, in bytes.
const TEXT_LIMIT: usize = 64 * 1024;

/// Reads a form of text fields and one field of content, in any order: keeps the text, hands out the content
/// as it comes.
///
/// It is driven like a [`FormReader`], with its default limits. The content is known by its field's name,
/// with a filename or without. Any other field is text: UTF-8, at most once, and at most 64 KiB together with all others,
/// so that what is kept of a form does not grow with it.
///
/// ```
/// use bytes::Bytes;
/// use partwise_protocol::{multipart::{Boundary, FormDecoder, FormPoll, FormWriter}, transport::Segment};
///
/// let boundary = Boundary::from_entropy([7; 16]);
/// let content = Segment::Bytes(Bytes::from_static(b"{}\n"));
/// let form = FormWriter::new(boundary).text("purpose", "batch")?;
/// let (content_type, body) = form.file("file", "a.jsonl", "application/jsonl", content)?.finish()?;
///
/// let mut decoder = FormDecoder::new(&content_type, "file")?;
/// decoder.push(body.into_bytes().expect("it is in memory"));
/// let mut content = Vec::new();
/// let fields = loop {
///     match decoder.poll()? {
///         FormPoll::Content(bytes) => content.extend_from_slice(&bytes),
///         FormPoll::NeedInput => decoder.finish_input(),
///         FormPoll::Done(fields) => break fields,
///     }
/// };
/// assert_eq!(content, b"{}\n");
/// assert_eq!(fields.text("purpose"), Some("batch"));
/// assert_eq!(fields.content().filename.as_deref(), Some("a.jsonl"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FormDecoder {
    reader: FormReader,
    boundary: Boundary,
    content_field: &'static str,
    content: Option<FieldHead>,
    texts: Vec<(String, String)>,
    /// The text field that is being read.
    open_text: Option<(String, Vec<u8>)>,
    /// The length of all text so far, names and values.
    text_length: usize,
}

/// The fields of a form beside its content.
///
/// ```
/// use bytes::Bytes;
/// use http::HeaderValue;
/// use partwise_protocol::multipart::decode_whole;
///
/// let form = "--x\r\nContent-Disposition: form-data; name=purpose\r\n\r\nbatch\r\n\
///     --x\r\nContent-Disposition: form-data; name=file; filename=a.jsonl\r\n\r\n{}\n\r\n--x--\r\n";
/// let content_type = HeaderValue::from_static("multipart/form-data; boundary=x");
/// let (fields, content) = decode_whole(&content_type, Bytes::from(form), "file")?;
/// assert_eq!((fields.text("purpose"), fields.text("expires_after")), (Some("batch"), None));
/// assert_eq!((fields.content().filename.as_deref(), &content[..]), (Some("a.jsonl"), &b"{}\n"[..]));
/// # Ok::<(), partwise_protocol::multipart::FormError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormFields {
    texts: Vec<(String, String)>,
    content: FieldHead,
    boundary: Boundary,
}

/// The finding of [`FormDecoder::poll`].
///
/// ```
/// use partwise_protocol::multipart::{FormDecoder, FormError, FormFields, FormPoll};
///
/// /// Takes all that has come of the content, and returns the fields once the form is complete.
/// fn advance(form: &mut FormDecoder, content: &mut Vec<u8>) -> Result<Option<FormFields>, FormError> {
///     loop {
///         match form.poll()? {
///             FormPoll::Content(bytes) => content.extend_from_slice(&bytes),
///             FormPoll::NeedInput => return Ok(None),
///             FormPoll::Done(fields) => return Ok(Some(fields)),
///         }
///     }
/// }
/// ```
#[expect(clippy::exhaustive_enums, reason = "a caller that ignores one of them misreads the form")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormPoll {
    /// The input is used up: push more, or finish it.
    NeedInput,
    /// The next bytes of the content, never empty.
    Content(Bytes),
    /// The form is complete.
    Done(FormFields),
}

/// Decodes a form that is in memory as a whole: its fields, and its content as a slice of `body`.
///
/// # Errors
/// As of [`FormDecoder::new`] and [`FormDecoder::poll`].
///
/// ```
/// use bytes::Bytes;
/// use http::HeaderValue;
/// use partwise_protocol::multipart::decode_whole;
///
/// let form = "--x\r\nContent-Disposition: form-data; name=data\r\n\r\nsome bytes\r\n--x--\r\n";
/// let content_type = HeaderValue::from_static("multipart/form-data; boundary=x");
/// let (_, content) = decode_whole(&content_type, Bytes::from(form), "data")?;
/// assert_eq!(content, "some bytes");
/// # Ok::<(), partwise_protocol::multipart::FormError>(())
/// ```
pub fn decode_whole(
    content_type: &HeaderValue,
    body: Bytes,
    content_field: &'static str,
) -> Result<(FormFields, Bytes), FormError> {
    let mut decoder = FormDecoder::new(content_type, content_field)?;
    decoder.push(body);
    let mut content = Bytes::new();
    loop {
        match decoder.poll()? {
            // What lies within one push comes as one slice.
            FormPoll::Content(bytes) => content = bytes,
            FormPoll::Done(fields) => return Ok((fields, content)),
            FormPoll::NeedInput => decoder.finish_input(),
        }
    }
}

impl FormDecoder {
    /// A decoder at the start of the body of a request with this `Content-Type`, whose content is in
    /// `content_field`.
    ///
    /// # Errors
    /// As of [`Boundary::of`].
    pub fn new(content_type: &HeaderValue, content_field: &'static str) -> Result<Self, FormError> {
        let boundary = Boundary::of(content_type)?;
        Ok(Self {
            reader: FormReader::new(&boundary, FormLimits::default()),
            boundary,
            content_field,
            content: None,
            texts: Vec::new(),
            open_text: None,
            text_length: 0,
        })
    }

    /// The header of the content's field, once it has come: what a service does not take can be refused before the
    /// content is there.
    #[must_use]
    pub fn content_head(&self) -> Option<&FieldHead> {
        self.content.as_ref()
    }

    /// The content's header and the text fields that are complete so far; `None` until the content's header has come. For a gateway
    /// that passes the content on while it comes.
    ///
    /// While the content comes, the text fields are those before it; after that, also those behind it that are complete. All of
    /// them are in [`FormPoll::Done`].
    #[must_use]
    pub fn fields_so_far(&self) -> Option<FormFields> {
        let content = self.content.clone()?;
        Some(FormFields { texts: self.texts.clone(), content, boundary: self.boundary.clone() })
    }

    /// Takes the next bytes of the body, as [`FormReader::push`] does.
    pub fn push(&mut self, bytes: Bytes) {
        self.reader.push(bytes);
    }

    /// Says that the body is complete.
    pub fn finish_input(&mut self) {
        self.reader.finish_input();
    }

    /// The next piece of content, or the end of the form.
    ///
    /// # Errors
    /// A [`FormError`] when the form cannot be read, has no content or two, or a text field breaks its rules;
    /// each later call returns it again.
    pub fn poll(&mut self) -> Result<FormPoll, FormError> {
        let polled = self.next_piece();
        if let Err(error) = &polled {
            self.reader.fail(error);
        }
        polled
    }

    fn next_piece(&mut self) -> Result<FormPoll, FormError> {
        loop {
            match self.reader.poll()? {
                FormEvent::NeedInput => return Ok(FormPoll::NeedInput),
                FormEvent::Field(head) => {
                    self.close_text()?;
                    self.open(head)?;
                }
                FormEvent::Data(bytes) => match &mut self.open_text {
                    None => return Ok(FormPoll::Content(bytes)),
                    Some((_, value)) => {
                        self.text_length = add_text(self.text_length, bytes.len())?;
                        value.extend_from_slice(&bytes);
                    }
                },
                FormEvent::End => {
                    self.close_text()?;
                    let content =
                        self.content.clone().ok_or(FormError::NoContent { field: self.content_field })?;
                    let (texts, boundary) = (self.texts.clone(), self.boundary.clone());
                    return Ok(FormPoll::Done(FormFields { texts, content, boundary }));
                }
            }
        }
    }

    fn open(&mut self, head: FieldHead) -> Result<(), FormError> {
        if head.name == self.content_field {
            return match self.content.replace(head) {
                None => Ok(()),
                Some(_) => Err(FormError::SecondContent { field: self.content_field }),
            };
        }
        if self.texts.iter().any(|(name, _)| *name == head.name) {
            return Err(FormError::DuplicateField { name: excerpt(&head.name) });
        }
        self.text_length = add_text(self.text_length, head.name.len())?;
        self.open_text = Some((head.name, Vec::new()));
        Ok(())
    }

    fn close_text(&mut self) -> Result<(), FormError> {
        if let Some((name, value)) = self.open_text.take() {
            let value =
                String::from_utf8(value).map_err(|_| FormError::ValueNotUtf8 { name: excerpt(&name) })?;
            self.texts.push((name, value));
        }
        Ok(())
    }
}

/// The length of the text with so much more.
fn add_text(length: usize, more: usize) -> Result<usize, FormError> {
    let length = length.saturating_add(more);
    if length > TEXT_LIMIT { Err(FormError::TextTooLong { limit: TEXT_LIMIT }) } else { Ok(length) }
}

impl FormFields {
    /// The value of the text field of this name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The boundary that separated the fields.
    #[must_use]
    pub fn boundary(&self) -> &Boundary {
        &self.boundary
    }

    /// The header of the field that carries the content.
    #[must_use]
    pub fn content(&self) -> &FieldHead {
        &self.content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &str =
        "Content-Disposition: form-data; name=file; filename=a.txt\r\nContent-Type: text/plain";

    /// A form of these fields: each its header lines and its value.
    fn decode(fields: &[(&str, &[u8])]) -> Result<(FormFields, Bytes), FormError> {
        let mut body = Vec::new();
        for (header, value) in fields {
            body.extend_from_slice(format!("--b\r\n{header}\r\n\r\n").as_bytes());
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--b--\r\n");
        decode_whole(&HeaderValue::from_static("multipart/form-data; boundary=b"), body.into(), "file")
    }

    fn text(name: &str) -> String {
        format!("Content-Disposition: form-data; name={name}")
    }

    #[test]
    fn the_fields_before_the_content_are_known_when_it_begins() {
        let content_type = HeaderValue::from_static("multipart/form-data; boundary=b");
        let mut decoder = FormDecoder::new(&content_type, "file").unwrap();
        decoder.push(Bytes::from_static(
            b"--b\r\nContent-Disposition: form-data; name=purpose\r\n\r\nbatch\r\n--b\r\nContent-",
        ));
        assert_eq!(decoder.poll().unwrap(), FormPoll::NeedInput);
        assert_eq!(decoder.fields_so_far(), None);
        decoder
            .push(Bytes::from_static(b"Disposition: form-data; name=file; filename=a\r\n\r\nsome content"));
        while decoder.fields_so_far().is_none() {
            decoder.poll().unwrap();
        }
        let fields = decoder.fields_so_far().unwrap();
        assert_eq!(
            (fields.text("purpose"), fields.content().filename.as_deref()),
            (Some("batch"), Some("a"))
        );
        decoder.push(Bytes::from_static(
            b"\r\n--b\r\nContent-Disposition: form-data; name=late\r\n\r\n1\r\n--b--\r\n",
        ));
        assert_eq!(fields.text("late"), None);
        while !matches!(decoder.poll().unwrap(), FormPoll::Done(_)) {}
        assert_eq!(decoder.fields_so_far().unwrap().text("late"), Some("1"), "it is behind the content");
    }

    #[test]
    fn content_and_text_come_in_any_order() {
        let (before, after) = (text("purpose"), text("expires_after[seconds]"));
        let mut fields = [(before.as_str(), &b"batch"[..]), (CONTENT, b"content"), (&after, b"3600")];
        let forwards = decode(&fields).unwrap();
        insta::assert_debug_snapshot!(forwards, @r#"
        (
            FormFields {
                texts: [
                    (
                        "purpose",
                        "batch",
                    ),
                    (
                        "expires_after[seconds]",
                        "3600",
                    ),
                ],
                content: FieldHead {
                    name: "file",
                    filename: Some(
                        "a.txt",
                    ),
                    content_type: Some(
                        "text/plain",
                    ),
                },
                boundary: Boundary(
                    "b",
                ),
            },
            b"content",
        )
        "#);
        fields.reverse();
        let backwards = decode(&fields).unwrap();
        assert_eq!(backwards.0.text("purpose"), Some("batch"));
        assert_eq!((backwards.0.content(), backwards.1), (forwards.0.content(), forwards.1));
    }

    #[test]
    fn content_without_a_filename_is_content() {
        let (fields, content) = decode(&[(&text("file"), b"\xff\xfe")]).unwrap();
        assert_eq!(fields.content().filename, None);
        assert_eq!(&content[..], b"\xff\xfe");
    }

    #[test]
    fn content_is_missing_or_doubled() {
        let error = decode(&[(&text("data"), b"x")]).unwrap_err();
        assert_eq!(error.to_string(), "the form has no field \"file\"");
        let error = decode(&[(CONTENT, b"x"), (&text("file"), b"y")]).unwrap_err();
        assert_eq!(error.to_string(), "the form has a second field \"file\"");
    }

    #[test]
    fn a_text_field_is_refused_when_it_is_doubled_or_not_text() {
        let purpose = text("purpose");
        let error = decode(&[(&purpose, b"batch"), (CONTENT, b"x"), (&purpose, b"batch")]).unwrap_err();
        assert_eq!(error.to_string(), "the field \"purpose\" comes twice");
        let error = decode(&[(&purpose, b"\xff"), (CONTENT, b"x")]).unwrap_err();
        assert_eq!(error.to_string(), "the value of the field \"purpose\" is not UTF-8");
    }

    #[test]
    fn the_text_of_a_form_has_a_longest_length() {
        let (first, second) = (text("a"), text("b"));
        let longest = vec![b'x'; TEXT_LIMIT / 2 - 1];
        let (fields, _) = decode(&[(&first, &longest), (&second, &longest), (CONTENT, b"x")]).unwrap();
        assert_eq!(fields.text("b").map(str::len), Some(longest.len()));
        let longer = [&longest[..], b"x"].concat();
        let error = decode(&[(&first, &longest), (&second, &longer), (CONTENT, b"x")]).unwrap_err();
        assert_eq!(error.to_string(), "its text fields are longer than 65536 bytes together");
    }

    #[test]
    fn an_end_and_an_error_are_final() {
        let content_type = HeaderValue::from_static("multipart/form-data; boundary=b");
        let mut decoder = FormDecoder::new(&content_type, "file").unwrap();
        decoder.push(format!("--b\r\n{CONTENT}\r\n\r\n\r\n--b--\r\n").into());
        let done = decoder.poll().unwrap();
        assert!(matches!(done, FormPoll::Done(_)));
        assert_eq!(decoder.poll(), Ok(done));

        let mut decoder = FormDecoder::new(&content_type, "file").unwrap();
        decoder.push(format!("--b\r\n{CONTENT}\r\n\r\n\r\n--b\r\n{CONTENT}\r\n\r\nmore").into());
        for _ in 0..2 {
            assert_eq!(decoder.poll(), Err(FormError::SecondContent { field: "file" }));
        }
    }
}
