//! `cargo xtask soak`: a mixed load on servers that are killed, over one store whose disk fills.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace::{released, run};

/// The length and the place of a soak.
#[derive(Args)]
pub(crate) struct Options {
    /// The length of the load, in minutes.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// The number of clients.
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// The seed of all that is drawn by chance; a new one by default.
    #[arg(long)]
    seed: Option<u64>,
    /// A folder for the disk, which is mounted in memory where that is allowed, and for the servers' logs; by default a
    /// folder `soak` beside what cargo builds.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A store elsewhere in place of the disk, as `partwise serve` takes it: an empty place in a bucket. Nothing fills it, and any of
    /// the servers is killed, not only the first.
    #[arg(long)]
    store: Option<String>,
    /// The number of servers; 2 by default.
    #[arg(long)]
    servers: Option<u8>,
    /// The time between two kills, in seconds, on average; 20 by default.
    #[arg(long)]
    life: Option<f64>,
    /// Further arguments to `partwise serve`, after `--`.
    #[arg(last = true)]
    serve: Vec<String>,
}

/// Builds the command and what loads it, and soaks.
pub(crate) fn soak(root: &Path, options: &Options) -> Result<()> {
    let (partwise, soak) = (released(root, "partwise-cli")?, released(root, "partwise-soak")?);
    let target = soak.ancestors().nth(2).context("cargo builds in target/release")?;
    let folder = options.dir.clone().unwrap_or_else(|| target.join("soak"));
    let mut command = Command::new(soak);
    command.arg("run").arg("--partwise").arg(partwise).arg("--dir").arg(&folder);
    command.args(["--minutes", &options.minutes.to_string(), "--clients", &options.clients.to_string()]);
    if let Some(seed) = options.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    if let Some(store) = &options.store {
        command.args(["--store", store]);
    }
    if let Some(servers) = options.servers {
        command.args(["--servers", &servers.to_string()]);
    }
    if let Some(life) = options.life {
        command.args(["--life", &life.to_string()]);
    }
    if !options.serve.is_empty() {
        command.arg("--").args(&options.serve);
    }
    run(
        &mut command,
        "what does not hold stands above, and the servers' logs are in the folder `logs` of --dir",
    )
}
