//! `cargo xtask memory`: large uploads beside many slow ones through a server over a store elsewhere, and what the server's memory
//! comes to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::stores::{Service, Store};
use crate::workspace::{released, run};

/// The store, and the load.
#[derive(Args)]
pub(crate) struct Options {
    /// The store that the server has its files in.
    #[arg(long, value_enum, default_value = "radosgw")]
    service: Service,
    /// A folder for the store, the source and the log; by default the folder `memory` beside what cargo builds.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Further arguments to `partwise-soak memory`, after `--`; `-- --help` lists them.
    #[arg(last = true)]
    load: Vec<String>,
}

/// Builds the command and what loads it, starts the store, and measures.
pub(crate) fn memory(root: &Path, options: &Options) -> Result<()> {
    let (partwise, soak) = (released(root, "partwise-cli")?, released(root, "partwise-soak")?);
    let target = soak.ancestors().nth(2).context("cargo builds in target/release")?;
    let folder = options.dir.clone().unwrap_or_else(|| target.join("memory"));
    let of_store = folder.join("store");
    if of_store.exists() {
        fs::remove_dir_all(&of_store)?;
    }
    let store = Store::start(root, options.service, &of_store)?;
    let mut command = Command::new(soak);
    command.arg("memory").arg("--partwise").arg(partwise).arg("--dir").arg(&folder);
    command.args(["--store", &store.url("files")]).args(&options.load);
    run(store.give_to(&mut command), "what does not hold stands above, and the server's log is in --dir")
}
