//! A source that fails while it is sent.

use std::{error::Error, fmt, io, sync::Arc};

use super::causes;

/// The source could not be read, hashed or stamped.
///
/// ```
/// use std::{error::Error as _, io};
///
/// use partwise_protocol::transport::SourceError;
///
/// let error = SourceError::from(io::Error::from(io::ErrorKind::UnexpectedEof));
/// assert_eq!(error.to_string(), "the source cannot be read");
/// assert!(error.source().is_some());
/// ```
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

    /// What differs, when the source itself found that it has changed.
    pub(crate) fn difference(&self) -> Option<&str> {
        let changed = causes(&*self.0).find_map(|cause| cause.downcast_ref::<SourceChanged>());
        changed.map(|changed| changed.difference.as_str())
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

/// The error of a source that found, while it was read, that it is not what it was: a store that gives an object only as long as it
/// is the same. As a cause of a [`SourceError`] it ends an upload with
/// [`UploadError::SourceChanged`](crate::upload::UploadError::SourceChanged), from which nothing can be resumed.
///
/// ```
/// use std::io;
///
/// use partwise_protocol::transport::SourceChanged;
///
/// let error = io::Error::other(SourceChanged::new("its version was 3 and is 4"));
/// assert_eq!(error.to_string(), "the source changed: its version was 3 and is 4");
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[error("the source changed: {difference}")]
pub struct SourceChanged {
    difference: String,
}

impl SourceChanged {
    /// Says in words what differs.
    pub fn new(difference: impl Into<String>) -> Self {
        Self { difference: difference.into() }
    }
}
