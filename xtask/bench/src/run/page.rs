//! All tables as one page, and all figures as one document.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::claims::Verdict;
use super::runs::QUIET;
use super::tools::said;
use super::{Context, Found, Options, machine, table};

/// What is measured, where and when, as it was when the first run began.
#[derive(Debug)]
pub(crate) struct About {
    date: String,
    machine: String,
    /// What the files are on.
    pub(crate) files: machine::FileSystem,
    revision: String,
}

impl About {
    pub(crate) fn now(workspace: &Path, partwise: &Path, scratch: &Path) -> Result<Self> {
        Ok(Self {
            date: said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))?,
            machine: machine::words()?,
            files: machine::file_system_of(scratch)?,
            revision: revision(workspace, partwise)?,
        })
    }
}

/// `docs/benchmarks.md`.
pub(crate) fn markdown(context: &Context, options: &Options, all: &[Found]) -> String {
    let About { date, machine, files, revision } = &context.about;
    let claims: Vec<_> = all.iter().flat_map(|found| &found.claims).collect();
    let holding = claims.iter().filter(|claim| claim.verdict == Verdict::Holds).count();
    let mut page = format!(
        "# Benchmarks

`cargo xtask bench --write` makes this page; nothing in it is written by hand. Of {} claims, {holding} hold.

- Command: `{}`, begun {date}
- Machine: {machine}
- Files: {files}
- Of this project: {revision}
- Peers: {}

{}",
        claims.len(),
        command(options),
        peers(context),
        how_to_read(),
    );
    for found in all {
        page.push_str(&table::markdown(found));
    }
    page
}

/// How and when something was measured, for the page of an earlier time.
pub(crate) fn how(context: &Context, options: &Options) -> String {
    let About { date, revision, .. } = &context.about;
    format!("`{}`, begun {date}, of {revision}", command(options))
}

/// The same for machines, with every run.
pub(crate) fn json(context: &Context, options: &Options, all: &[Found]) -> Result<String> {
    let about = &context.about;
    let json = serde_json::json!({
        "command": command(options),
        "date": about.date,
        "machine": about.machine,
        "files": about.files.to_string(),
        "revision": about.revision,
        "peers": context.tools.versions(),
        "groups": all,
    });
    Ok(serde_json::to_string_pretty(&json)?)
}

fn how_to_read() -> String {
    format!(
        "## How to read it

- Every row is a whole process, from its start to its end: start-up, the connections' handshakes and all answers are in it. The
  processor time (`CPU-s`) is the kernel's own count of that process and its children; the peak of the memory is that of the largest
  single one of them, and of the largest process of a server.
- Everyone runs in turn, `--rounds` times, after once that nobody counts; what a limited rate decides is measured once or twice, on
  links three times, and the memory of uploads twice. Claims about memory take the highest peak, and the least that an idle
  process took. Other figures are medians over the rounds. Ratios are taken pair by pair within each round before their median is: machines become faster and slower
  by the hour, and only what ran side by side can be compared. So a ratio is not the quotient of two figures of the table.
- `--series N` measures each group but `lines` N times in a row. The tables are those of the last series; a claim shows the figure of
  each, and holds if it held in each.
- `others` is how many processors everything else kept busy during a run, except the kernel's workers, who write files back to the
  disk and hand packets on. Runs that write files begin when nothing waits to be written. A run with more than {QUIET} is
  repeated up to `--repeats` times, and flagged if it stays so. Flagged runs do not count as long as at least half are quiet. A claim
  of which most runs are flagged is too noisy to tell, whether it would hold or not, since noise hits those too whom we are compared
  with: not a failure, and not a success. Only where noise cannot help may a claim hold in it; its verdict says why.
- Clients send to a sink, which is a program of its own that discards bodies: in the kernel where they are plain. What it takes itself
  is in `sink CPU-s/GiB`. On loopback the kernel does a part of the receiver's work inside the sender's calls, so that it counts
  as the sender's; it does so for everyone alike.
- Congestion control is the machine's, named above. BBR paces also what stays on the machine. Partwise, as client and as server,
  does without it there, and so do the bare loops, which are to show what the machine can do; all other senders keep it, the sink
  among them. On a machine with `cubic` or `reno` there is no such difference.
- `part phase` is what the sink saw, from the first byte of the first part to the answer to the last one.
- Links are made by the sink, which reads no faster than a link of that rate would bring the bytes and answers later by its
  latency. There is no loss, and no slow start.
- Lines are made by a proxy in front of a server that stores what it is sent. What fails there, or is not done in its time, is a
  result: its row says so, without a time over the ideal one. A claim about something that did not come about does not hold.
  `--line NAME` measures one of them (`large`, the first two minutes of 3 GB, only when it is named); `--quick` checks the bench
  itself in two minutes. The one that loses packets takes a network namespace and nftables: without them its row says why
  it was not measured. `cargo xtask line` puts such a line in front of any service on this machine, to be tried by hand.
- Files for CPU and memory over loopback are in the page cache. Where a table says sparse, the file is all zeros and has no blocks on
  the disk: the kernel makes its pages up, and all else is as with any other file.
- `cargo xtask bench --group NAME` measures one group, and exits with 1 when a claim does not hold or could not be told. With `--write`
  too, its sections here are measured anew, and say so.
"
    )
}

/// What somebody would type.
fn command(options: &Options) -> String {
    let Options { series, rounds, repeats, .. } = options;
    let mut command = format!("cargo xtask bench --series {series} --rounds {rounds} --repeats {repeats}");
    for (option, names) in [("group", &options.groups), ("line", &options.lines)] {
        for name in names {
            command.push_str(&format!(" --{option} {name}"));
        }
    }
    if options.quick {
        command.push_str(" --quick");
    }
    command
}

fn revision(workspace: &Path, partwise: &Path) -> Result<String> {
    let git = |arguments: &[&str]| said(Command::new("git").arg("-C").arg(workspace).args(arguments));
    let changed =
        if git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty() { "" } else { ", changed" };
    let version = said(Command::new(partwise).arg("--version"))?;
    Ok(format!("{version}, commit {}{changed}", git(&["rev-parse", "--short", "HEAD"])?))
}

fn peers(context: &Context) -> String {
    let versions = context.tools.versions();
    if versions.is_empty() { "none took part".to_owned() } else { versions.join(", ") }
}
