//! A success that cannot be read.

use std::{error::Error, fmt, sync::Arc};

use http::StatusCode;

use super::excerpt::excerpt;

/// A successful answer that is not what the operation answers: something else may be listening there.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub struct Garbled {
    /// The status of the answer: a 2xx.
    pub status: StatusCode,
    /// The beginning of what cannot be read, the body or a header's line: one line, at most 512 characters, with what is
    /// no text replaced.
    pub excerpt: String,
    /// Whether the answer came in a coding that is not decoded, such as `Content-Encoding: br`.
    pub is_coded: bool,
    source: Arc<dyn Error + Send + Sync>,
}

impl Garbled {
    /// A success that cannot be the answer to its request, as [`Operation::contradiction`](crate::Operation::contradiction)
    /// says.
    #[must_use]
    pub fn contradictory(status: StatusCode, body: &[u8], contradiction: String) -> Self {
        Self::new(status, body, contradiction)
    }

    pub(crate) fn new(
        status: StatusCode,
        unreadable: &[u8],
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { status, excerpt: excerpt(unreadable), is_coded: false, source: Arc::from(source.into()) }
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
