//! `cargo xtask line`: a slow or broken line in front of a service on this machine.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::workspace::{built, cargo_bench};

/// Builds the line, and becomes it: it ends when it is interrupted, and tells then what passed.
pub(crate) fn line(root: &Path, arguments: &[String]) -> Result<()> {
    let bench = built(&mut cargo_bench(root, ["build", "--release"])?)?;
    Err(Command::new(&bench).arg("line").args(arguments).exec())
        .with_context(|| format!("cannot start {}", bench.display()))
}
