//! `cargo xtask bench`: the data path against its peers.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::workspace::{built, cargo_bench, released, run, target};

/// Builds the command and what measures it, and measures. The peers are installed in a folder `bench` beside what cargo builds.
pub(crate) fn bench(root: &Path, arguments: &[String]) -> Result<()> {
    // One after the other: together they would share their features, and the command would not be the one that people have.
    let partwise = released(root, "partwise-cli")?;
    let bench = built(&mut cargo_bench(root, ["build", "--release"])?)?;
    // It ends, and cleans up, when this process does.
    let mut command = Command::new(&bench);
    command.args(["tethered", &std::process::id().to_string(), "--"]).arg(&bench);
    command.arg("run").arg("--partwise").arg(partwise).arg("--workspace").arg(root);
    command.arg("--tools").arg(target(root)?.join("bench")).args(arguments);
    run(&mut command, "the tables above say what does not hold")
}
