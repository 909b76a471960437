//! The jobs that are a single command.

use std::path::Path;

use anyhow::Result;

use crate::workspace::{BENCH, cargo, cargo_bench, run};

pub(super) fn fmt(root: &Path) -> Result<()> {
    run(&mut cargo(root, ["fmt", "--all", "--check"]), "`cargo fmt --all` mends it")
}

/// What measures is no part of the workspace, and is held to the same.
pub(super) fn bench(root: &Path) -> Result<()> {
    run(&mut cargo(root, ["fmt", "--manifest-path", BENCH, "--check"]), "`cargo fmt` there mends it")?;
    let mut clippy = cargo_bench(root, ["clippy", "--locked", "--all-targets"])?;
    run(clippy.args(["--", "--deny", "warnings"]), "mend what is shown above")?;
    run(&mut cargo_bench(root, ["test", "--locked"])?, "mend the test that is shown above")
}

pub(super) fn clippy(root: &Path) -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    run(&mut cargo(root, arguments), "mend what is shown above")
}

pub(super) fn docs(root: &Path) -> Result<()> {
    let mut command = cargo(
        root,
        ["doc", "--workspace", "--no-deps", "--features", "partwise/blocking,partwise/object_store"],
    );
    run(command.env("RUSTDOCFLAGS", "--deny warnings"), "mend the documentation that is shown above")
}
