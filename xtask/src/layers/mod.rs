//! `cargo xtask layers`: each crate depends on what its layer may know, and on nothing else.

mod dependencies;
mod purity;
mod table;

use std::path::Path;

use anyhow::{Result, bail};

use crate::workspace::BENCH;

/// Checks the dependencies of all crates, and that the pure ones read neither clock nor file.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut faults = purity::faults(root)?;
    for manifest in ["Cargo.toml", BENCH] {
        faults.extend(dependencies::faults(&dependencies::Metadata::read(root, manifest)?));
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    match faults.len() {
        0 => Ok(()),
        count => bail!("{count} breaches of the layers; xtask/src/layers/table.rs says what is allowed"),
    }
}
