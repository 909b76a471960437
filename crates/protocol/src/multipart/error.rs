//! The errors of forms.

use crate::error::beginning;

/// A form cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// The `Content-Type` is another one than `multipart/form-data`.
    #[error("the content type {content_type:?} is not multipart/form-data")]
    NotAForm {
        /// The start of the header's value.
        content_type: String,
    },
    /// The parameters of the `Content-Type` are unreadable, or one comes twice.
    #[error("the parameters of the content type {content_type:?} cannot be read")]
    BadContentType {
        /// The start of the header's value.
        content_type: String,
    },
    /// A header with parameters is too long to be one of a form.
    #[error("`{header}` is longer than {limit} bytes")]
    HeaderValueTooLong {
        /// The header's name: `Content-Type` of the request, or `Content-Disposition` of a field.
        header: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A header has more parameters than any form needs.
    #[error("`{header}` has more than {limit} parameters")]
    TooManyParameters {
        /// The header's name: `Content-Type` of the request, or `Content-Disposition` of a field.
        header: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The `Content-Type` has no `boundary` parameter.
    #[error("the content type multipart/form-data has no boundary")]
    NoBoundary,
    /// The `boundary` parameter is none that could stand in a body.
    #[error("the boundary {boundary:?} is not 1 to 70 printable ASCII characters")]
    BadBoundary {
        /// The start of the boundary.
        boundary: String,
    },

    /// A file without a base name: its name is empty or ends with a slash or backslash.
    #[error("the file name {filename:?} is empty after its last slash; name the file")]
    NoFilename {
        /// The start of the name.
        filename: String,
    },
    /// A file's content type is empty, or has characters that no header can carry.
    #[error("the content type {content_type:?} of the file is not printable ASCII")]
    BadFileType {
        /// The start of the content type.
        content_type: String,
    },
    /// A text field's value has a line that begins with the form's boundary: it would end the field.
    #[error("the value of the field {name:?} has the form's boundary in it")]
    BoundaryInText {
        /// The start of the field's name.
        name: String,
    },
    /// The form's length does not fit a `u64`.
    #[error("the form is too long")]
    TooLong(#[from] crate::transport::BodyTooLong),

    /// The body ended without a line of the boundary that its `Content-Type` names; an empty body is such a
    /// one.
    #[error("the form's boundary does not occur in its body of {read} bytes")]
    BoundaryNotFound {
        /// The number of bytes read.
        read: u64,
    },
    /// The body ended before its closing boundary: the rest of it never arrived.
    #[error("the form ended after {read} bytes, before its closing boundary")]
    Truncated {
        /// The number of bytes read.
        read: u64,
    },
    /// A boundary is followed by something else than `--`, or blanks and CRLF.
    #[error("the line of a boundary goes on after it")]
    BadBoundaryLine,
    /// The header of a field is longer than [`FormLimits::header`](super::FormLimits::header).
    #[error("the header of a field is longer than {limit} bytes")]
    HeaderTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The header of a field is not UTF-8.
    #[error("the header of a field is not UTF-8")]
    HeaderNotUtf8,
    /// A line in the header of a field is unreadable, or comes twice.
    #[error("{text:?} in the header of a field cannot be read")]
    BadHeader {
        /// The start of the line, or of its value.
        text: String,
    },
    /// The header of a field has no `Content-Disposition: form-data` with a `name`.
    #[error("a field has no name: its header needs `Content-Disposition: form-data; name=\"…\"`")]
    NoName,
    /// There are more fields than [`FormLimits::fields`](super::FormLimits::fields).
    #[error("the form has more than {limit} fields")]
    TooManyFields {
        /// The limit.
        limit: usize,
    },

    /// A text field comes twice.
    #[error("the field {name:?} comes twice")]
    DuplicateField {
        /// The start of the field's name.
        name: String,
    },
    /// The text fields are too long all together, names and values.
    #[error("its text fields are longer than {limit} bytes together")]
    TextTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A text field's value is not UTF-8.
    #[error("the value of the field {name:?} is not UTF-8")]
    ValueNotUtf8 {
        /// The start of the field's name.
        name: String,
    },
    /// The field that carries the content is missing.
    #[error("the form has no field {field:?}")]
    NoContent {
        /// The field's name.
        field: &'static str,
    },
    /// The field that carries the content comes twice.
    #[error("the form has a second field {field:?}")]
    SecondContent {
        /// The field's name.
        field: &'static str,
    },
}

impl FormError {
    /// The field of the form, or the header of the request, that the error is about, if it is about one.
    pub(crate) fn field(&self) -> Option<&str> {
        match self {
            Self::NoContent { field } | Self::SecondContent { field } => Some(field),
            Self::DuplicateField { name } | Self::ValueNotUtf8 { name } => Some(name),
            Self::NotAForm { .. }
            | Self::BadContentType { .. }
            | Self::NoBoundary
            | Self::BadBoundary { .. } => Some("Content-Type"),
            // Of the headers of a field, this one is needed and the longest.
            Self::HeaderTooLong { .. } | Self::HeaderNotUtf8 | Self::NoName => Some("Content-Disposition"),
            Self::BadHeader { text } if is_content_type(text) => Some("Content-Type"),
            Self::BadHeader { .. } => Some("Content-Disposition"),
            Self::HeaderValueTooLong { header, .. } | Self::TooManyParameters { header, .. } => Some(header),
            _ => None,
        }
    }
}

fn is_content_type(line: &str) -> bool {
    const NAME: &str = "content-type";
    line.get(..NAME.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(NAME))
}

/// The beginning of a text from outside, as an error shows it.
pub(super) fn excerpt(text: &str) -> String {
    beginning(text).into_owned()
}
