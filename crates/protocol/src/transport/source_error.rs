//! A source that fails while it is sent.

use std::{error::Error, fmt, io, sync::Arc};

/// The source could not be read, hashed or stamped.
#[derive(Clone, Debug)]
pub struct SourceError(Arc<dyn Error + Send + Sync>);

impl SourceError {
    /// An error with its cause.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(cause.into()))
    }

    /// The same without another layer around the cause, which callers may want to downcast.
    pub(crate) fn of_cause(cause: Arc<dyn Error + Send + Sync>) -> Self {
        Self(cause)
    }

    pub(crate) fn into_cause(self) -> Arc<dyn Error + Send + Sync> {
        self.0
    }
}

impl From<io::Error> for SourceError {
    fn from(error: io::Error) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the source cannot be read")
    }
}

impl Error for SourceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
