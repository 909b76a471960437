//! The project's own tasks. Run them with `cargo xtask TASK`; `cargo xtask help` lists them.
//!
//! This crate depends on none of the others, so that it runs when they do not compile.

#![expect(clippy::print_stderr, reason = "tasks tell people what they do")]

mod bench;
mod ci;
mod codegen;
mod contract;
mod instructions;
mod layers;
mod line;
mod memory;
mod samples;
mod simulate;
mod soak;
mod stores;
mod workspace;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use contract::{Contract, Dialect};

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Measure the data path against its peers, and print tables.
    Bench {
        /// `--group NAME`, `--line NAME`, `--quick`, `--rounds N`, `--json FILE`, `--scratch DIR`; `--write` makes docs/benchmarks.md.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check all that a change has to pass.
    Ci {
        /// Only these jobs; all by default.
        #[arg(value_parser = ci::names())]
        jobs: Vec<String>,
        /// Run the other jobs although one has failed.
        #[arg(long)]
        keep_going: bool,
    },
    /// Write the Rust code that follows from docs/contract/openapi.yaml.
    Codegen,
    /// Print the contract as one dialect sees it, in plain OpenAPI 3.1.
    Contract {
        /// openai, azure-v1, or azure- and a version, as in azure-2024-10-21.
        #[arg(long)]
        dialect: Dialect,
    },
    /// Count what the parts of the protocol cost, in instructions, and compare it with the committed figures.
    Instructions {
        /// Commit to what they cost now instead.
        #[arg(long)]
        write: bool,
    },
    /// Check that each crate depends on what its layer may know, and on nothing else.
    Layers,
    /// Put a slow or broken line in front of a service on this machine, to see how a client gets on.
    Line {
        /// `--to http://127.0.0.1:PORT`, `--rate 1MB`, `--latency MS`, `--cut-every S`, `--away A..B`, `--reset A..B`, `--silent A..B`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Upload large files beside slow clients through a server over a store elsewhere, and measure the server's memory.
    Memory(memory::Options),
    /// Hold the contract and the types to documented samples.
    Samples {
        /// A folder of samples with an index.json; docs/contract/samples by default.
        folder: Option<PathBuf>,
    },
    /// Run the simulations over many seeds; the tests run them over a thousand, others every hour.
    Simulate {
        /// The first seed, and the one after the last.
        #[arg(long, default_value = "0..10000")]
        seeds: simulate::Seeds,
    },
    /// Load servers over one store for minutes, kill them, fill the disk, and audit what they acknowledged.
    Soak(soak::Options),
    /// Start an object store on this machine for tests, or to try `partwise serve --store` with.
    Store(stores::Options),
}

fn main() -> ExitCode {
    match run(Task::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    let root = workspace::root();
    match task {
        Task::Bench { arguments } => bench::bench(&root, &arguments),
        Task::Ci { jobs, keep_going } => ci::run(&root, &jobs, keep_going),
        Task::Codegen => codegen::write(&root),
        Task::Contract { dialect } => {
            let document = contract::render(&Contract::read(&root)?, &dialect)?;
            Ok(io::stdout().write_all(yaml_serde::to_string(&document)?.as_bytes())?)
        }
        Task::Instructions { write: true } => instructions::write(&root),
        Task::Instructions { write: false } => instructions::check(&root),
        Task::Layers => layers::check(&root),
        Task::Line { arguments } => line::line(&root, &arguments),
        Task::Memory(options) => memory::memory(&root, &options),
        Task::Samples { folder } => samples::run(&root, folder.as_deref()),
        Task::Simulate { seeds } => simulate::simulate(&root, seeds),
        Task::Soak(options) => soak::soak(&root, &options),
        Task::Store(options) => stores::run(&root, &options),
    }
}
