//! Memory: little, and the same whatever the file and the parts are.

use std::process::Command;

use anyhow::Result;

use crate::run::claims::{Bound, Claim};
use crate::run::contenders;
use crate::run::rounds::{Measured, Run, measured, rounds};
use crate::run::scene::{GIB, MIB, Scene};
use crate::run::sink_process::{Sink, SinkOptions};
use crate::run::{Context, Found};

/// How much more than an idle process an upload may take.
const ABOVE_IDLE_MIB: f64 = 12.0;
/// Peaks differ by a few pages from run to run.
const SAME_MIB: f64 = 1.0;

/// What is uploaded: a name, a length, a part size.
const UPLOADS: [(&str, u64, u64); 4] = [
    ("256 MiB in parts of 64 MiB", 256 * MIB, 64 * MIB),
    ("8 GB in parts of 64 MiB", 8_000_000_000, 64 * MIB),
    ("256 MiB in parts of 64 KiB", 256 * MIB, 64 * 1024),
    ("2 GiB in parts of 64 KiB", 2 * GIB, 64 * 1024),
];

pub(super) fn uploads(context: &Context) -> Result<Vec<Found>> {
    let idle = idle(context)?;
    let mut all = Vec::new();
    for (name, length, part_size) in UPLOADS {
        let sink = Sink::start(&SinkOptions { length, ..SinkOptions::default() }, context.scratch())?;
        let scene = Scene { part_size: Some(part_size), ..Scene::at(&sink, length, 4, context.scratch()) };
        scene.sparse()?;
        all.extend(rounds(&[contenders::partwise(context, name, &[])], &scene, &sink, 2)?);
    }
    let mut claims: Vec<_> = all.iter().map(|measured| above_idle(measured, idle)).collect();
    let larger = mib(&all[1]) - mib(&all[0]);
    claims.push(Claim::new("MiB that 8 GB take more than 256 MiB", larger, Bound::AtMost(SAME_MIB), false));
    let setting = format!("4 parts in flight over plain HTTP; an idle process takes {idle:.1} MiB.");
    Ok(vec![Found { group: "Memory", setting, measured: all, claims }])
}

fn above_idle(measured: &Measured, idle: f64) -> Claim {
    let text = format!("MiB above an idle process: {}", measured.name);
    Claim::new(text, mib(measured) - idle, Bound::AtMost(ABOVE_IDLE_MIB), false)
}

fn mib(measured: &Measured) -> f64 {
    measured.median(|run: &Run| run.taken.peak_kib as f64 / 1024.0)
}

/// The peak of a command that does next to nothing.
fn idle(context: &Context) -> Result<f64> {
    let mut command = Command::new(&context.partwise);
    command.args(["uploads", "list", "--state"]).arg(context.scratch().join("no-state"));
    Ok(measured(&command)?.peak_kib as f64 / 1024.0)
}
