//! `cargo xtask line`: a slow or broken line in front of a service on this machine.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::workspace::{built, cargo, run};

/// Builds the line, and runs it until it is interrupted.
pub(crate) fn line(root: &Path, arguments: &[String]) -> Result<()> {
    let bench = built(&mut cargo(root, ["build", "--release", "--package", "partwise-bench"]))?;
    run(Command::new(bench).arg("line").args(arguments), "it says above why")
}
