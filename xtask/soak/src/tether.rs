//! Processes that end with the one that started them, however that one ends.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;

/// Becomes the command, which the kernel kills as soon as `parent` is no more.
pub(crate) fn run(parent: u32, command: &[String]) -> Result<ExitCode> {
    set_pdeathsig(Signal::SIGKILL)?;
    // It may have ended before the kernel was told.
    ensure!(u32::try_from(getppid().as_raw())? == parent, "the process that wanted {} has ended", command[0]);
    let error = Command::new(&command[0]).args(&command[1..]).exec();
    Err(anyhow!(error).context(format!("cannot start {}", command[0])))
}

/// A command that becomes `program` in a process that ends with this one.
pub(crate) fn tethered(program: &std::path::Path) -> Result<Command> {
    let mut outer = Command::new(std::env::current_exe().context("where this program is")?);
    outer.args(["tethered", &std::process::id().to_string(), "--"]).arg(program);
    Ok(outer)
}
