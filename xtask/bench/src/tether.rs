//! Processes that end with the one that started them, however that one ends.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;

/// Becomes the command, which the kernel asks to end (`SIGTERM`) as soon as `parent` is no more.
pub(crate) fn run(parent: u32, command: &[String]) -> Result<ExitCode> {
    set_pdeathsig(Signal::SIGTERM)?;
    // It may have ended before the kernel was told.
    ensure!(u32::try_from(getppid().as_raw())? == parent, "whoever wanted {} has ended", command[0]);
    let error = Command::new(&command[0]).args(&command[1..]).exec();
    Err(anyhow!(error).context(format!("cannot start {}", command[0])))
}

/// The command in a process that ends with this one. Its number is the command's.
pub(crate) fn tethered(command: &Command) -> Result<Command> {
    through(&["tethered", &std::process::id().to_string()], command)
}

/// The command as an argument to this program, in the same folder and with the same environment; input and output are not set.
pub(crate) fn through(arguments: &[&str], command: &Command) -> Result<Command> {
    let mut outer = Command::new(std::env::current_exe().context("where this program is")?);
    outer.args(arguments).arg("--").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        outer.current_dir(folder);
    }
    Ok(outer)
}
