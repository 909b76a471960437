//! The error that ended an upload or a download, with what its run has kept.

use std::{error::Error, fmt, io, ops::Deref};

use partwise_protocol::{download::DownloadError, upload::UploadError};

/// The error that ended an upload or a download. It dereferences to the error of the layer below, which knows nothing of checkpoints:
/// whether another run can resume is said by the `is_resumable` of this type.
///
/// ```
/// use partwise::{Error, TransferError, protocol::download::DownloadError};
///
/// let stopped = TransferError::from(DownloadError::Stopped { cause: None });
/// assert!(matches!(*stopped, DownloadError::Stopped { .. }));
/// // A download that was stopped could be resumed, but no run has kept a checkpoint of this one.
/// assert!(DownloadError::is_resumable(&stopped));
/// assert!(!stopped.has_checkpoint() && !stopped.is_resumable() && !Error::Download(stopped).is_resumable());
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

impl TransferError<UploadError> {
    /// Returns `true` if a checkpoint was kept, and resuming from it may still finish the upload.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.has_checkpoint && self.error.is_resumable()
    }
}

impl TransferError<DownloadError> {
    /// Returns `true` if a checkpoint was kept, and resuming from it may still finish the download.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.has_checkpoint && self.error.is_resumable()
    }
}

impl TransferError<io::Error> {
    /// Returns `true` if a checkpoint was kept: a target that could not be written may be writable for another run.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.has_checkpoint
    }
}

/// Wraps an error of which no checkpoint was kept.
macro_rules! wrap {
    ($($error:ty),*) => {$(
        /// No checkpoint was kept.
        impl From<$error> for TransferError<$error> {
            fn from(error: $error) -> Self {
                Self { error: Box::new(error), has_checkpoint: false }
            }
        }
    )*};
}

wrap!(UploadError, DownloadError, io::Error);

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn only_what_can_be_resumed_and_has_a_checkpoint_is_resumable() {
        let upload = |error: UploadError, has_checkpoint| {
            let mut error = TransferError::from(error);
            error.set_checkpoint(has_checkpoint);
            (error.is_resumable(), Error::Upload(error).is_resumable())
        };
        let stopped = || UploadError::Stopped { cause: None };
        let expired = || UploadError::Expired { length: 1, measured: None, needed: None };
        assert_eq!(upload(stopped(), false), (false, false));
        assert_eq!(upload(stopped(), true), (true, true));
        assert_eq!(upload(expired(), true), (false, false));
    }

    #[test]
    fn a_checkpoint_that_is_gone_is_gone_for_a_transfer_that_ran_out_of_time_too() {
        let stopped = Error::from(UploadError::Stopped { cause: None }).with_checkpoint(true);
        let limit = std::time::Duration::from_secs(1);
        let timed_out = Error::TimedOut { limit, cause: Some(Box::new(stopped)) };
        assert!(timed_out.is_resumable());
        assert!(!timed_out.with_checkpoint(false).is_resumable());
    }
}
