//! All tables as one page, and all figures as one document.

use std::process::Command;

use anyhow::Result;

use super::claims::Verdict;
use super::runs::QUIET;
use super::tools::said;
use super::{Context, Found, Options, machine, table};

/// `docs/benchmarks.md`.
pub(crate) fn markdown(context: &Context, options: &Options, all: &[Found]) -> Result<String> {
    let claims: Vec<_> = all.iter().flat_map(|found| &found.claims).collect();
    let holding = claims.iter().filter(|claim| claim.verdict == Verdict::Holds).count();
    let mut page = format!(
        "# Benchmarks

`cargo xtask bench --write` makes this page; nothing in it is written by hand. Of {} claims, {holding} hold.

- Command: `{}`, {}
- Machine: {}
- Files: {}
- Of this project: {}
- Peers: {}

{}",
        claims.len(),
        command(options),
        date()?,
        machine::words()?,
        machine::file_system_of(context.scratch())?,
        revision(context)?,
        peers(context),
        how_to_read(),
    );
    for found in all {
        page.push_str(&table::markdown(found));
    }
    Ok(page)
}

/// The same for machines, with every run.
pub(crate) fn json(context: &Context, options: &Options, all: &[Found]) -> Result<String> {
    let json = serde_json::json!({
        "command": command(options),
        "date": date()?,
        "machine": machine::words()?,
        "files": machine::file_system_of(context.scratch())?,
        "revision": revision(context)?,
        "peers": context.tools.versions(),
        "groups": all,
    });
    Ok(serde_json::to_string_pretty(&json)?)
}

fn how_to_read() -> String {
    format!(
        "## How to read it

- Every row is a whole process, from its start to its end: start-up, the connections' handshakes and all answers are in it. The
  processor time (`CPU-s`) and the peak of the memory are the kernel's own count of that process and its children.
- Everyone runs in turn, `--rounds` times, after once that nobody counts; what a limited link decides is measured once or twice. Figures
  are medians over the rounds. Ratios are taken pair by pair within each round before their median is: machines become faster and slower
  by the hour, and only what ran side by side can be compared. So a ratio is not the quotient of two figures of the table.
- `others` is how many processors everything else kept busy during a run. A run with more than {QUIET} is repeated up to `--repeats`
  times, and flagged if it stays so. Flagged runs do not count as long as at least half are quiet. A claim that does not hold
  while most of its runs are flagged is too noisy to tell: not a failure, and not a success.
- Clients send to a sink, which is a program of its own that discards bodies: in the kernel where they are plain. What it takes itself
  is in `sink CPU-s/GiB`. On loopback the kernel does a part of the receiver's work inside the sender's calls, so that it counts
  as the sender's; it does so for everyone alike.
- `part phase` is what the sink saw, from the first byte of the first part to the answer to the last one.
- Links are made by the sink, which reads no faster than a link of that rate would bring the bytes and answers later by its
  latency. There is no loss, and no slow start.
- Files for CPU and memory over loopback are in the page cache. Where a table says sparse, the file is all zeros and has no blocks on
  the disk: the kernel makes its pages up, and all else is as with any other file.
- `cargo xtask bench --group NAME` measures one group, and exits with 1 when a claim does not hold or could not be told.
"
    )
}

/// What somebody would type.
fn command(options: &Options) -> String {
    let mut command = format!("cargo xtask bench --rounds {} --repeats {}", options.rounds, options.repeats);
    for group in &options.groups {
        command.push_str(" --group ");
        command.push_str(group);
    }
    command
}

fn date() -> Result<String> {
    said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))
}

fn revision(context: &Context) -> Result<String> {
    let git =
        |arguments: &[&str]| said(Command::new("git").arg("-C").arg(&context.workspace).args(arguments));
    let changed =
        if git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty() { "" } else { ", changed" };
    let version = said(Command::new(&context.partwise).arg("--version"))?;
    Ok(format!("{version}, commit {}{changed}", git(&["rev-parse", "--short", "HEAD"])?))
}

fn peers(context: &Context) -> String {
    let versions = context.tools.versions();
    if versions.is_empty() { "none took part".to_owned() } else { versions.join(", ") }
}
