//! What one command takes: wall time, processor time, memory.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};

/// What a whole process took, its children included.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Taken {
    pub(crate) wall_s: f64,
    pub(crate) user_s: f64,
    pub(crate) system_s: f64,
    pub(crate) peak_kib: u64,
}

/// Runs the command and prints what it took as the last line of standard error. This process has no other children and is
/// small, so that their sum and their peak are the command's.
pub(crate) fn run(command: &[String]) -> Result<ExitCode> {
    let begin = Instant::now();
    let status = Command::new(&command[0]).args(&command[1..]).status();
    let wall_s = begin.elapsed().as_secs_f64();
    let status = status.with_context(|| format!("cannot start {}", command[0]))?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| time.num_microseconds() as f64 / 1e6;
    let taken = Taken {
        wall_s,
        user_s: seconds(usage.user_time()),
        system_s: seconds(usage.system_time()),
        peak_kib: u64::try_from(usage.max_rss())?,
    };
    eprintln!("{}", serde_json::to_string(&taken)?);
    Ok(ExitCode::from(u8::from(!status.success())))
}
