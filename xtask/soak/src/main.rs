//! A mixed load on a server that is killed again and again and whose disk fills and empties, and the audit of what it
//! acknowledged. `cargo xtask soak` builds this and runs it. It reads `/proc` and mounts a disk: on Linux only.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "it tells people what it finds")]

mod audit;
mod book;
mod client;
mod content;
mod disk;
mod findings;
mod http;
mod memory;
mod run;
mod samples;
mod server;
mod tether;
mod wire;
mod world;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// Load a server, kill it, fill its disk, and audit what it acknowledged.
#[derive(Parser)]
#[command(name = "partwise-soak")]
enum Task {
    /// Soak, and print what was found; the exit status is 1 if anything was.
    Run(run::Options),
    /// Upload large files beside slow clients, and measure the memory of the server; the exit status is 1 if it is too much, or a
    /// client was not served.
    Memory(memory::Options),
    /// Become a command that is killed when the process that started it has ended.
    Tethered {
        /// The number of the process that starts it.
        parent: u32,
        /// The command with its arguments.
        #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Task::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn code(held: bool) -> ExitCode {
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Run(options) => Ok(code(run::run(&options)?)),
        Task::Memory(options) => Ok(code(memory::run(&options)?)),
        Task::Tethered { parent, command } => tether::run(parent, &command),
    }
}
