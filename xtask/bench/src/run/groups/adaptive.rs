//! How many parts to send at once: what the command finds out by itself, against the best of what one could have told it.

use anyhow::{Context as _, Result};

use crate::run::claims::{Bound, Claim};
use crate::run::contenders::{self, Parallel};
use crate::run::figures::named;
use crate::run::runs::{Measured, Run, rounds};
use crate::run::scene::{GIB, MIB, Scene};
use crate::run::sink_process::{Sink, SinkOptions};
use crate::run::table::Columns;
use crate::run::{Context, Found};

/// How near to the best it comes.
const NEAR: f64 = 0.90;
const FIXED: [u16; 5] = [1, 2, 4, 8, 16];
const LATENCY_MS: u64 = 40;
const MBIT: u64 = 1_000_000;

/// A link, and a file to send over it.
struct Link {
    name: &'static str,
    length: u64,
    rate: Rate,
}

/// In bits a second.
enum Rate {
    Shared(u64),
    PerConnection(u64),
    Loopback,
}

const LINKS: [Link; 6] = [
    Link { name: "10 Mbit/s, 64 MiB", length: 64 * MIB, rate: Rate::Shared(10 * MBIT) },
    Link { name: "100 Mbit/s, 256 MiB", length: 256 * MIB, rate: Rate::Shared(100 * MBIT) },
    Link { name: "1 Gbit/s, 1 GiB", length: GIB, rate: Rate::Shared(1000 * MBIT) },
    Link { name: "50 Mbit/s each, 256 MiB", length: 256 * MIB, rate: Rate::PerConnection(50 * MBIT) },
    Link { name: "400 Mbit/s each, 2 GiB", length: 2 * GIB, rate: Rate::PerConnection(400 * MBIT) },
    Link { name: "loopback, 2 GiB", length: 2 * GIB, rate: Rate::Loopback },
];

pub(super) fn uploads(context: &Context) -> Result<Vec<Found>> {
    let (mut all, mut claims) = (Vec::new(), Vec::new());
    for link in &LINKS {
        let measured = over(context, link)?;
        claims.push(claim(link, &measured)?);
        all.extend(measured);
    }
    let setting = format!(
        "The command without `--parallel` against the best of {}, by wall time; plain HTTP, 40 ms to each answer but on loopback, sparse files, cut as the client likes. Rates are shared by all connections unless they are each one's.",
        FIXED.map(|parallel| format!("`--parallel {parallel}`")).join(", ")
    );
    let (title, columns) = ("Parts at once", Columns::Clients);
    Ok(vec![Found { title, setting, measured: all, columns, missing: Vec::new(), claims }])
}

fn over(context: &Context, link: &Link) -> Result<Vec<Measured>> {
    let limited = SinkOptions { latency_ms: LATENCY_MS, ..SinkOptions::default() };
    let (options, count) = match link.rate {
        Rate::Shared(rate) => (SinkOptions { shared_rate: Some(rate), ..limited }, context.one_round()),
        Rate::PerConnection(rate) => (SinkOptions { rate: Some(rate), ..limited }, context.one_round()),
        Rate::Loopback => (SinkOptions::default(), context.many_rounds()),
    };
    let sink = Sink::start(options, context.scratch())?;
    let scene = Scene::at(&sink, link.length, 1, context.scratch());
    scene.sparse()?;
    let mut contenders = vec![contenders::partwise(context, own_choice(link), Parallel::Unsaid, &[])];
    contenders.extend(FIXED.map(|parallel| {
        contenders::partwise(context, fixed(link, parallel), Parallel::Fixed(parallel), &[])
    }));
    rounds(&contenders, &scene, &sink, count)
}

fn claim(link: &Link, measured: &[Measured]) -> Result<Claim> {
    let ours = named(measured, &own_choice(link)).context("our own choice was not measured")?;
    let fixed = FIXED.iter().filter_map(|parallel| named(measured, &fixed(link, *parallel)));
    let best = fixed.min_by(|one, other| one.median(Run::wall_s).total_cmp(&other.median(Run::wall_s)));
    let speed = best.context("nothing was measured")?.ratio(ours, Run::wall_s);
    Ok(Claim::new(
        format!("speed against the best fixed one: {}", link.name),
        Some(speed),
        Bound::AtLeast(NEAR),
    ))
}

fn own_choice(link: &Link) -> String {
    format!("{}: its own choice", link.name)
}

fn fixed(link: &Link, parallel: u16) -> String {
    format!("{}: --parallel {parallel}", link.name)
}
