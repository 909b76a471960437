//! Whether the crates that are not for one platform also check for platforms that the tests do not run on.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::workspace::{cargo, run};

/// One of the Windows and one of the Unix kind that is not Linux.
const TARGETS: [&str; 2] = ["x86_64-pc-windows-gnu", "aarch64-apple-darwin"];

/// Without the default features: the TLS back ends are C and assembler, which need a compiler for the target too.
const ARGUMENTS: [&str; 10] = [
    "check",
    "--package=partwise-models",
    "--package=partwise-protocol",
    "--package=partwise-transport-hyper",
    "--package=partwise",
    "--no-default-features",
    "--features=partwise/hyper",
    "--config=profile.dev.debug=false",
    "--quiet",
    "--target",
];

pub(super) fn check(root: &Path) -> Result<()> {
    // What cannot be had is said before anything is compiled.
    TARGETS.into_iter().try_for_each(install)?;
    for target in TARGETS {
        run(&mut cargo(root, ARGUMENTS.into_iter().chain([target])), "fix what does not check there")?;
        eprintln!("{target}: checks");
    }
    Ok(())
}

/// Installs the target's standard library, if it is not there.
pub(super) fn install(target: &str) -> Result<()> {
    let mut rustup = Command::new("rustup");
    let output = rustup.args(["target", "add", target]).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run rustup, which installs the target {target}"))?;
    ensure!(
        output.status.success(),
        "the standard library for {target} is not there, and `rustup target add {target}` failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::install;

    #[test]
    fn a_target_that_cannot_be_had_is_an_error_that_names_it() {
        let error = install("no-such-target").unwrap_err().to_string();
        assert!(error.contains("no-such-target"), "{error}");
    }
}
