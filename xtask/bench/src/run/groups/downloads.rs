//! A file on its way to the disk.

use anyhow::Result;

use super::memory::{ABOVE_IDLE_MIB, idle_mib, peak_mib};
use crate::run::claims::{Bound, Claim};
use crate::run::contenders;
use crate::run::figures::{named, ratio};
use crate::run::runs::{Run, rounds};
use crate::run::scene::{GIB, Scene};
use crate::run::sink_process::{Sink, SinkOptions};
use crate::run::table::Columns;
use crate::run::{Context, Found};

const LENGTH: u64 = 2 * GIB;
/// Of curl's processor time.
const AGAINST_CURL: f64 = 0.60;

pub(super) fn plain(context: &Context) -> Result<Vec<Found>> {
    let idle = idle_mib(context)?;
    let sink = Sink::start(SinkOptions { length: LENGTH, ..SinkOptions::default() }, context.scratch())?;
    let scene = Scene::at(&sink, LENGTH, 1, context.scratch());
    let mut all = vec![
        contenders::download(context, "partwise", &[]),
        contenders::download(context, "partwise, one range at a time", &["--parallel", "1"]),
    ];
    let mut missing = Vec::new();
    match contenders::curl_download(&context.tools) {
        Ok(curl) => all.push(curl),
        Err(peer) => missing.push(peer),
    }
    let measured = rounds(&all, &scene, &sink, context.rounds())?;
    let against = ratio(&measured, "partwise", "curl", Run::cpu_s);
    let above = named(&measured, "partwise").and_then(peak_mib).map(|peak| peak.map(|peak| peak - idle));
    let claims = vec![
        Claim::new("processor time against curl", against, Bound::AtMost(AGAINST_CURL)),
        Claim::new("MiB above an idle process", above, Bound::AtMost(ABOVE_IDLE_MIB)),
    ];
    let setting = "2 GiB over plain HTTP on loopback into a new file in an empty folder, which is in the page cache when the command ends.".to_owned();
    let (title, columns) = ("Download", Columns::Clients);
    Ok(vec![Found { title, setting, measured, columns, missing, claims }])
}
