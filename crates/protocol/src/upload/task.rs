//! What an upload asks its driver to do.

use http::Request;

use super::UploadMachine;
use crate::{
    machine::{ActionOf, Attempt, RequestId},
    transport::{Body, SourceRange},
};

/// What an upload asks its driver to do.
///
/// ```
/// use partwise_protocol::{transport::SourceRange, upload::UploadTask};
///
/// /// A line for a log of what an upload asks for.
/// fn line(task: &UploadTask) -> String {
///     match task {
///         UploadTask::Send { request, .. } => format!("{} {}", request.method(), request.uri()),
///         UploadTask::Compare { file_id, .. } => format!("compare the source with {file_id}"),
///         UploadTask::Hash(range) => format!("hash {} bytes of the source", range.len()),
///         UploadTask::Prepare(range) => format!("prepare {} bytes of the source", range.len()),
///         UploadTask::Stamp => "stamp the source".to_owned(),
///     }
/// }
///
/// assert_eq!(line(&UploadTask::Hash(SourceRange::new(100, 300))), "hash 200 bytes of the source");
/// ```
#[must_use]
#[derive(Debug)]
#[allow(
    clippy::exhaustive_enums,
    clippy::large_enum_variant,
    reason = "a driver that ignores one is wrong; one is alive at a time"
)]
pub enum UploadTask {
    /// Apply a credential and send this; report the answer with [`UploadMachine::handle_response`], or either
    /// end with [`UploadMachine::handle_sent`].
    Send {
        /// The subject of the request.
        attempt: Attempt,
        /// The request, without a credential.
        request: Request<Body>,
        /// Read no more than this many bytes of the answer's body; a longer one is a failure.
        answer_limit: u64,
    },
    /// Compare the source with a file of the service. When `sent` names a request whose content the driver has a digest of,
    /// taken as it was sent, read the source again and compare its digest with that; else download the file's content and
    /// compare it with the source, byte by byte as it comes, until the first difference. Report the result with
    /// [`UploadMachine::handle_compared`]. Repeat what fails on its way as for any download; it is
    /// [abandoned](crate::machine::Action::Abandon) after [`Plan::compare_limit`](super::Plan::compare_limit). A driver that cannot
    /// download reports [`Comparison::Unknown`](super::Comparison::Unknown) at once.
    Compare {
        /// The subject of the request.
        attempt: Attempt,
        /// The file whose content is compared.
        file_id: String,
        /// The request that sent the file's content, where it is known.
        sent: Option<RequestId>,
    },
    /// Read this range from its start to its end, compute its MD5 and report it with [`UploadMachine::handle_hashed`].
    Hash(SourceRange),
    /// Wait until this range of the source can be read without waiting, and report it with [`UploadMachine::handle_prepared`]. Asked
    /// for before each part where they go [in order](super::Parallel::InOrder); a source that is there needs no waiting.
    Prepare(SourceRange),
    /// Stamp the source anew and report it with [`UploadMachine::handle_stamped`].
    Stamp,
}

/// The next step of the driver of a [`UploadMachine`].
pub type UploadAction = ActionOf<UploadMachine>;
