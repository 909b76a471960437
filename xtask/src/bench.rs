//! `cargo xtask bench`: the data path against its peers.

use std::path::Path;

use anyhow::Result;

use crate::workspace::{cargo, run};

/// Builds the command and what measures it, and measures. The peers are installed under `target/bench`.
pub(crate) fn bench(root: &Path, arguments: &[String]) -> Result<()> {
    let build = ["build", "--release", "--package", "partwise", "--package", "partwise-bench"];
    run(&mut cargo(root, build), "mend what is shown above")?;
    let target = cargo_target(root);
    let mut bench = std::process::Command::new(target.join("release/partwise-bench"));
    bench.arg("run").arg("--partwise").arg(target.join("release/partwise"));
    bench.arg("--tools").arg(target.join("bench")).arg("--peers").arg(root.join("xtask/bench/peers"));
    bench.arg("--table").arg(target.join("bench/benchmarks.md"));
    bench.arg("--json").arg(target.join("bench/benchmarks.json")).args(arguments);
    run(&mut bench, "the tables above say what does not hold")
}

/// Where cargo puts what it builds.
fn cargo_target(root: &Path) -> std::path::PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target))
}
