//! Links of limited rate and some latency: how much of them an upload uses.

use anyhow::{Context as _, Result};

use crate::run::claims::{Bound, Claim};
use crate::run::contenders;
use crate::run::rounds::{Measured, median, rounds};
use crate::run::scene::{MIB, Scene};
use crate::run::sink_process::{Sink, SinkOptions};
use crate::run::{Context, Found};

/// Bits a second on each connection.
const RATE: u64 = 400_000_000;
const LATENCY_MS: u64 = 40;
/// So many of the largest parts for each connection.
const PARTS: u64 = 8;
const LARGEST_PART: u64 = 64 * MIB;
/// How much of the link an upload uses at least.
const SHARE: f64 = 0.95;
/// How much longer than ideal it may take when one connection of four has a quarter of the rate.
const STRAGGLER: f64 = 1.15;

pub(super) fn uploads(context: &Context) -> Result<Vec<Found>> {
    let (mut all, mut claims) = (Vec::new(), Vec::new());
    for parallel in [4_u16, 8, 16] {
        let measured = over(context, parallel, None, format!("{parallel} connections"))?;
        let ideal = u64::from(parallel) as f64 * RATE as f64;
        let share = rate(&measured)? / ideal;
        let text = format!("share of the link with {parallel} connections");
        claims.push(Claim::new(text, share, Bound::AtLeast(SHARE), measured.is_noisy()));
        all.push(measured);
    }
    let measured = over(context, 4, Some(RATE / 4), "4 connections, one of them slow".into())?;
    let ideal = 3.25 * RATE as f64;
    let longer = ideal / rate(&measured)?;
    let text = "time against the ideal with one slow connection of four";
    claims.push(Claim::new(text, longer, Bound::AtMost(STRAGGLER), measured.is_noisy()));
    all.push(measured);
    let setting = "400 Mbit/s for each connection, 40 ms to each answer; as many bytes as 8 parts of 64 MiB for each connection, cut as the client likes; the slow one has 100 Mbit/s.".to_owned();
    Ok(vec![Found { group: "Links", setting, measured: all, claims }])
}

fn over(context: &Context, parallel: u16, slow_rate: Option<u64>, name: String) -> Result<Measured> {
    let length = u64::from(parallel) * PARTS * LARGEST_PART;
    let options =
        SinkOptions { length, rate: Some(RATE), slow_rate, latency_ms: LATENCY_MS, ..SinkOptions::default() };
    let sink = Sink::start(&options, context.scratch())?;
    let scene = Scene::at(&sink, length, parallel, context.scratch());
    scene.sparse()?;
    let measured = rounds(&[contenders::partwise(context, "partwise", &[])], &scene, &sink, 2)?;
    let measured = measured.into_iter().next().context("nothing was measured")?;
    Ok(Measured { name, ..measured })
}

/// Bits a second from the first byte of the first part to the answer to the last.
fn rate(measured: &Measured) -> Result<f64> {
    let rates = measured.runs.iter().map(|run| {
        let parts = run.parts.as_ref().context("the sink told nothing")?;
        Ok(parts.bytes as f64 * 8.0 / parts.seconds)
    });
    Ok(median(rates.collect::<Result<Vec<_>>>()?))
}
