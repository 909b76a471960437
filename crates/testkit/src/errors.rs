//! Errors as a command would print them.

use std::error::Error;

/// Returns an error and its causes on one line.
#[must_use]
pub fn line(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
