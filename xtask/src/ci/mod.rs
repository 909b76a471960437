//! `cargo xtask ci`: everything that a change has to pass, in the same words for people and machines.
//!
//! A new job is a line in [`JOBS`]; one that is more than a command gets a file of its own beside this one.

mod command;
mod commands;
mod examples;
mod features;
mod guide;
mod large_file;
mod main_job;
mod node;
mod platforms;
mod python;
mod python_suite;
mod server;
mod stores;
mod wasm;

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::builder::PossibleValuesParser;

use crate::{codegen, instructions, layers, samples};

/// One thing to check.
struct Job {
    name: &'static str,
    run: fn(root: &Path) -> Result<()>,
}

/// All jobs, in the order in which they run: the quick ones first.
const JOBS: &[Job] = &[
    Job { name: "fmt", run: commands::fmt },
    Job { name: "layers", run: layers::check },
    Job { name: "codegen", run: codegen::check },
    Job { name: "clippy", run: commands::clippy },
    Job { name: "bench", run: commands::bench },
    Job { name: "docs", run: commands::docs },
    Job { name: "samples", run: |root| samples::run(root, None) },
    Job { name: "examples", run: examples::examples },
    Job { name: "instructions", run: instructions::check },
    Job { name: "features", run: features::check },
    Job { name: "platforms", run: platforms::check },
    Job { name: "wasm", run: wasm::check },
    Job { name: "python", run: python::client },
    Job { name: "python-suite", run: python_suite::tests },
    Job { name: "node", run: node::client },
    Job { name: "main-job", run: main_job::run },
    Job { name: "stores", run: stores::run },
    Job { name: "guide", run: guide::run },
];

/// The names of the jobs, for the command line.
pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(JOBS.iter().map(|job| job.name))
}

/// Runs the named jobs, or all of them, and stops at the first that fails unless it is to keep going.
pub(crate) fn run(root: &Path, names: &[String], keep_going: bool) -> Result<()> {
    let chosen = JOBS.iter().filter(|job| names.is_empty() || names.iter().any(|name| name == job.name));
    let mut failed = Vec::new();
    for job in chosen {
        eprintln!("── {} ──", job.name);
        let start = Instant::now();
        let result = (job.run)(root);
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Ok(()) => eprintln!("── {}: passed in {seconds:.1} s ──", job.name),
            Err(error) => {
                eprintln!("── {}: FAILED after {seconds:.1} s: {error:#} ──", job.name);
                failed.push(job.name);
                if !keep_going {
                    break;
                }
            }
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}; `cargo xtask ci {}` repeats it", failed.join(", "), failed.join(" "));
    }
    Ok(())
}
