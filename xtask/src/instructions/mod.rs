//! `cargo xtask instructions`: what the parts of the protocol cost, counted in instructions, held against committed
//! figures.
//!
//! Times on a shared machine differ by half from one minute to the next, so that no limit on them can be both kept and
//! of use. How many instructions a piece of work takes does not depend on what else runs: callgrind executes the
//! program on a machine of its own and counts. What it does not see are caches, branches and waiting; times are for
//! `cargo bench` and people.
//!
//! Each workload of `crates/protocol/benches/workloads` runs in a process of its own, once for one round and once
//! for two; what lies between the two counts is a round. So start-up and preparation cancel out, and the program that is
//! counted is built as it ships, without symbols or marks for the counter.
//!
//! iai-callgrind and gungraun do the same and more, and were weighed: their runner is a program that has to be installed
//! in exactly the library's version, which costs minutes of building in every clean checkout, and they keep the figures
//! to compare with under `target`, not in the repository. What is needed here beyond valgrind itself is two
//! subtractions and a table.
//!
//! docs/instructions.md says how to read a failure and when to write new figures.

mod callgrind;
mod figures;

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use callgrind::Workload;
use figures::{Comparison, Figures, Maker};

/// Where the figures are, from the root.
const FIGURES: &str = "crates/protocol/benches/instructions.txt";

/// Counts, prints, and fails when a count is not what the figures say.
pub(crate) fn check(root: &Path) -> Result<()> {
    let text = fs::read_to_string(root.join(FIGURES)).with_context(|| format!("cannot read {FIGURES}"))?;
    let committed: Figures = text.parse().with_context(|| format!("{FIGURES} cannot be read"))?;
    let (counted, workloads) = count(root)?;
    let comparison = Comparison::between(&committed.maker, &counted.maker);
    eprintln!("{comparison}");
    let problems = comparison.problems(&committed, &counted);
    report(&counted, &workloads);
    if problems.is_empty() {
        return Ok(());
    }
    for problem in &problems {
        eprintln!("{problem}");
    }
    bail!(
        "{} of {} counts are not what {FIGURES} says; undo what made it worse, or, if it is meant, \
         run `cargo xtask instructions --write` and say why in the commit",
        problems.len(),
        counted.counts.len()
    )
}

/// Counts, prints, and writes the figures.
pub(crate) fn write(root: &Path) -> Result<()> {
    let (counted, workloads) = count(root)?;
    report(&counted, &workloads);
    fs::write(root.join(FIGURES), counted.to_string()).with_context(|| format!("cannot write {FIGURES}"))
}

fn count(root: &Path) -> Result<(Figures, Vec<Workload>)> {
    let maker = Maker::of_this_machine(root)?;
    let program = callgrind::Program::build(root)?;
    let start = Instant::now();
    let workloads = program.workloads()?;
    let mut figures = Figures::new(maker);
    for workload in &workloads {
        let count = program.count(workload).with_context(|| format!("counting {}", workload.name))?;
        figures.counts.insert(workload.name.clone(), count);
    }
    eprintln!("counted in {:.1} s", start.elapsed().as_secs_f64());
    Ok((figures, workloads))
}

fn report(figures: &Figures, workloads: &[Workload]) {
    for Workload { name, amount, of } in workloads {
        let count = figures.counts.get(name).copied().unwrap_or_default();
        eprintln!("{name:<28} {count:>12} instructions, {:.2} per {of}", count as f64 / *amount as f64);
    }
}
