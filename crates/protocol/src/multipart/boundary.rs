//! The text that separates the fields of a form.

use bytes::Bytes;
use http::HeaderValue;

use super::FormError;
use super::error::excerpt;
use super::parameters::{ParameterValue, Parameterized};

const FORM_DATA: &str = "multipart/form-data";

/// RFC 2046 §5.1.1.
const LONGEST: usize = 70;

/// The boundary of a form: 1 to 70 printable ASCII characters, none of them a quote or backslash, the last
/// one not a space.
///
/// ```
/// use http::HeaderValue;
/// use partwise_protocol::multipart::Boundary;
///
/// let boundary = Boundary::of(&HeaderValue::from_static("multipart/form-data; boundary=\"a b\""))?;
/// assert_eq!(boundary.as_str(), "a b");
/// // One of a client's own, drawn from 16 random bytes.
/// let own = Boundary::from_entropy([7; 16]);
/// assert_eq!(Boundary::of(&own.content_type())?, own);
/// # Ok::<(), partwise_protocol::multipart::FormError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary(Box<str>);

impl Boundary {
    /// A boundary of 32 hex digits, to write a form with.
    ///
    /// It must not occur in the content, which nobody searches for it: so the entropy has to be random, and
    /// new for each form.
    #[must_use]
    pub fn from_entropy(entropy: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(entropy)).into())
    }

    /// The boundary that the `Content-Type` of a form names, quoted or not.
    ///
    /// # Errors
    /// [`FormError::BadContentType`], [`FormError::HeaderValueTooLong`], [`FormError::TooManyParameters`],
    /// [`FormError::NotAForm`], [`FormError::NoBoundary`] or [`FormError::BadBoundary`].
    pub fn of(content_type: &HeaderValue) -> Result<Self, FormError> {
        let header = String::from_utf8_lossy(content_type.as_bytes());
        let unreadable = || FormError::BadContentType { content_type: excerpt(&header) };
        let parsed =
            Parameterized::parse(&header).map_err(|malformed| malformed.of("Content-Type", unreadable))?;
        if !parsed.value.eq_ignore_ascii_case(FORM_DATA) {
            return Err(FormError::NotAForm { content_type: excerpt(&header) });
        }
        let boundary = match parsed.parameter("boundary").ok_or(FormError::NoBoundary)? {
            ParameterValue::Plain(text) => text.to_owned(),
            ParameterValue::Quoted(text) => unquote(text),
        };
        if !is_boundary(&boundary) {
            return Err(FormError::BadBoundary { boundary: excerpt(&boundary) });
        }
        Ok(Self(boundary.into()))
    }

    /// The `Content-Type` of a form with this boundary.
    #[must_use]
    pub fn content_type(&self) -> HeaderValue {
        let Self(boundary) = self;
        let value = if boundary.bytes().all(is_token) {
            format!("{FORM_DATA}; boundary={boundary}")
        } else {
            format!("{FORM_DATA}; boundary=\"{boundary}\"")
        };
        HeaderValue::try_from(value).expect("a boundary is printable ASCII")
    }

    /// The boundary as it stands in the body, without the dashes around it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bytes between the content of one field and the rest of the boundary's line.
    pub(super) fn delimiter(&self) -> Bytes {
        format!("\r\n--{}", self.0).into()
    }
}

fn is_boundary(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
        && !text.ends_with(' ')
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A quoted string's text without its escapes (RFC 9110 §5.6.4).
fn unquote(quoted: &str) -> String {
    let mut chars = quoted.chars();
    let mut text = String::with_capacity(quoted.len());
    while let Some(char) = chars.next() {
        text.push(if char == '\\' { chars.next().unwrap_or(char) } else { char });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content_type: &str) -> Result<Boundary, FormError> {
        Boundary::of(&HeaderValue::from_bytes(content_type.as_bytes()).unwrap())
    }

    #[test]
    fn entropy_becomes_hex() {
        let boundary = Boundary::from_entropy(*b"\0\x01partwise-form\xff");
        assert_eq!(boundary.as_str(), "000170617274776973652d666f726dff");
        assert_eq!(boundary.content_type(), "multipart/form-data; boundary=000170617274776973652d666f726dff");
    }

    #[test]
    fn boundaries_of_real_clients_are_read() {
        for (content_type, boundary) in [
            ("multipart/form-data; boundary=5f2c", "5f2c"),
            ("multipart/form-data;boundary=----formdata-undici-0123", "----formdata-undici-0123"),
            ("multipart/form-data; boundary=\"a=?_b\"", "a=?_b"),
            ("Multipart/Form-Data; charset=utf-8; BOUNDARY=\"a b\"; x=y", "a b"),
            ("multipart/form-data; boundary=\"a\\=b\\c\"", "a=bc"),
            ("multipart/form-data; boundary=a=?_b ;", "a=?_b"),
        ] {
            assert_eq!(of(content_type).unwrap().as_str(), boundary, "{content_type}");
        }
    }

    #[test]
    fn a_boundary_survives_its_content_type() {
        for boundary in ["abc", "a=?_b", "a b", "'()+_,-./:=?"] {
            let boundary = of(&format!("multipart/form-data; boundary=\"{boundary}\"")).unwrap();
            assert_eq!(Boundary::of(&boundary.content_type()), Ok(boundary));
        }
    }

    #[test]
    fn a_content_type_that_is_no_form_says_why() {
        let longest = "x".repeat(70);
        assert!(of(&format!("multipart/form-data; boundary={longest}")).is_ok());
        let errors = [
            "",
            "application/json",
            "multipart/mixed; boundary=x",
            "multipart/form-data; boundary",
            "multipart/form-data; boundary=\"x",
            "multipart/form-data; boundary=x; boundary=y",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=\"x \"",
            "multipart/form-data; boundary=\"x\\\"y\"",
            "multipart/form-data; boundary=\"x\ty\"",
            "multipart/form-data; boundary=ü",
            &format!("multipart/form-data; boundary={longest}x"),
        ]
        .map(|content_type| of(content_type).unwrap_err().to_string());
        insta::assert_debug_snapshot!(errors, @r#"
        [
            "the content type \"\" is not multipart/form-data",
            "the content type \"application/json\" is not multipart/form-data",
            "the content type \"multipart/mixed; boundary=x\" is not multipart/form-data",
            "the parameters of the content type \"multipart/form-data; boundary\" cannot be read",
            "the parameters of the content type \"multipart/form-data; boundary=\\\"x\" cannot be read",
            "the parameters of the content type \"multipart/form-data; boundary=x; boundary=y\" cannot be read",
            "the content type multipart/form-data has no boundary",
            "the boundary \"\" is not 1 to 70 printable ASCII characters",
            "the boundary \"\" is not 1 to 70 printable ASCII characters",
            "the boundary \"x \" is not 1 to 70 printable ASCII characters",
            "the boundary \"x\\\"y\" is not 1 to 70 printable ASCII characters",
            "the boundary \"x\\ty\" is not 1 to 70 printable ASCII characters",
            "the boundary \"ü\" is not 1 to 70 printable ASCII characters",
            "the boundary \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…\" is not 1 to 70 printable ASCII characters",
        ]
        "#);
    }
}
