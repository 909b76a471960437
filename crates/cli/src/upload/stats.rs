//! What an upload took, for those who ask.

use std::time::Duration;

use partwise_protocol::upload::Statistics;
use serde::Serialize;

use crate::{output::Output, report::Report, size::Human};

/// The statistics of one run, as they are printed.
#[derive(Debug, Serialize)]
pub(super) struct Stats {
    /// Tells it from the file.
    object: &'static str,
    elapsed_ms: u64,
    #[serde(flatten)]
    counted: Statistics,
}

impl Stats {
    pub(super) fn new(counted: Statistics, elapsed: Duration) -> Self {
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        Self { object: "upload.statistics", elapsed_ms, counted }
    }

    /// As the second object behind the file's, or as lines for people.
    pub(super) fn print(&self, output: &mut Output, json: bool) -> Result<(), Report> {
        if json {
            return output.json(self);
        }
        self.lines().iter().try_for_each(|(name, value)| output.line(&format!("{name:<8} {value}")))
    }

    fn lines(&self) -> [(&'static str, String); 5] {
        let Statistics { attempts, bytes_sent, bytes_acknowledged, .. } = self.counted;
        [
            ("took", seconds(Duration::from_millis(self.elapsed_ms))),
            ("waited", seconds(self.counted.waited())),
            ("sent", format!("{} for {} of the file", Human(bytes_sent), Human(bytes_acknowledged))),
            ("requests", attempts.total.to_string()),
            ("retries", self.retries()),
        ]
    }

    /// How many, and why, the most frequent reason first.
    fn retries(&self) -> String {
        let retries = self.counted.retries;
        let mut reasons: Vec<_> = retries.by_reason().into_iter().filter(|(_, count)| *count > 0).collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let reasons: Vec<_> =
            reasons.into_iter().map(|(reason, count)| format!("{} {count}", reason.as_str())).collect();
        match reasons.is_empty() {
            true => retries.total.to_string(),
            false => format!("{} ({})", retries.total, reasons.join(", ")),
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
