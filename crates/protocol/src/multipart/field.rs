//! The header of one field.

use percent_encoding::percent_decode_str;

use super::FormError;
use super::error::excerpt;
use super::label::unescape;
use super::parameters::{BLANKS, ParameterValue, Parameterized};

/// The header of a field, read.
///
/// ```
/// use bytes::Bytes;
/// use http::HeaderValue;
/// use partwise_protocol::multipart::{Boundary, FormEvent, FormLimits, FormReader};
///
/// let boundary = Boundary::of(&HeaderValue::from_static("multipart/form-data; boundary=x"))?;
/// let mut form = FormReader::new(&boundary, FormLimits::default());
/// form.push(Bytes::from("--x\r\nContent-Disposition: form-data; name=file; filename=a.jsonl\r\n\r\n"));
/// let FormEvent::Field(head) = form.poll()? else { unreachable!("a field begins") };
/// assert_eq!((head.name.as_str(), head.filename.as_deref(), head.content_type), ("file", Some("a.jsonl"), None));
/// # Ok::<(), partwise_protocol::multipart::FormError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldHead {
    /// The field's name.
    pub name: String,
    /// The name of the file as its sender calls it: a label that may hold any text, never a path to open.
    /// Text fields have none, and some clients send files without one.
    pub filename: Option<String>,
    /// The `Content-Type` of the field, when it has one.
    pub content_type: Option<String>,
}

impl FieldHead {
    /// Reads a header: what follows a boundary, up to and including the blank line.
    pub(super) fn parse(header: &[u8]) -> Result<Self, FormError> {
        let header = std::str::from_utf8(header).map_err(|_| FormError::HeaderNotUtf8)?;
        let (rest_of_boundary, lines) = header.split_once("\r\n").unwrap_or((header, ""));
        if !rest_of_boundary.trim_matches(BLANKS).is_empty() {
            return Err(FormError::BadBoundaryLine);
        }
        let unfolded = lines.replace("\r\n ", " ").replace("\r\n\t", " ");
        let (mut disposition, mut content_type) = (None, None);
        for line in unfolded.split("\r\n").filter(|line| !line.is_empty()) {
            let unreadable = || FormError::BadHeader { text: excerpt(line) };
            let (name, value) =
                line.split_once(':').filter(|_| !line.contains(['\r', '\n'])).ok_or_else(unreadable)?;
            let known = match name.trim_end_matches(BLANKS).to_ascii_lowercase().as_str() {
                "content-disposition" => &mut disposition,
                "content-type" => &mut content_type,
                _ => continue,
            };
            if known.replace(value.trim_matches(BLANKS)).is_some() {
                return Err(unreadable());
            }
        }
        let mut head = Self::from_disposition(disposition.ok_or(FormError::NoName)?)?;
        head.content_type = content_type.map(str::to_owned);
        Ok(head)
    }

    fn from_disposition(value: &str) -> Result<Self, FormError> {
        let unreadable = || FormError::BadHeader { text: excerpt(value) };
        let disposition = Parameterized::parse(value)
            .map_err(|malformed| malformed.of("Content-Disposition", unreadable))?;
        if !disposition.value.eq_ignore_ascii_case("form-data") {
            return Err(FormError::NoName);
        }
        let name = disposition.parameter("name").map(label).ok_or(FormError::NoName)?;
        let filename = filename_of(&disposition).map_err(|Unreadable| unreadable())?;
        Ok(Self { name, filename, content_type: None })
    }
}

/// An extended value that is none.
pub(super) struct Unreadable;

/// RFC 7578 forbids `filename*`, some send it anyway; RFC 6266 §4.3 prefers it to `filename`.
pub(super) fn filename_of(disposition: &Parameterized<'_>) -> Result<Option<String>, Unreadable> {
    match disposition.parameter("filename*") {
        Some(extended) => extended_label(extended).map(Some).ok_or(Unreadable),
        None => Ok(disposition.parameter("filename").map(label)),
    }
}

