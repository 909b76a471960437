//! Requests that a full disk refused, for the log.

use std::{error::Error, iter};

/// Requests for one line of the log. A full disk refuses all that would make something new, for as long as it is full.
#[derive(Default)]
pub(crate) struct NoRoom {
    count: u64,
    latest: Latest,
}

#[derive(Default)]
struct Latest {
    id: String,
    operation: &'static str,
    cause: String,
}

impl NoRoom {
    pub(super) fn add(&mut self, id: String, operation: &'static str, error: &dyn Error) {
        self.count += 1;
        let causes = iter::successors(Some(error), |&error| error.source());
        let cause = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        self.latest = Latest { id, operation, cause };
    }

    pub(crate) fn say(self) {
        let Latest { id, operation, cause } = self.latest;
        tracing::error!(
            count = self.count,
            id,
            operation,
            error = cause,
            "requests failed: the store's disk is full"
        );
    }
}
