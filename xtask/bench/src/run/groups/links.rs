//! Links of limited rate and some latency: how much of them an upload uses.

use anyhow::{Context as _, Result, ensure};

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

/// What a form and its boundary take around a part at most.
const FORM: u64 = 1024;
/// Why a share may hold in noise.
const LIMITED: &str = "nothing makes a link of limited rate faster";

pub(super) fn uploads(context: &Context) -> Result<Vec<Found>> {
    let (mut all, mut claims) = (Vec::new(), Vec::new());
    for parallel in [4_u16, 8, 16] {
        let measured = over(context, parallel, None, format!("{parallel} connections"))?;
        let ideal = u64::from(parallel) as f64 * RATE as f64;
        let share = measured.figure(bits_per_second).map(|rate| rate / ideal);
        let text = format!("share of the link with {parallel} connections");
        claims.push(Claim::only_worse_by_noise(LIMITED, text, Some(share), Bound::AtLeast(SHARE)));
        all.push(measured);
    }
    let measured = over(context, 4, Some(SLOW_RATE), "4 connections, one of them slow".into())?;
    let ideal = (3 * RATE + SLOW_RATE) as f64;
    let longer = measured.figure(bits_per_second).map(|rate| ideal / rate);
    let text = "time against the ideal with one slow connection of four";
    claims.push(Claim::only_worse_by_noise(LIMITED, text, Some(longer), Bound::AtMost(STRAGGLER)));
    all.push(measured);
    let setting = "400 Mbit/s for each connection, 40 ms to each answer, plain HTTP. A sparse file of as many bytes as 8 parts of 64 MiB for each connection (8 GB for 16 of them), cut as the client likes; the slow connection has 100 Mbit/s. Shares are of the part phase, and of the file's bytes alone: what forms and headers take is not counted. No more connections than that were open at once, nothing was sent twice, and the slow connection carried its part: a run in which the sink saw anything else is an error.".to_owned();
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
    let measured = rounds(&[contender], &scene, &sink, context.three_rounds())?;
    let measured = measured.into_iter().next().context("nothing was measured")?;
    measured.runs.iter().try_for_each(|run| ensure_fair(run, parallel, slow_rate.is_some()))?;
    Ok(measured)
}

/// Complains when a link was used in another way than its share is computed.
fn ensure_fair(run: &Run, parallel: u16, is_one_slow: bool) -> Result<()> {
    let told = run.parts.as_ref().context("the sink told nothing")?;
    ensure!(
        // The upload is created and completed over one of them.
        told.connections <= u64::from(parallel),
        "{} connections were open at once instead of {parallel}",
        told.connections
    );
    ensure!(!is_one_slow || told.came_slowly > 0, "the slow connection carried nothing");
    ensure!(
        told.came <= run.bytes + told.parts * FORM,
        "something was sent twice: {} bytes came for {} in {} parts",
        told.came,
        run.bytes,
        told.parts
    );
    Ok(())
}

/// The file's bytes, from the first byte of the first part to the answer to the last.
fn bits_per_second(run: &Run) -> f64 {
    run.parts.as_ref().map_or(f64::NAN, |parts| run.bytes as f64 * 8.0 / parts.seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Told;

    #[test]
    fn a_run_that_used_the_link_otherwise_is_refused() {
        let said = |told: Told, is_one_slow: bool| {
            let run = Run { bytes: 1_000_000, parts: Some(told), ..Run::default() };
            ensure_fair(&run, 4, is_one_slow).err().map_or(String::new(), |error| error.to_string())
        };
        let fair = Told { came: 1_002_048, parts: 2, connections: 4, ..Told::default() };
        assert_eq!(said(fair.clone(), false), "");
        assert_eq!(said(fair.clone(), true), "the slow connection carried nothing");
        let more = Told { connections: 5, ..fair.clone() };
        assert_eq!(said(more, false), "5 connections were open at once instead of 4");
        let twice = Told { came: 1_500_000, ..fair };
        assert_eq!(said(twice, false), "something was sent twice: 1500000 bytes came for 1000000 in 2 parts");
    }
}
