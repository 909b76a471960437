//! What is to be downloaded and how.

use crate::retry::RetryPolicy;

/// What is to be downloaded, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadPlan {
    /// The file's identifier.
    pub file_id: String,
    /// Ask for ranges. Without, everything comes in one answer: for a service whose ranges do not fit together.
    pub ranges: bool,
    /// At most this many ranges are asked for at once: at least one.
    pub parallel: u16,
    /// How many bytes a request asks for. `None` asks for 4 MiB first, which tells how long the content is, then for what each
    /// connection carries in about 4 seconds, between 256 KiB and 64 MiB, and for less towards the end, so that all
    /// connections end together.
    pub range_size: Option<u64>,
    /// How patiently failed requests are repeated.
    pub retry: RetryPolicy,
}

impl DownloadPlan {
    /// Four ranges at once.
    #[must_use]
    pub fn new(file_id: impl Into<String>) -> Self {
        Self {
            file_id: file_id.into(),
            ranges: true,
            parallel: 4,
            range_size: None,
            retry: RetryPolicy::default(),
        }
    }
}
