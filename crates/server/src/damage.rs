//! The log of records that are damaged: each has its line once, however often it is met.

use std::{
    collections::HashSet,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};

/// The most records that have a line of their own. Their paths are kept, of some 100 bytes each.
const MOST: usize = 256;

/// The damaged records that were logged. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct DamageLog(Arc<Mutex<HashSet<String>>>);

impl DamageLog {
    /// Logs a record that a list leaves out, unless it was logged before. Returns `false` for one beyond those that are kept,
    /// which the caller counts.
    #[must_use]
    pub(crate) fn note(&self, path: &str, error: &(dyn Error + 'static)) -> bool {
        {
            // Nothing that holds it panics.
            let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if logged.contains(path) {
                return true;
            }
            if logged.len() == MOST {
                return false;
            }
            logged.insert(path.to_owned());
        }
        tracing::error!(path, error, "a damaged record is left out of lists; its file can be deleted");
        true
    }
}

/// Logs the number of damaged records of one list that have no line of their own.
pub(crate) fn sum_up(records: usize) {
    if records > 0 {
        tracing::error!(
            records,
            logged = MOST,
            "more damaged records are left out of the list than are logged"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_noted_again_and_those_beyond_the_limit_are_counted() {
        let log = DamageLog::default();
        let error = std::fmt::Error;
        for number in 0..MOST {
            assert!(log.note(&number.to_string(), &error));
        }
        assert!(log.note("0", &error));
        assert!(!log.note("another", &error));
        assert_eq!(log.0.lock().unwrap().len(), MOST);
    }
}
