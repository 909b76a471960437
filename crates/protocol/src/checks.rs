//! What the API wants of the texts in a request, checked by whoever sends it and by whoever reads it.

use crate::{
    error::{DecodeError, EncodeError},
    multipart::base_name,
};

/// A text that has to hold something is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Empty {
    field: &'static str,
}

/// Refuses the first of these fields that is empty.
pub(crate) fn filled(fields: &[(&'static str, &str)]) -> Result<(), Empty> {
    match fields.iter().find(|(_, text)| text.is_empty()) {
        Some((field, _)) => Err(Empty { field }),
        None => Ok(()),
    }
}

/// The name that a file is sent under: that of a path without its folders.
pub(crate) fn sent_filename(path: &str) -> Result<&str, EncodeError> {
    match base_name(path) {
        "" => Err(EncodeError::Invalid {
            field: "filename",
            problem: format!("must be the name of a file, and is {path:?}"),
        }),
        name => Ok(name),
    }
}

const PROBLEM: &str = "is empty";

impl From<Empty> for EncodeError {
    fn from(Empty { field }: Empty) -> Self {
        Self::Invalid { field, problem: PROBLEM.to_owned() }
    }
}

impl From<Empty> for DecodeError {
    fn from(Empty { field }: Empty) -> Self {
        Self::Invalid { field, problem: PROBLEM.to_owned() }
    }
}
