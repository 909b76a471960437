//! What is to be downloaded and how.

use crate::retry::RetryPolicy;

/// What is to be downloaded, and how.
///
/// ```
/// use partwise_protocol::download::DownloadPlan;
///
/// let plan = DownloadPlan::new("file-1").parallel(8).range_size(16 << 20);
/// assert_eq!((plan.parallel, plan.range_size, plan.ranges), (8, Some(16 << 20), true));
/// ```
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
    /// The policy by which failed requests are retried. `None` is the policy of the client that runs it, and
    /// [`RetryPolicy::DEFAULT`] for a driver of your own.
    pub retry: Option<RetryPolicy>,
}

/// Four ranges at once.
impl From<String> for DownloadPlan {
    fn from(file_id: String) -> Self {
        Self::new(file_id)
    }
}

/// Four ranges at once.
impl From<&String> for DownloadPlan {
    fn from(file_id: &String) -> Self {
        Self::new(file_id)
    }
}

/// Four ranges at once.
impl From<&str> for DownloadPlan {
    fn from(file_id: &str) -> Self {
        Self::new(file_id)
    }
}

impl DownloadPlan {
    /// Four ranges at once.
    #[must_use]
    pub fn new(file_id: impl Into<String>) -> Self {
        Self { file_id: file_id.into(), ranges: true, parallel: 4, range_size: None, retry: None }
    }

    /// Sets [`file_id`](#structfield.file_id).
    #[must_use]
    pub fn file_id(mut self, file_id: impl Into<String>) -> Self {
        self.file_id = file_id.into();
        self
    }

    /// Sets [`ranges`](#structfield.ranges).
    #[must_use]
    pub fn ranges(mut self, ranges: bool) -> Self {
        self.ranges = ranges;
        self
    }

    /// Sets [`parallel`](#structfield.parallel).
    #[must_use]
    pub fn parallel(mut self, ranges: u16) -> Self {
        self.parallel = ranges;
        self
    }

    /// Sets [`range_size`](#structfield.range_size), in bytes.
    #[must_use]
    pub fn range_size(mut self, bytes: u64) -> Self {
        self.range_size = Some(bytes);
        self
    }

    /// Sets [`retry`](#structfield.retry).
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// The policy that holds for this download.
    #[must_use]
    pub fn retry_policy(&self) -> &RetryPolicy {
        self.retry.as_ref().unwrap_or(&RetryPolicy::DEFAULT)
    }
}
