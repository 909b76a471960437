//! What is to be downloaded and how.

use crate::RetryPolicy;

const MIB: u64 = 1024 * 1024;

/// The first request asks for this much: its answer is what lets the others begin.
const FIRST: u64 = 16 * MIB;
/// Below this, asking costs more than it brings.
const SMALLEST: u64 = 8 * MIB;
const LARGEST: u64 = 64 * MIB;

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
    /// How many bytes a request asks for. `None` asks for 16 MiB first, which tells how long the content is, then for up to
    /// 64 MiB, and for less towards the end, so that a slow connection does not hold it up.
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

    /// How much the first request asks for, before anything is known.
    pub(super) fn first_size(&self) -> u64 {
        self.range_size.unwrap_or(FIRST).max(1)
    }

    /// How much the next request asks for when `missing` bytes have not been asked for.
    pub(super) fn next_size(&self, missing: u64) -> u64 {
        match self.range_size {
            Some(size) => size.max(1),
            // Whole mebibytes, so that files are written in whole pages.
            None => {
                let share = missing / (2 * u64::from(self.parallel.max(1)));
                share.clamp(SMALLEST, LARGEST) / MIB * MIB
            }
        }
    }
}
