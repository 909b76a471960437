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
pub(super) const SAME_MIB: f64 = 1.0;
/// How many idle processes there are.
const IDLE: usize = 5;

const SMALL: &str = "256 MiB in parts of 64 MiB";
const LARGE: &str = "8 GB in parts of 64 MiB";

/// One upload.
struct Upload {
    name: &'static str,
    length: u64,
    part_size: u64,
}

const UPLOADS: [Upload; 5] = [
    Upload { name: SMALL, length: 256 * MIB, part_size: 64 * MIB },
    Upload { name: LARGE, length: 8_000_000_000, part_size: 64 * MIB },
    Upload { name: "256 MiB in parts of 64 KiB", length: 256 * MIB, part_size: 64 * 1024 },
    Upload { name: "2 GiB in parts of 64 KiB", length: 2 * GIB, part_size: 64 * 1024 },
    // The service gives each of its 122,071 parts an identifier, and the last request names them all.
    Upload { name: "8 GB in parts of 64 KiB", length: 8_000_000_000, part_size: 64 * 1024 },
];

pub(super) fn uploads(context: &Context) -> Result<Vec<Found>> {
    let idle = idle_mib(context)?;
    let (mut all, mut claims) = (Vec::new(), Vec::new());
    for Upload { name, length, part_size } in UPLOADS {
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
        "4 parts in flight over plain HTTP on loopback, sparse files; an idle process (`partwise uploads list`) takes {idle:.1} MiB, the least of {IDLE}. What is claimed is of the highest peak of each. 8 GB in parts of 64 KiB are 122,071 parts, whose identifiers have 37 characters and are all kept until the upload is completed."
    );
    let (title, columns) = ("Memory", Columns::Clients);
    Ok(vec![Found { title, setting, measured: all, columns, missing: Vec::new(), claims }])
}

/// The highest of all runs. Who else uses the machine changes no peak.
pub(super) fn peak_mib(measured: &Measured) -> Option<Figure> {
    Figure::steady(measured.runs.iter().map(Run::peak_mib).reduce(f64::max)?)
}

/// The peak of a command that does next to nothing, the least of several.
pub(super) fn idle_mib(context: &Context) -> Result<f64> {
    let mut command = Command::new(&context.partwise);
    command.args(["uploads", "list", "--state"]).arg(context.scratch().join("no-state"));
    let peaks = (0..IDLE).map(|_| Ok(measured(&command)?.peak_kib)).collect::<Result<Vec<_>>>()?;
    Ok(peaks.into_iter().min().context("no idle process was measured")? as f64 / 1024.0)
}
