//! Connections that the system did not let the server have, for the log.

use std::{error::Error, io};

/// Failures for one line of the log. The operator has to see them: callers find a closed connection.
#[derive(Default)]
pub(super) struct Failures {
    count: u64,
    latest: Option<io::Error>,
}

impl Failures {
    pub(super) fn add(&mut self, error: io::Error) {
        self.count += 1;
        self.latest = Some(error);
    }

    /// Of the tries to accept the next connection.
    pub(super) fn of_accepting(self) {
        let (count, error) = (self.count, self.latest.as_ref().map(|error| error as &(dyn Error + 'static)));
        tracing::error!(count, error, "no connection can be accepted");
    }

    /// Of connections that were accepted.
    pub(super) fn of_serving(self) {
        let (count, error) = (self.count, self.latest.as_ref().map(|error| error as &(dyn Error + 'static)));
        tracing::error!(count, error, "connections cannot be served");
    }
}
