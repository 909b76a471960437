//! Uploads over loopback: processor time and wall time against everyone.

use anyhow::Result;

use crate::run::claims::{Bound, Claim};
use crate::run::contenders::{self, Contender};
use crate::run::rounds::{Measured, Run, rounds};
use crate::run::scene::{GIB, MIB, Scene, noise};
use crate::run::sink_process::{Sink, SinkOptions};
use crate::run::{Context, Found};

const LENGTH: u64 = 2 * GIB;
const PART: u64 = 64 * MIB;

pub(super) fn plain(context: &Context) -> Result<Vec<Found>> {
    let measured = everyone(context, false)?;
    let wall = |run: &Run| run.taken.wall_s;
    let claims = vec![
        claim(&measured, "processor time against curl", "curl", Run::cpu_s, 0.50),
        claim(&measured, "processor time against the bare hyper loop", "bare hyper loop", Run::cpu_s, 1.15),
        claim(&measured, "wall time against curl, 4 at once", "curl, 4 at once", wall, 0.40),
    ];
    let setting = "2 GiB in parts of 64 MiB, 4 at a time, over plain HTTP on loopback.".to_owned();
    Ok(vec![Found { group: "Upload, plain", setting, measured, claims }])
}

pub(super) fn tls(context: &Context) -> Result<Vec<Found>> {
    let measured = everyone(context, true)?;
    let claims = vec![claim(&measured, "processor time against curl", "curl", Run::cpu_s, 0.50)];
    let setting = "2 GiB in parts of 64 MiB, 4 at a time, over TLS 1.3 on loopback.".to_owned();
    Ok(vec![Found { group: "Upload, TLS", setting, measured, claims }])
}

fn everyone(context: &Context, tls: bool) -> Result<Vec<Measured>> {
    let sink =
        Sink::start(&SinkOptions { tls, length: LENGTH, ..SinkOptions::default() }, context.scratch())?;
    let scene = Scene {
        file: noise(context.scratch(), LENGTH)?,
        part_size: Some(PART),
        ..Scene::at(&sink, LENGTH, 4, context.scratch())
    };
    let tools = &context.tools;
    let mut all: Vec<Contender> = vec![contenders::partwise(context, "partwise", &[])];
    all.push(contenders::own_loop("bare hyper loop", "hyper", None));
    if !tls {
        all.push(contenders::own_loop("raw writes, 2 connections", "raw", Some(2)));
    }
    all.extend(contenders::curl(tools, "curl", None));
    all.extend(contenders::curl(tools, "curl, 4 at once", Some(4)));
    all.extend(contenders::python(tools));
    all.extend(contenders::node(tools));
    all.extend(contenders::async_openai(tools));
    rounds(&all, &scene, &sink, context.rounds)
}

/// Ours against one other, in ratios pair by pair. Whom nobody measured, nothing is claimed against.
fn claim(measured: &[Measured], text: &str, other: &str, of: impl Fn(&Run) -> f64, limit: f64) -> Claim {
    let find = |name: &str| measured.iter().find(|measured| measured.name == name);
    let (ratio, noisy) = match find("partwise").zip(find(other)) {
        Some((ours, theirs)) => (ours.ratio(theirs, of), ours.is_noisy() || theirs.is_noisy()),
        None => (f64::NAN, true),
    };
    Claim::new(text, ratio, Bound::AtMost(limit), noisy)
}
