//! Memory: little, and the same whatever the file and the parts are.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::run::claims::{Bound, Claim};
use crate::run::contenders::{self, Parallel};
use crate::run::figures::{Figure, named};
use crate::run::runs::{Measured, Run, measured, rounds};
use crate::run::scene::{GIB, MIB, Scene};
use crate::run::sink_process::{Sink, SinkOptions};
use crate::run::table::Columns;
use crate::run::{Context, Found};

/// How much more than an idle process a transfer may take.
pub(super) const ABOVE_IDLE_MIB: f64 = 12.0;
/// Peaks differ by a few pages from run to run.
const SAME_MIB: f64 = 1.0;

const SMALL: &str = "256 MiB in parts of 64 MiB";
const LARGE: &str = "8 GB in parts of 64 MiB";

/// What is uploaded: a name, a length, a part size.
const UPLOADS: [(&str, u64, u64); 4] = [
    (SMALL, 256 * MIB, 64 * MIB),
    (LARGE, 8_000_000_000, 64 * MIB),
    ("256 MiB in parts of 64 KiB", 256 * MIB, 64 * 1024),
    ("2 GiB in parts of 64 KiB", 2 * GIB, 64 * 1024),
];

pub(super) fn uploads(context: &Context) -> Result<Vec<Found>> {
    let idle = idle_mib(context)?;
    let (mut all, mut claims) = (Vec::new(), Vec::new());
    for (name, length, part_size) in UPLOADS {
        let sink = Sink::start(SinkOptions::default(), context.scratch())?;
        let scene = Scene { part_size: Some(part_size), ..Scene::at(&sink, length, 4, context.scratch()) };
        scene.sparse()?;
        let contender = contenders::partwise(context, name, Parallel::OfScene, &[]);
        let measured = rounds(&[contender], &scene, &sink, context.few_rounds())?;
        let above = measured.first().and_then(peak_mib).map(|peak| peak.map(|peak| peak - idle));
        let text = format!("MiB above an idle process: {name}");
        claims.push(Claim::new(text, above, Bound::AtMost(ABOVE_IDLE_MIB)));
        all.extend(measured);
    }
    let peak = |name: &str| named(&all, name).and_then(peak_mib).context("it was not measured");
    let (small, large) = (peak(SMALL)?, peak(LARGE)?);
    let more = large.map(|large| large - small.value);
    claims.push(Claim::new("MiB that 8 GB take more than 256 MiB", Some(more), Bound::AtMost(SAME_MIB)));
    let setting = format!(
        "4 parts in flight over plain HTTP on loopback, sparse files; an idle process (`partwise uploads list`) takes {idle:.1} MiB."
    );
    let (title, columns) = ("Memory", Columns::Clients);
    Ok(vec![Found { title, setting, measured: all, columns, missing: Vec::new(), claims }])
}

/// Who else uses the machine changes no peak.
pub(super) fn peak_mib(measured: &Measured) -> Option<Figure> {
    Figure::steady(measured.median(Run::peak_mib))
}

/// The peak of a command that does next to nothing.
pub(super) fn idle_mib(context: &Context) -> Result<f64> {
    let mut command = Command::new(&context.partwise);
    command.args(["uploads", "list", "--state"]).arg(context.scratch().join("no-state"));
    Ok(measured(&command)?.peak_kib as f64 / 1024.0)
}
