//! What a download asks its driver to do.

use super::DownloadMachine;
use crate::{
    machine::{ActionOf, Attempt},
    operations::{DownloadFile, RetrieveFile},
};

/// What a download asks its driver to do.
///
/// ```
/// use partwise_protocol::{
///     download::DownloadTask,
///     machine::Attempt,
///     operations::{OperationId, RetrieveFile},
/// };
///
/// /// A line for a log of what a download asks for.
/// fn line(task: &DownloadTask) -> String {
///     match task {
///         DownloadTask::Send { operation, .. } => format!("{:?} of {}", operation.range, operation.file_id),
///         DownloadTask::Retrieve { operation, .. } => format!("the object of {}", operation.file_id),
///     }
/// }
///
/// let attempt = Attempt::new(OperationId::RetrieveFile, 1);
/// let task = DownloadTask::Retrieve { attempt, operation: RetrieveFile::new("file-1") };
/// assert_eq!(line(&task), "the object of file-1");
/// ```
#[must_use]
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "a driver that ignores one is wrong")]
pub enum DownloadTask {
    /// Send this, and report the head of the answer with [`DownloadMachine::handle_answer`]; what follows belongs to the same task.
    Send {
        /// The subject of the request.
        attempt: Attempt,
        /// The request.
        operation: DownloadFile,
    },
    /// Retrieve the file's object, and report it with [`DownloadMachine::handle_retrieved`]: what came is compared with it.
    Retrieve {
        /// The subject of the request.
        attempt: Attempt,
        /// The request.
        operation: RetrieveFile,
    },
}

/// The next step of the driver of a [`DownloadMachine`].
pub type DownloadAction = ActionOf<DownloadMachine>;
