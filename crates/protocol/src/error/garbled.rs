//! A success that cannot be read.

use std::fmt;

use http::StatusCode;

use super::excerpt::excerpt;

/// A successful answer whose body is not what the operation answers: something else may be listening there.
#[derive(Debug, thiserror::Error)]
pub struct Garbled {
    /// The status of the answer: a 2xx.
    pub status: StatusCode,
    /// The beginning of the body on one line, at most 512 characters of it, with what is no text replaced.
    pub excerpt: String,
    source: serde_json::Error,
}

impl Garbled {
    pub(crate) fn new(status: StatusCode, body: &[u8], source: serde_json::Error) -> Self {
        Self { status, excerpt: excerpt(body), source }
    }
}

impl fmt::Display for Garbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer with status {} is not what this API answers", self.status.as_u16())?;
        match self.excerpt.as_str() {
            "" => f.write_str(" (it is empty)"),
            text => write!(f, ": {text:?}"),
        }
    }
}
