//! The error that ended an upload or a download, with what its run has kept.

use std::{error::Error, fmt, ops::Deref};

/// The error that ended an upload or a download. It dereferences to the error of the layer below.
///
/// ```
/// use partwise::{Error, TransferError, protocol::download::DownloadError};
///
/// let stopped = TransferError::from(DownloadError::Stopped { cause: None });
/// assert!(matches!(*stopped, DownloadError::Stopped { .. }));
/// // No run has kept a checkpoint of it.
/// assert!(!stopped.has_checkpoint() && !Error::Download(stopped).is_resumable());
/// ```
#[derive(Debug)]
pub struct TransferError<E> {
    error: Box<E>,
    has_checkpoint: bool,
}

impl<E> TransferError<E> {
    /// Returns `true` if a checkpoint was kept: this run saved one, or resumed from one.
    #[must_use]
    pub fn has_checkpoint(&self) -> bool {
        self.has_checkpoint
    }

    /// The error.
    #[must_use]
    pub fn into_inner(self) -> E {
        *self.error
    }

    pub(super) fn set_checkpoint(&mut self, has_checkpoint: bool) {
        self.has_checkpoint = has_checkpoint;
    }
}

/// No checkpoint was kept.
impl<E> From<E> for TransferError<E> {
    fn from(error: E) -> Self {
        Self { error: Box::new(error), has_checkpoint: false }
    }
}

impl<E> Deref for TransferError<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.error
    }
}

impl<E: fmt::Display> fmt::Display for TransferError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<E: Error> Error for TransferError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}
