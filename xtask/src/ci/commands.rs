//! The jobs that are a single command.

use std::path::Path;

use anyhow::Result;

use crate::workspace::{cargo, run};

pub(super) fn fmt(root: &Path) -> Result<()> {
    run(&mut cargo(root, ["fmt", "--all", "--check"]), "`cargo fmt --all` mends it")
}

pub(super) fn clippy(root: &Path) -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    run(&mut cargo(root, arguments), "mend what is shown above")
}

pub(super) fn docs(root: &Path) -> Result<()> {
    let mut command = cargo(root, ["doc", "--workspace", "--no-deps"]);
    run(command.env("RUSTDOCFLAGS", "--deny warnings"), "mend the documentation that is shown above")
}

pub(super) fn examples(root: &Path) -> Result<()> {
    run(&mut cargo(root, ["build", "--workspace", "--examples"]), "mend the example that is shown above")
}