fn label(value: ParameterValue<'_>) -> String {
    match value {
        ParameterValue::Plain(text) => text.to_owned(),
        ParameterValue::Quoted(text) => unescape(text),
    }
}

/// RFC 8187 §3.2, of whose charsets UTF-8 is the only one still allowed: `UTF-8'en'%e2%82%ac.txt`.
fn extended_label(value: ParameterValue<'_>) -> Option<String> {
    let (ParameterValue::Plain(text) | ParameterValue::Quoted(text)) = value;
    let (charset, rest) = text.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    let text = percent_decode_str(encoded).decode_utf8().ok()?;
    charset.eq_ignore_ascii_case("utf-8").then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &str) -> Result<FieldHead, FormError> {
        FieldHead::parse(format!("\r\n{lines}\r\n").as_bytes())
    }

    #[test]
    fn names_are_case_insensitive_and_other_headers_are_ignored() {
        let head = parse(
            "content-DISPOSITION : Form-Data;NAME=file\r\nContent-Length: 3\r\n\
             Content-Transfer-Encoding: binary\r\nContent-type:  text/plain; charset=utf-8 \r\n",
        );
        insta::assert_debug_snapshot!(head.unwrap(), @r#"
        FieldHead {
            name: "file",
            filename: None,
            content_type: Some(
                "text/plain; charset=utf-8",
            ),
        }
        "#);
    }

    #[test]
    fn the_extended_filename_wins() {
        for (disposition, filename) in [
            ("filename*=UTF-8''%e2%82%ac%20a.txt", "€ a.txt"),
            ("filename=\"x\"; filename*=utf-8'en'y", "y"),
            ("filename=x y.txt; size=3", "x y.txt"),
        ] {
            let head = parse(&format!("Content-Disposition: form-data; name=\"file\"; {disposition}\r\n"));
            assert_eq!(head.unwrap().filename.as_deref(), Some(filename), "{disposition}");
        }
    }

    #[test]
    fn a_folded_line_is_one_line() {
        let head =
            parse("Content-Disposition: form-data;\r\n name=\"file\";\r\n\tfilename=\"a\"\r\n").unwrap();
        assert_eq!((head.name.as_str(), head.filename.as_deref()), ("file", Some("a")));
    }

    #[test]
    fn an_unreadable_header_says_why() {
        let errors = [
            "",
            "Content-Type: text/plain\r\n",
            "Content-Disposition: form-data\r\n",
            "Content-Disposition: attachment; name=\"a\"\r\n",
            "Content-Disposition: form-data; name=\"a\r\n",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"b\"\r\n",
            "Content-Disposition: form-data; name=\"a\nb\"\r\n",
            "Content-Disposition: form-data; name=\"a\"; filename*=ISO-8859-1''%fc\r\n",
            "Content-Disposition: form-data; name=\"a\"; filename*=UTF-8''%fc\r\n",
            "no colon\r\n",
        ]
        .map(|lines| parse(lines).unwrap_err().to_string());
        insta::assert_debug_snapshot!(errors, @r#"
        [
            "a field has no name: its header needs `Content-Disposition: form-data; name=\"…\"`",
            "a field has no name: its header needs `Content-Disposition: form-data; name=\"…\"`",
            "a field has no name: its header needs `Content-Disposition: form-data; name=\"…\"`",
            "a field has no name: its header needs `Content-Disposition: form-data; name=\"…\"`",
            "\"form-data; name=\\\"a\" in the header of a field cannot be read",
            "\"Content-Disposition: form-data; name=\\\"b\\\"\" in the header of a field cannot be read",
            "\"Content-Disposition: form-data; name=\\\"a\\nb\\\"\" in the header of a field cannot be read",
            "\"form-data; name=\\\"a\\\"; filename*=ISO-8859-1''%fc\" in the header of a field cannot be read",
            "\"form-data; name=\\\"a\\\"; filename*=UTF-8''%fc\" in the header of a field cannot be read",
            "\"no colon\" in the header of a field cannot be read",
        ]
        "#);
    }
}
