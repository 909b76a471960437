//! A file on its way to the disk.

use anyhow::Result;

use crate::run::claims::{Bound, Claim};
use crate::run::contenders;
use crate::run::rounds::{Run, rounds};
use crate::run::scene::{GIB, Scene};
use crate::run::sink_process::{Sink, SinkOptions};
use crate::run::{Context, Found};

const LENGTH: u64 = 2 * GIB;
/// Of curl's processor time.
const AGAINST_CURL: f64 = 0.60;

pub(super) fn plain(context: &Context) -> Result<Vec<Found>> {
    let sink = Sink::start(&SinkOptions { length: LENGTH, ..SinkOptions::default() }, context.scratch())?;
    let scene = Scene::at(&sink, LENGTH, 1, context.scratch());
    let mut all = vec![contenders::download(context)];
    all.extend(contenders::curl_download(&context.tools));
    let measured = rounds(&all, &scene, &sink, context.rounds)?;
    let mut claims = Vec::new();
    if let [ours, curl] = &measured[..] {
        let noisy = ours.is_noisy() || curl.is_noisy();
        let ratio = ours.ratio(curl, Run::cpu_s);
        claims.push(Claim::new("processor time against curl", ratio, Bound::AtMost(AGAINST_CURL), noisy));
    }
    let setting = "2 GiB over plain HTTP on loopback into a file.".to_owned();
    Ok(vec![Found { group: "Download", setting, measured, claims }])
}
