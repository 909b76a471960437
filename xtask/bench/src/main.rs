//! The data path against its peers. `cargo xtask bench` builds this and runs `partwise-bench run`; the other subcommands are
//! what it starts, each in a process of its own, so that each is measured alone. It reads `/proc`: on Linux only.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "it tells people what it measures")]

mod hash;
mod line;
mod loops;
mod measure;
mod noise;
mod numbered;
mod run;
mod sink;
mod tether;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// The data path against its peers.
#[derive(Parser)]
#[command(name = "partwise-bench")]
enum Task {
    /// Compare, and print the tables.
    Run(run::Options),
    /// Take uploads and throw them away, as cheaply as can be.
    Sink(sink::Options),
    /// Put a slow or broken line in front of a service on this machine.
    Line(line::Options),
    /// Run a command, and print as JSON what it took. It is ended when standard input ends.
    Measure {
        /// End it after so many seconds.
        #[arg(long, default_value_t = 900)]
        limit: u64,
        /// The command with its arguments.
        #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Become a command that is asked to end when the process that started it has ended.
    Tethered {
        /// The number of the process that starts it.
        parent: u32,
        /// The command with its arguments.
        #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Upload a file in parts over hyper's connections and nothing else.
    Hyper(loops::Options),
    /// Write a file in parts to sockets and nothing else: the limit.
    Raw(loops::RawOptions),
    /// Ask for a file and throw it away.
    Get(loops::GetOptions),
    /// Compute the MD5 of a file and nothing else.
    Md5 {
        /// The file.
        file: PathBuf,
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

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Run(options) => {
            return Ok(if run::run(&options)? { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Task::Measure { limit, command } => return measure::run(&command, limit),
        Task::Tethered { parent, command } => return tether::run(parent, &command),
        Task::Sink(options) => sink::run(&options)?,
        Task::Line(options) => line::run(&options)?,
        Task::Hyper(options) => loops::hyper(&options)?,
        Task::Raw(options) => loops::raw(&options)?,
        Task::Get(options) => loops::get(&options)?,
        Task::Md5 { file } => hash::md5(&file)?,
    }
    Ok(ExitCode::SUCCESS)
}
