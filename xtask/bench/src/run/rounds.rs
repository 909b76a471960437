//! Everyone in turn, several times.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use super::contenders::Contender;
use super::machine;
use super::scene::Scene;
use super::sink_process::Sink;
use crate::measure::Taken;
use crate::sink::Told;

/// Processors that others may have been busy with, on average, before a run counts as disturbed.
const QUIET: f64 = 0.15;
/// How often a disturbed run is repeated.
const REPEATS: usize = 3;

/// All runs of one contender.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    /// One for each round.
    pub(crate) runs: Vec<Run>,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Run {
    #[serde(flatten)]
    pub(crate) taken: Taken,
    pub(crate) sink_cpu_s: f64,
    /// How many processors everything else kept busy.
    pub(crate) others: f64,
    pub(crate) parts: Option<Told>,
}

impl Run {
    pub(crate) fn cpu_s(&self) -> f64 {
        self.taken.user_s + self.taken.system_s
    }

    pub(crate) fn is_disturbed(&self) -> bool {
        self.others > QUIET
    }
}

/// Lets everyone run in turn, so many rounds. A first round that nobody counts warms the machine up.
pub(crate) fn rounds(
    contenders: &[Contender],
    scene: &Scene,
    sink: &Sink,
    rounds: usize,
) -> Result<Vec<Measured>> {
    let mut all: Vec<_> =
        contenders.iter().map(|it| Measured { name: it.name.to_owned(), runs: Vec::new() }).collect();
    for round in 0..=rounds {
        for (contender, measured) in contenders.iter().zip(&mut all) {
            let run = quiet_run(contender, scene, sink)?;
            if round > 0 {
                measured.runs.push(run);
            }
        }
        eprint!("{}", if round == 0 { "warm" } else { "." });
    }
    eprintln!();
    Ok(all)
}

/// A run that nothing disturbed, or the least disturbed of several.
fn quiet_run(contender: &Contender, scene: &Scene, sink: &Sink) -> Result<Run> {
    let mut best: Option<Run> = None;
    for _ in 0..REPEATS {
        let run = once(contender, scene, sink)?;
        let is_quiet = !run.is_disturbed();
        if best.as_ref().is_none_or(|best| run.others < best.others) {
            best = Some(run);
        }
        if is_quiet {
            break;
        }
    }
    best.context("nothing ran")
}

fn once(contender: &Contender, scene: &Scene, sink: &Sink) -> Result<Run> {
    let command = contender.command(scene).with_context(|| contender.name.to_owned())?;
    let (busy, sink_cpu) = (machine::busy_s()?, sink.cpu_s()?);
    let taken = measured(&command).with_context(|| contender.name.to_owned())?;
    let sink_cpu_s = sink.cpu_s()? - sink_cpu;
    let everything = machine::busy_s()? - busy;
    let ours = taken.user_s + taken.system_s + sink_cpu_s;
    // What interrupts take is nobody's; a few hundredths are the counters' own.
    let others = ((everything - ours) / taken.wall_s).max(0.0);
    let parts = sink.told()?;
    // Of downloads there are none.
    if let Some(parts) = parts.as_ref().filter(|parts| parts.parts > 0) {
        ensure!(parts.bytes >= scene.length, "{} sent {} bytes only", contender.name, parts.bytes);
    }
    Ok(Run { taken, sink_cpu_s, others, parts })
}

/// Runs the command in a process that measures it.
pub(crate) fn measured(command: &Command) -> Result<Taken> {
    let mut measure = Command::new(std::env::current_exe()?);
    measure.arg("measure").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            measure.env(name, value);
        }
    }
    if let Some(folder) = command.get_current_dir() {
        measure.current_dir(folder);
    }
    let output = measure.stdin(Stdio::null()).stdout(Stdio::null()).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it failed: {}", stderr.trim());
    Ok(serde_json::from_str(stderr.trim_end().lines().next_back().context("nothing was measured")?)?)
}

/// The value in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

impl Measured {
    pub(crate) fn median(&self, of: impl Fn(&Run) -> f64) -> f64 {
        median(self.runs.iter().map(of))
    }

    /// The median of the ratios, pair by pair within each round.
    pub(crate) fn ratio(&self, other: &Self, of: impl Fn(&Run) -> f64) -> f64 {
        median(self.runs.iter().zip(&other.runs).map(|(ours, theirs)| of(ours) / of(theirs)))
    }

    /// Whether more than half of the runs were disturbed.
    pub(crate) fn is_noisy(&self) -> bool {
        self.runs.iter().filter(|run| run.is_disturbed()).count() * 2 > self.runs.len()
    }
}
