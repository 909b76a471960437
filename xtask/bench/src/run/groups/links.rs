//! Links of limited rate and some latency: how much of them an upload uses.

use anyhow::{Context as _, Result};

use crate::run::claims::{Bound, Claim};
use crate::run::contenders::{self, Parallel};
use crate::run::runs::{Measured, Run, rounds};
use crate::run::scene::{MIB, Scene};
use crate::run::sink_process::{Sink, SinkOptions};
use crate::run::table::Columns;
use crate::run::{Context, Found};

/// Bits a second on each connection.
const RATE: u64 = 400_000_000;
/// On the slow one.
const SLOW_RATE: u64 = 100_000_000;
const LATENCY_MS: u64 = 40;
/// So many of the largest parts for each connection.
const PARTS: u64 = 8;
const LARGEST_PART: u64 = 64 * MIB;
/// What the service takes at most.
const LARGEST_FILE: u64 = 8_000_000_000;
/// How much of the link an upload uses at least.
const SHARE: f64 = 0.95;
/// How much longer than ideal it may take when one connection of four has a quarter of the rate.
const STRAGGLER: f64 = 1.15;

pub(super) fn uploads(context: &Context) -> Result<Vec<Found>> {
    let (mut all, mut claims) = (Vec::new(), Vec::new());
    for parallel in [4_u16, 8, 16] {
        let measured = over(context, parallel, None, format!("{parallel} connections"))?;
        let ideal = u64::from(parallel) as f64 * RATE as f64;
        let share = measured.figure(bits_per_second).map(|rate| rate / ideal);
        let text = format!("share of the link with {parallel} connections");
        claims.push(Claim::new(text, Some(share), Bound::AtLeast(SHARE)));
        all.push(measured);
    }
    let measured = over(context, 4, Some(SLOW_RATE), "4 connections, one of them slow".into())?;
    let ideal = (3 * RATE + SLOW_RATE) as f64;
    let longer = measured.figure(bits_per_second).map(|rate| ideal / rate);
    let text = "time against the ideal with one slow connection of four";
    claims.push(Claim::new(text, Some(longer), Bound::AtMost(STRAGGLER)));
    all.push(measured);
    let setting = "400 Mbit/s for each connection, 40 ms to each answer, plain HTTP. A sparse file of as many bytes as 8 parts of 64 MiB for each connection (8 GB for 16 of them), cut as the client likes; the slow connection has 100 Mbit/s. Shares are of the part phase.".to_owned();
    let (title, columns) = ("Links", Columns::Clients);
    Ok(vec![Found { title, setting, measured: all, columns, missing: Vec::new(), claims }])
}

fn over(context: &Context, parallel: u16, slow_rate: Option<u64>, name: String) -> Result<Measured> {
    let length = (u64::from(parallel) * PARTS * LARGEST_PART).min(LARGEST_FILE);
    let options =
        SinkOptions { rate: Some(RATE), slow_rate, latency_ms: LATENCY_MS, ..SinkOptions::default() };
    let sink = Sink::start(options, context.scratch())?;
    let scene = Scene::at(&sink, length, parallel, context.scratch());
    scene.sparse()?;
    let contender = contenders::partwise(context, name, Parallel::OfScene, &[]);
    let measured = rounds(&[contender], &scene, &sink, context.few_rounds())?;
    measured.into_iter().next().context("nothing was measured")
}

/// From the first byte of the first part to the answer to the last.
fn bits_per_second(run: &Run) -> f64 {
    run.parts.as_ref().map_or(f64::NAN, |parts| parts.bytes as f64 * 8.0 / parts.seconds)
}
