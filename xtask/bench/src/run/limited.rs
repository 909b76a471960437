//! Commands that may fail, or take too long, and are measured all the same.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::tether::tethered;

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

/// A command that runs, for at most so long; ended when dropped.
pub(crate) struct Limited {
    child: Child,
    begin: Instant,
    limit: Duration,
    said: PathBuf,
}

impl Limited {
    /// Starts it; its standard error goes to this file.
    pub(crate) fn start(command: &Command, limit: Duration, said: PathBuf) -> Result<Self> {
        let mut command = tethered(command)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&said)?);
        let begin = Instant::now();
        Ok(Self { child: command.spawn()?, begin, limit, said })
    }

    /// How it ended and after how many seconds, once it has.
    pub(crate) fn ended(&mut self) -> Result<Option<(End, f64)>> {
        let status = self.child.try_wait()?;
        let elapsed = self.begin.elapsed();
        let end = match status {
            Some(status) if status.success() => End::Succeeded,
            Some(status) => End::Failed { status: status.code(), said: last_line(&fs::read(&self.said)?) },
            None if elapsed < self.limit => return Ok(None),
            None => {
                self.child.kill()?;
                self.child.wait()?;
                End::TooLong
            }
        };
        Ok(Some((end, elapsed.as_secs_f64())))
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
