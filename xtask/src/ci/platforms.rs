//! Whether the crates that are not for one platform also check for platforms that the tests do not run on.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

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
    for target in TARGETS {
        if is_at_hand(target) {
            run(&mut cargo(root, ARGUMENTS.into_iter().chain([target])), "mend what does not check there")?;
            eprintln!("{target}: checks");
        } else {
            eprintln!("{target}: NOT CHECKED, its standard library cannot be had here");
        }
    }
    Ok(())
}

/// Installs the target's standard library where rustup can. Returns `true` if it is there.
pub(super) fn is_at_hand(target: &str) -> bool {
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", target]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    rustup.status().is_ok_and(|status| status.success())
}
