//! What the machine asks of its driver.

use std::time::Duration;

use http::Request;
use partwise_models::File;

use super::{Checkpoint, TransferError};
use crate::{Body, OperationId, SourceRange};

/// Names one request of one machine. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

/// What a request is about, for people: nothing needs to be decided by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// What is asked for.
    pub operation: OperationId,
    /// Which part is sent, counted from 1.
    pub part: Option<u64>,
    /// How often this was sent in this run, this time included.
    pub number: u64,
}

impl Attempt {
    /// The `number`th attempt of an operation.
    #[must_use]
    pub fn new(operation: OperationId, number: u64) -> Self {
        Self { operation, part: None, number }
    }
}

/// What the driver must do next. It does so without waiting for the result, and polls again.
#[must_use]
#[derive(Debug)]
#[allow(
    clippy::exhaustive_enums,
    clippy::large_enum_variant,
    reason = "a driver that ignores one is wrong; one is alive at a time"
)]
pub enum Action {
    /// Apply a credential and send this; report its end with
    /// [`handle_response`](super::Transfer::handle_response) or [`handle_failure`](super::Transfer::handle_failure).
    Send {
        /// Names the request in reports.
        id: RequestId,
        /// What it is about.
        attempt: Attempt,
        /// The request, without a credential.
        request: Request<Body>,
        /// Read no more than this many bytes of the answer's body; a longer one is a failure.
        answer_limit: u64,
    },
    /// Compare the source with a file of the service. When `sent` names a request whose content the driver has a digest of,
    /// taken as it was sent, read the source again and compare its digest with that; else download the file's content and
    /// compare it with the source, byte by byte as it comes, until the first difference. Report the result with [`handle_compared`](super::Transfer::handle_compared). Repeat what fails on its
    /// way as for any download; it is [abandoned](Self::Abandon) after
    /// [`Plan::compare_limit`](super::Plan::compare_limit). A driver that cannot download reports
    /// [`Comparison::Unknown`](super::Comparison::Unknown) at once.
    Compare {
        /// Names the request in reports.
        id: RequestId,
        /// What it is about.
        attempt: Attempt,
        /// The file whose content is compared.
        file_id: String,
        /// The request that sent the file's content, where it is known.
        sent: Option<RequestId>,
    },
    /// Drop this request if it still runs; nothing about it need be reported.
    Abandon(RequestId),
    /// Read this range from its start to its end, compute its MD5 and report it with
    /// [`handle_hashed`](super::Transfer::handle_hashed).
    Hash(SourceRange),
    /// Stamp the source anew and report it with [`handle_stamped`](super::Transfer::handle_stamped).
    Stamp,
    /// Make this checkpoint durable and report it with [`handle_saved`](super::Transfer::handle_saved). Never asked
    /// for again before the report. A driver that keeps none reports success at once.
    Save(Checkpoint),
    /// Nothing to do before the next report or this moment of the monotonic clock, whichever comes first.
    Wait {
        /// The moment; `None` when only a report can bring news.
        until: Option<Duration>,
    },
    /// The end. Comes once; after it the machine only waits.
    Done(Result<File, TransferError>),
}
