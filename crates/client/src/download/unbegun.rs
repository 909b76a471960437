//! Downloads that end before they have begun.

use partwise_protocol::download::DownloadError;

use crate::{Error, driver::Heard};

/// The result of what makes a download ready, or the error of a download whose caller ended it meanwhile; `has_checkpoint` says whether
/// the same download would resume from one.
pub(super) fn begun<T>(
    heard: Heard<Result<T, Error>>,
    has_checkpoint: impl FnOnce() -> bool,
) -> Result<T, Error> {
    let stopped = || {
        let stopped = Error::Download(DownloadError::Stopped { cause: None }.into());
        stopped.with_checkpoint(has_checkpoint())
    };
    match heard {
        Heard::Nothing(ready) => ready,
        // Nothing is to be cancelled of a download.
        Heard::Stop | Heard::Cancel => Err(stopped()),
        Heard::OutOfTime(deadline) => Err(deadline.passed(Some(stopped()))),
    }
}
