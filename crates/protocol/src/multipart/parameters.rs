//! Header values with parameters: `multipart/form-data; boundary=x`, `form-data; name="file";
//! filename="a.txt"`.

use super::FormError;

/// The most parameters that a header may have; browsers and SDKs send three. Each is compared with those before it.
const MOST: usize = 32;

/// The length of the longest value that is taken apart, in bytes.
const LONGEST: usize = 8 * 1024;

/// The white space that may stand around the pieces of a header.
pub(super) const BLANKS: [char; 2] = [' ', '\t'];

/// A header's value, taken apart but not yet unescaped.
#[derive(Debug)]
pub(super) struct Parameterized<'a> {
    /// The text before the first `;`.
    pub(super) value: &'a str,
    parameters: Vec<(&'a str, ParameterValue<'a>)>,
}

/// The value of a parameter as it stands in the header.
#[derive(Clone, Copy, Debug)]
pub(super) enum ParameterValue<'a> {
    Plain(&'a str),
    /// The text between the quotes, with its escapes.
    Quoted(&'a str),
}

/// A header's value cannot be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// A parameter has no `=`, ends within its quotes, goes on after them, or comes twice.
    Unreadable,
    TooLong,
    TooMany,
}

impl Malformed {
    /// The error of this header; `unreadable` is what is said of one that is within the limits.
    pub(super) fn of(self, header: &'static str, unreadable: impl FnOnce() -> FormError) -> FormError {
        match self {
            Self::Unreadable => unreadable(),
            Self::TooLong => FormError::HeaderValueTooLong { header, limit: LONGEST },
            Self::TooMany => FormError::TooManyParameters { header, limit: MOST },
        }
    }
}

impl<'a> Parameterized<'a> {
    /// Takes the value of a header apart, in time that grows with its length alone.
    pub(super) fn parse(header: &'a str) -> Result<Self, Malformed> {
        if header.len() > LONGEST {
            return Err(Malformed::TooLong);
        }
        let (value, mut rest) = split_before_semicolon(header);
        let mut parsed = Self { value: value.trim_matches(BLANKS), parameters: Vec::new() };
        loop {
            rest = rest.trim_start_matches(BLANKS);
            if rest.is_empty() {
                return Ok(parsed);
            }
            rest = rest.strip_prefix(';').ok_or(Malformed::Unreadable)?.trim_start_matches(BLANKS);
            if rest.is_empty() || rest.starts_with(';') {
                continue;
            }
            let (name, value, after) = parse_parameter(rest).ok_or(Malformed::Unreadable)?;
            if parsed.parameters.len() == MOST {
                return Err(Malformed::TooMany);
            }
            if parsed.parameter(name).is_some() {
                return Err(Malformed::Unreadable);
            }
            parsed.parameters.push((name, value));
            rest = after;
        }
    }

    /// The value of the parameter of this name, in any case of letters.
    pub(super) fn parameter(&self, name: &str) -> Option<ParameterValue<'a>> {
        self.parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

fn parse_parameter(text: &str) -> Option<(&str, ParameterValue<'_>, &str)> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim_end_matches(BLANKS);
    if name.contains([';', '"']) {
        return None;
    }
    let value = value.trim_start_matches(BLANKS);
    if let Some(quoted) = value.strip_prefix('"') {
        let end = closing_quote(quoted)?;
        return Some((name, ParameterValue::Quoted(&quoted[..end]), &quoted[end + 1..]));
    }
    let (plain, rest) = split_before_semicolon(value);
    Some((name, ParameterValue::Plain(plain.trim_end_matches(BLANKS)), rest))
}

fn split_before_semicolon(text: &str) -> (&str, &str) {
    text.split_at(text.find(';').unwrap_or(text.len()))
}

/// The offset of the first quote that no backslash escapes.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_taken_apart_leniently() {
        let header = r#" form-data ;; Name = "a;\"b=" ;filename=plain name.txt ; x="";"#;
        insta::assert_debug_snapshot!(Parameterized::parse(header).unwrap(), @r#"
        Parameterized {
            value: "form-data",
            parameters: [
                (
                    "Name",
                    Quoted(
                        "a;\\\"b=",
                    ),
                ),
                (
                    "filename",
                    Plain(
                        "plain name.txt",
                    ),
                ),
                (
                    "x",
                    Quoted(
                        "",
                    ),
                ),
            ],
        }
        "#);
    }

    #[test]
    fn unreadable_parameters_are_refused() {
        for header in [
            "form-data; name",
            "form-data; name; x=1",
            r#"form-data; name="open"#,
            r#"form-data; name="open\""#,
            r#"form-data; name="a"b"#,
            "form-data; name=a; NAME=b",
        ] {
            assert_eq!(Parameterized::parse(header).unwrap_err(), Malformed::Unreadable, "{header}");
        }
    }

    #[test]
    fn a_value_has_a_longest_length_and_a_largest_number_of_parameters() {
        let parameters = |count: usize| (0..count).map(|number| format!("; p{number}=x")).collect::<String>();
        assert!(Parameterized::parse(&parameters(MOST)).is_ok());
        assert_eq!(Parameterized::parse(&parameters(MOST + 1)).unwrap_err(), Malformed::TooMany);
        let blanks = |length: usize| " ".repeat(length);
        assert!(Parameterized::parse(&blanks(LONGEST)).is_ok());
        assert_eq!(Parameterized::parse(&blanks(LONGEST + 1)).unwrap_err(), Malformed::TooLong);
    }
}
