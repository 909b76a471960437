//! Commands that may fail, or take too long, and are measured all the same.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::tether::tethered;

/// How often it is looked whether it has ended.
const BETWEEN: Duration = Duration::from_millis(10);

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    Succeeded,
    Failed {
        /// `None` when a signal ended it.
        status: Option<i32>,
        /// The last line of its standard error.
        said: String,
    },
    /// It was ended after its time.
    TooLong,
}

/// Runs a command for at most so long, and says how it ended and how many seconds that took.
pub(crate) fn limited(command: &Command, limit: Duration, scratch: &Path) -> Result<(End, f64)> {
    let said = scratch.join("said");
    let mut command = tethered(command)?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&said)?);
    let begin = Instant::now();
    let mut child = command.spawn()?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if begin.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::sleep(BETWEEN);
    };
    let seconds = begin.elapsed().as_secs_f64();
    let end = match status {
        None => End::TooLong,
        Some(status) if status.success() => End::Succeeded,
        Some(status) => End::Failed { status: status.code(), said: last_line(&fs::read(said)?) },
    };
    Ok((end, seconds))
}

fn last_line(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    said.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_said_last_counts() {
        assert_eq!(last_line(b"one\n two \r\n\n"), "two");
        assert_eq!(last_line(b""), "");
    }
}
