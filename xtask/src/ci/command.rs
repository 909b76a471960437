//! The command itself, as the jobs start it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::workspace::{built, cargo};

/// How the command is built.
#[derive(Clone, Copy)]
pub(super) enum Profile {
    Debug,
    Release,
}

/// Builds the command and says where it is.
pub(super) fn build(root: &Path, profile: Profile) -> Result<PathBuf> {
    let arguments = ["build", "--package", "partwise-cli"];
    let release = match profile {
        Profile::Debug => None,
        Profile::Release => Some("--release"),
    };
    built(&mut cargo(root, arguments.into_iter().chain(release)))
}

/// Runs it to its end, and gives back what it wrote to standard output.
pub(super) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let Output { status, stdout, stderr } = command.output().context("cannot start the command")?;
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    ensure!(
        status.success(),
        "{} has failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&stderr).trim()
    );
    Ok(stdout)
}

/// The identifier in the one object that `--json` prints.
pub(super) fn id_of(stdout: &[u8]) -> Result<String> {
    let object: Value = serde_json::from_slice(stdout).context("standard output is not one JSON object")?;
    Ok(object["id"].as_str().context("the object has no id")?.to_owned())
}
