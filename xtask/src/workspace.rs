//! The workspace that the tasks work on.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The root folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// The cargo that runs this task, at the root of the workspace.
pub(crate) fn cargo<'a>(root: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root);
    // What cargo tells this task about itself would be taken for news by build scripts, and built again.
    let about_us = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(about_us) {
            command.env_remove(name);
        }
    }
    command
}

/// The manifest of what measures, which is a workspace of its own.
pub(crate) const BENCH: &str = "xtask/bench/Cargo.toml";

/// The folder into which cargo builds everything, the benches too.
pub(crate) fn target(root: &Path) -> Result<PathBuf> {
    let output = cargo(root, ["metadata", "--no-deps", "--format-version", "1"]).output()?;
    ensure!(
        output.status.success(),
        "cargo metadata has failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let target = metadata["target_directory"].as_str().context("cargo names no target folder")?;
    Ok(target.into())
}

/// Cargo at work on what measures.
pub(crate) fn cargo_bench<'a>(root: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Result<Command> {
    let mut command = cargo(root, arguments);
    command.args(["--manifest-path", BENCH, "--target-dir"]).arg(target(root)?);
    Ok(command)
}

/// Runs a command to its end; `remedy` says what to do when it fails.
pub(crate) fn run(command: &mut Command, remedy: &str) -> Result<()> {
    let words: Vec<_> = [command.get_program()].into_iter().chain(command.get_args()).collect();
    let words = words.join(" ".as_ref()).to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start `{words}`"))?;
    ensure!(status.success(), "`{words}` has failed ({status}); {remedy}");
    Ok(())
}

/// Makes a virtual environment in a folder, unless it is there, has pip install what `packages` says, and returns its Python.
pub(crate) fn virtual_environment(
    folder: &Path,
    packages: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<PathBuf> {
    let python = folder.join("bin/python");
    if !python.exists() {
        let mut venv = Command::new("python3");
        run(venv.args(["-m", "venv"]).arg(folder), "python3 and its module venv are needed")?;
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
    run(&mut pip, "the Python packages could not be installed")?;
    Ok(python)
}

/// Lets cargo build what `command` says, and finds the one executable of it.
pub(crate) fn built(command: &mut Command) -> Result<PathBuf> {
    command.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
    let output = command.output().context("cannot start cargo")?;
    ensure!(output.status.success(), "it does not build; mend what is shown above");
    let messages = String::from_utf8(output.stdout)?;
    let executable = messages.lines().rev().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executable.context("cargo names no executable that it has built")
}

/// Builds one package as people have it, and finds its executable. Built together, several would share their features.
pub(crate) fn released(root: &Path, package: &str) -> Result<PathBuf> {
    built(&mut cargo(root, ["build", "--release", "--package", package]))
}
