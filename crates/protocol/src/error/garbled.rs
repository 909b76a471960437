//! A success that cannot be read.

use std::{error::Error, fmt, sync::Arc};

use http::StatusCode;

use super::{api_error::page, excerpt::body_excerpt};

/// A successful answer that is not what the operation answers: something else may be listening there.
///
/// ```
/// use bytes::Bytes;
/// use http::Response;
/// use partwise_protocol::{Operation, error::ResponseError, operations::ListFiles};
///
/// let page = Response::new(Bytes::from("<html><title>Sign in</title>"));
/// let Err(ResponseError::Garbled(garbled)) = ListFiles::decode_response(page) else {
///     unreachable!("it is no list")
/// };
/// assert!(garbled.is_page && garbled.excerpt.contains("Sign in"));
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub struct Garbled {
    /// The status of the answer: a 2xx.
    pub status: StatusCode,
    /// The beginning of what cannot be read, the body or a header's line: one line, at most 512 characters, with what is
    /// no text replaced; of a page, its title.
    pub excerpt: String,
    /// Set when the answer can be read and says that the request was not done.
    pub is_contradiction: bool,
    /// Set when the answer is an HTML page: of something in front of the service, since its own answers are JSON.
    pub is_page: bool,
    /// Set when the answer came in a coding that is not decoded, such as `Content-Encoding: br`.
    pub is_coded: bool,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Garbled {
    /// A success that cannot be the answer to its request, as [`Operation::contradiction`](crate::Operation::contradiction)
    /// says.
    #[must_use]
    pub fn contradictory(status: StatusCode, body: &[u8], contradiction: String) -> Self {
        Self { is_contradiction: true, ..Self::new(status, body, contradiction) }
    }

    pub(crate) fn new(
        status: StatusCode,
        unreadable: &[u8],
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        let page = page(unreadable);
        let is_page = page.is_some();
        let source = (!is_page).then(|| Arc::from(source.into()));
        let excerpt = page.map_or_else(|| body_excerpt(unreadable), |page| body_excerpt(page.as_bytes()));
        Self { status, excerpt, is_contradiction: false, is_page, is_coded: false, source }
    }
}

impl fmt::Display for Garbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_contradiction {
            return write!(
                f,
                "the service says otherwise in its answer with status {}",
                self.status.as_u16()
            );
        }
        write!(f, "the answer with status {} is not what this API answers", self.status.as_u16())?;
        match self.excerpt.as_str() {
            "" => f.write_str(" (it is empty)"),
            text if self.is_page => write!(f, ": {text}"),
            text => write!(f, ": {text:?}"),
        }
    }
}
