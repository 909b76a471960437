//! WebAssembly without a system: what does no I/O of its own has to compile for it.

use std::path::Path;

use anyhow::Result;

use super::platforms::install;
use crate::workspace::{cargo, run};

const TARGET: &str = "wasm32-unknown-unknown";

/// The client without its transport: there are no sockets, so a service of the caller's sends its requests.
const ARGUMENTS: [&str; 8] = [
    "check",
    "--package=partwise-models",
    "--package=partwise-protocol",
    "--package=partwise",
    "--no-default-features",
    "--config=profile.dev.debug=false",
    "--quiet",
    "--target",
];

pub(super) fn check(root: &Path) -> Result<()> {
    install(TARGET)?;
    run(&mut cargo(root, ARGUMENTS.into_iter().chain([TARGET])), "fix what does not check there")
}
