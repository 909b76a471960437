//! One run of one command, and everyone's runs in turn.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use super::contenders::{Contender, Effect};
use super::limited::End;
use super::machine;
use super::scene::{GIB, Scene};
use super::sink_process::Sink;
use crate::line;
use crate::measure::Taken;
use crate::noise::Noise;
use crate::sink::Told;
use crate::tether::through;

/// Processors that others may be busy with, on average, before a run counts as disturbed.
pub(crate) const QUIET: f64 = 0.15;

/// All runs of one contender.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    /// One for each round.
    pub(crate) runs: Vec<Run>,
}

/// One run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Run {
    /// Of the file, or of all files together.
    pub(crate) bytes: u64,
    #[serde(flatten)]
    pub(crate) taken: Taken,
    /// The processor time of the other side: the sink, or the server.
    pub(crate) service_cpu_s: f64,
    /// The server's peak; of the sink it is not asked.
    pub(crate) service_peak_kib: Option<u64>,
    /// How many processors everything else kept busy.
    pub(crate) others: f64,
    /// What the sink saw.
    pub(crate) parts: Option<Told>,
    /// What it did over a line that is not what one would wish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<OverLine>,
}

/// A run over such a line, which need not have succeeded.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OverLine {
    pub(crate) ideal_s: f64,
    /// Whether the whole file was to be sent.
    pub(crate) is_whole: bool,
    pub(crate) end: End,
    pub(crate) told: line::Told,
}

impl Run {
    pub(crate) fn wall_s(&self) -> f64 {
        self.taken.wall_s
    }

    pub(crate) fn cpu_s(&self) -> f64 {
        self.taken.user_s + self.taken.system_s
    }

    pub(crate) fn peak_mib(&self) -> f64 {
        self.taken.peak_kib as f64 / 1024.0
    }

    pub(crate) fn gib(&self) -> f64 {
        self.bytes as f64 / GIB as f64
    }

    pub(crate) fn is_disturbed(&self) -> bool {
        self.others > QUIET
    }
}

impl OverLine {
    /// The whole time over the ideal one, if all of the file is there.
    pub(crate) fn over_ideal(&self, run: &Run) -> Option<f64> {
        let is_done = self.end == End::Succeeded && self.told.acknowledged >= run.bytes;
        is_done.then(|| run.wall_s() / self.ideal_s)
    }

    /// Bytes on the line for each byte that was acknowledged; infinitely many when none was.
    pub(crate) fn sent_per_byte(&self) -> f64 {
        self.told.sent as f64 / self.told.acknowledged as f64
    }
}

/// How many rounds there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    /// Whether there is a first one that nobody counts, which warms the machine up.
    pub(crate) warm: bool,
    pub(crate) counted: usize,
    /// How often a disturbed run is repeated.
    pub(crate) repeats: usize,
}

/// Lets everyone run in turn, round after round.
pub(crate) fn rounds(
    contenders: &[Contender],
    scene: &Scene,
    sink: &Sink,
    rounds: Rounds,
) -> Result<Vec<Measured>> {
    in_turn(contenders, rounds, |it| it.name.clone(), |it| once(it, scene, sink))
}

/// Lets each of these run in turn, round after round, and again when a run was disturbed.
pub(crate) fn in_turn<T>(
    all: &[T],
    rounds: Rounds,
    name: impl Fn(&T) -> String,
    once: impl Fn(&T) -> Result<Run>,
) -> Result<Vec<Measured>> {
    let once = |it: &T| once(it).with_context(|| name(it));
    if rounds.warm {
        all.iter().try_for_each(|it| once(it).map(drop))?;
    }
    let mut measured: Vec<_> = all.iter().map(|it| Measured { name: name(it), runs: Vec::new() }).collect();
    for round in 0..rounds.counted {
        for index in 0..all.len() {
            // Every other round runs backwards, so that nobody always finds the machine as the same other one left it.
            let at = if round % 2 == 0 { index } else { all.len() - 1 - index };
            measured[at].runs.push(quiet(rounds.repeats, || once(&all[at]))?);
        }
        eprint!(".");
    }
    eprintln!();
    Ok(measured)
}

/// A run that nothing disturbed, or the least disturbed of several.
fn quiet(repeats: usize, once: impl Fn() -> Result<Run>) -> Result<Run> {
    let mut best = once()?;
    for _ in 0..repeats {
        if !best.is_disturbed() {
            break;
        }
        let again = once()?;
        if again.others < best.others {
            best = again;
        }
    }
    Ok(best)
}

/// One run of a client against the sink.
fn once(contender: &Contender, scene: &Scene, sink: &Sink) -> Result<Run> {
    let command = contender.command(scene)?;
    let run = observed(&command, scene.length, || sink.cpu_s())?;
    let parts = sink.told()?;
    match contender.effect {
        Effect::Uploads => {
            ensure!(parts.bytes >= scene.length, "only {} bytes of {} were sent", parts.bytes, scene.length);
        }
        Effect::Downloads => {
            Noise::new().ensure_same(&scene.copy(), scene.length)?;
            // So that the next run, of whatever, finds a disk that rests.
            machine::settle()?;
        }
        Effect::Nothing => {}
    }
    Ok(Run { parts: Some(parts), ..run })
}

/// Runs the command, and watches the other side and the machine meanwhile.
pub(crate) fn observed(command: &Command, bytes: u64, service_cpu: impl Fn() -> Result<f64>) -> Result<Run> {
    let (watch, service_before) = (machine::Watch::begin()?, service_cpu()?);
    let taken = measured(command)?;
    let service_cpu_s = service_cpu()? - service_before;
    let others = watch.others(service_cpu_s)?;
    Ok(Run { bytes, taken, service_cpu_s, others, ..Run::default() })
}

/// Runs the command in a process that measures it, and that ends with this one.
pub(crate) fn measured(command: &Command) -> Result<Taken> {
    let mut measure = through(&["measure"], command)?;
    let mut child = measure.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let tether = child.stdin.take();
    let output = child.wait_with_output()?;
    drop(tether);
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it failed: {}", stderr.trim());
    Ok(serde_json::from_str(stderr.trim_end().lines().next_back().context("nothing was measured")?)?)
}
