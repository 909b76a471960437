//! Does one workload so many times and nothing else, for callgrind to count: `instructions NAME ROUNDS`. Without
//! arguments it lists the workloads, a line each: name, amount of a round, what it is an amount of.
//!
//! `cargo xtask instructions` runs it, and says what the counts are good for.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

#[path = "../workloads/mod.rs"]
mod workloads;

use std::{env, process::ExitCode};

use workloads::{Amount, WORKLOADS};

fn main() -> ExitCode {
    // Cargo adds `--bench` by itself.
    let arguments: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match &*arguments {
        [] => list(),
        [name, rounds] => return run(name, rounds),
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn list() {
    for workload in WORKLOADS {
        let (amount, of) = match workload.amount {
            Amount::Bytes(bytes) => (bytes, "byte"),
            Amount::Items(items) => (items, "item"),
        };
        println!("{} {amount} {of}", workload.name);
    }
}

fn run(name: &str, rounds: &str) -> ExitCode {
    let workload = WORKLOADS.iter().find(|workload| workload.name == name);
    let (Some(workload), Ok(rounds)) = (workload, rounds.parse::<u32>()) else { return usage() };
    let mut round = (workload.prepare)();
    for _ in 0..rounds {
        round();
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: instructions NAME ROUNDS; without arguments it lists the names");
    ExitCode::FAILURE
}
