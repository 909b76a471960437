//! Lines of the log for failures that many requests share.

use std::{error::Error, iter};

use crate::notice::Notice;

/// The lines that a server writes at most once a second each, for as long as a cause lasts.
pub(crate) struct LogLines {
    pub(super) full_disk: Notice<Requests>,
    pub(super) missing_folder: Notice<Requests>,
}

/// Requests that failed for one cause.
#[derive(Default)]
pub(super) struct Requests {
    count: u64,
    latest: Option<Failed>,
}

/// One of them.
pub(super) struct Failed {
    id: String,
    operation: &'static str,
    cause: String,
}

impl LogLines {
    pub(crate) fn new() -> Self {
        let full_disk = |requests: Requests| requests.say("requests failed: the store's disk is full");
        let missing_folder =
            |requests: Requests| requests.say("requests failed: a folder of the store is missing");
        Self { full_disk: Notice::new(full_disk), missing_folder: Notice::new(missing_folder) }
    }

    /// Logs what was not logged yet.
    pub(crate) fn flush(&self) {
        self.full_disk.flush();
        self.missing_folder.flush();
    }
}

impl Requests {
    pub(super) fn add(&mut self, failed: Failed) {
        self.count += 1;
        self.latest = Some(failed);
    }

    fn say(self, message: &str) {
        let Some(Failed { id, operation, cause }) = self.latest else { return };
        tracing::error!(count = self.count, id, operation, error = cause, "{message}");
    }
}

impl Failed {
    pub(super) fn new(id: String, operation: &'static str, error: &dyn Error) -> Self {
        let causes = iter::successors(Some(error), |&error| error.source());
        Self { id, operation, cause: causes.map(ToString::to_string).collect::<Vec<_>>().join(": ") }
    }
}
