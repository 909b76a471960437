//! A file on its way to the disk.

use anyhow::Result;

use super::memory::{ABOVE_IDLE_MIB, SAME_MIB, idle_mib, peak_mib};
use crate::run::claims::{Bound, Claim};
use crate::run::contenders::{self, Contender};
use crate::run::figures::{named, ratio};
use crate::run::runs::{Measured, Run, rounds};
use crate::run::scene::{GIB, MIB, Scene};
use crate::run::sink_process::{Sink, SinkOptions};
use crate::run::table::Columns;
use crate::run::{Context, Found};

const OURS: &str = "partwise";
const LENGTH: u64 = 2 * GIB;
const LITTLE: u64 = 256 * MIB;
/// Of curl's processor time.
const AGAINST_CURL: f64 = 0.60;

pub(super) fn plain(context: &Context) -> Result<Vec<Found>> {
    let idle = idle_mib(context)?;
    let mut all = vec![
        contenders::download(context, OURS, &[]),
        contenders::download(context, "partwise, one range at a time", &["--parallel", "1"]),
    ];
    let mut missing = Vec::new();
    match contenders::curl_download(&context.tools) {
        Ok(curl) => all.push(curl),
        Err(peer) => missing.push(peer),
    }
    let measured = of_length(context, LENGTH, &all)?;
    let against = ratio(&measured, OURS, "curl", Run::cpu_s);
    let above = named(&measured, OURS).and_then(peak_mib).map(|peak| peak.map(|peak| peak - idle));
    let claims = vec![
        Claim::new("processor time against curl", against, Bound::AtMost(AGAINST_CURL)),
        Claim::new("MiB above an idle process", above, Bound::AtMost(ABOVE_IDLE_MIB)),
    ];
    let flat = flat_memory(context, &measured)?;
    let place = if context.about.files.is_memory() {
        "The folder is in memory, where there is nothing to sync and no cache to go past."
    } else {
        "When our command ends, its file is synced, and most of it was written past the system's cache (`O_DIRECT`, where the file system takes it). curl's is in the cache: what writing it to the disk takes comes after its end, and is not counted."
    };
    let setting = format!(
        "2 GiB of noise over plain HTTP on loopback into a new file in an empty folder, with nothing waiting to be written. {place} After each run, and not counted either, the whole file is compared with what was sent."
    );
    let (title, columns) = ("Download", Columns::Clients);
    Ok(vec![Found { title, setting, measured, columns, missing, claims }, flat])
}

/// A small file besides: whether the length changes the memory.
fn flat_memory(context: &Context, large: &[Measured]) -> Result<Found> {
    let measured = of_length(context, LITTLE, &[contenders::download(context, "partwise, 256 MiB", &[])])?;
    let small = measured.first().and_then(peak_mib);
    let more = named(large, OURS).and_then(peak_mib).zip(small);
    let more = more.map(|(large, small)| large.map(|large| large - small.value));
    let text = "MiB that 2 GiB take more than 256 MiB";
    let claims = vec![Claim::new(text, more, Bound::AtMost(SAME_MIB))];
    let setting = "256 MiB in the same way, against the 2 GiB above; the highest peak of each.".to_owned();
    let (title, columns) = ("Download, memory", Columns::Clients);
    Ok(Found { title, setting, measured, columns, missing: Vec::new(), claims })
}

fn of_length(context: &Context, length: u64, contenders: &[Contender]) -> Result<Vec<Measured>> {
    let sink = Sink::start(SinkOptions { length, ..SinkOptions::default() }, context.scratch())?;
    rounds(contenders, &Scene::at(&sink, length, 1, context.scratch()), &sink, context.many_rounds())
}
