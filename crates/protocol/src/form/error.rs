//! What can be wrong with a form.

/// Why a form cannot be written or read.
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
    /// The form's length does not fit a `u64`.
    #[error("the form is too long")]
    TooLong(#[from] crate::BodyTooLong),

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
    /// A text field's value is too long to be one.
    #[error("the value of the field {name:?} is longer than {limit} bytes")]
    ValueTooLong {
        /// The start of the field's name.
        name: String,
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

/// As much of a text from outside as an error shows.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 64;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
