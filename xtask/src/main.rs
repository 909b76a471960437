//! The project's own tasks. Run them with `cargo xtask TASK`; `cargo xtask help` lists them.
//!
//! This crate depends on none of the others, so that it runs when they do not compile.

mod codegen;
mod contract;
mod workspace;

use anyhow::Result;
use clap::Parser;

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Write the Rust code that follows from docs/contract/openapi.yaml.
    Codegen,
}

fn main() -> Result<()> {
    let root = workspace::root();
    match Task::parse() {
        Task::Codegen => codegen::write(&root),
    }
}
