//! What must hold in every story, by name.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

/// A rule of the driver. A story that breaks one says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A completed file equals the source byte for byte: it is downloaded from the server and compared.
    SameBytes,
    /// One upload makes at most one file, over all its runs.
    OneFile,
    /// A file that was made is named by the result; when it cannot be known, the result or the checkpoint that is kept
    /// says that there may be one.
    NoFileDenied,
    /// Never more parts in flight than the plan allows, and no part twice at a time.
    Parallel,
    /// After a 429 or 503, nothing but a cancel leaves before the moment that the service named.
    Gate,
    /// It always ends, and soon after it was cancelled or asked to stop.
    Ends,
    /// After the end, and after the upload was dropped, no task, thread or request of the client is left.
    NothingLeft,
    /// The checkpoint is never behind by more than the parts that may be in flight.
    CheckpointClose,
    /// The checkpoint of an upload that was asked to stop knows every part that was acknowledged in time.
    StoppedKnowsAll,
    /// One checkpoint is saved at a time.
    OneSave,
    /// A part that is acknowledged, to this run or to the checkpoint that it began with, is not sent again.
    NotSentAgain,
    /// The request that makes the file leaves only after a checkpoint that says so has been saved.
    Announced,
    /// Of a request whose body did not come to its end the server keeps nothing.
    NothingOfHalf,
    /// A checkpoint stays while it can be gone on from, and no longer.
    Forgotten,
    /// The last progress says what was done.
    Progress,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The rules that were broken in one story: most of this happens inside tasks, where a panic would be one more fault.
#[derive(Clone, Debug, Default)]
pub(crate) struct Broken(Arc<Mutex<Vec<String>>>);

impl Broken {
    pub(crate) fn hold(&self, rule: Rule, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.0.lock().unwrap().push(format!("{rule}: {}", otherwise()));
        }
    }

    /// Ends the story if a rule is broken.
    pub(crate) fn check(&self) {
        let broken = self.0.lock().unwrap();
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }
}
