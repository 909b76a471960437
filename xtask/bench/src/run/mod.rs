//! The comparison itself: everyone in turn, several rounds, one table.

mod claims;
mod contenders;
mod groups;
mod machine;
mod rounds;
mod scene;
mod sink_process;
mod table;
mod tools;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use claims::Claim;
use rounds::Measured;
use tools::Tools;

/// What is compared, and where the results go.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The command that is measured.
    #[arg(long)]
    partwise: PathBuf,
    /// A folder for the peers, which are installed there when they are missing.
    #[arg(long)]
    tools: PathBuf,
    /// The scripts and crates that drive the peers.
    #[arg(long)]
    peers: PathBuf,
    /// How many rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only these groups; all by default.
    #[arg(long = "group", value_parser = groups::names())]
    groups: Vec<String>,
    /// Write all figures here, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the tables here, as Markdown.
    #[arg(long)]
    table: Option<PathBuf>,
}

/// What every group needs.
pub(crate) struct Context {
    partwise: PathBuf,
    tools: Tools,
    rounds: usize,
    scratch: tempfile::TempDir,
}

impl Context {
    fn scratch(&self) -> &Path {
        self.scratch.path()
    }
}

/// What a group found.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Found {
    group: &'static str,
    /// What was done, in a sentence.
    setting: String,
    measured: Vec<Measured>,
    claims: Vec<Claim>,
}

/// Measures, prints, and fails when something that is claimed does not hold.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let context = Context {
        partwise: std::fs::canonicalize(&options.partwise).context("--partwise")?,
        tools: Tools::prepare(&options.tools, &options.peers)?,
        rounds: options.rounds.max(1),
        scratch: tempfile::tempdir()?,
    };
    let machine = machine::words()?;
    let mut all = Vec::new();
    for (name, group) in groups::GROUPS {
        if !options.groups.is_empty() && !options.groups.iter().any(|wanted| wanted == name) {
            continue;
        }
        eprintln!("── {name} ──");
        for found in group(&context)? {
            print!("{}", table::markdown(&found));
            all.push(found);
        }
    }
    if let Some(path) = &options.table {
        std::fs::write(path, table::page(&machine, &all))?;
    }
    if let Some(path) = &options.json {
        let json = serde_json::json!({ "machine": machine, "groups": all });
        std::fs::write(path, serde_json::to_string_pretty(&json)?)?;
    }
    let holds = all.iter().flat_map(|found| &found.claims).all(Claim::holds);
    Ok(holds)
}
