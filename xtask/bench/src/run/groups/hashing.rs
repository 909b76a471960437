//! The MD5 beside an upload: free where the link is slower than it, and no slower than by itself where it is not.

use anyhow::Result;

use crate::run::claims::{Bound, Claim};
use crate::run::contenders::{self, Parallel};
use crate::run::figures::ratio;
use crate::run::runs::{Run, rounds};
use crate::run::scene::{MIB, Scene, noise};
use crate::run::sink_process::{Sink, SinkOptions};
use crate::run::table::Columns;
use crate::run::{Context, Found};

/// A second of MD5 or so. Processors differ by a tenth from one run to the next: many short runs say more than few
/// long ones.
const LENGTH: u64 = 512 * MIB;
const LINK: u64 = 400_000_000;
/// Of the time that the MD5 takes alone.
const AGAINST_ALONE: f64 = 1.10;
/// Of the time that the upload takes without it.
const AGAINST_NONE: f64 = 1.05;

const WITH: &str = "with --md5";
const WITHOUT: &str = "without";
const ALONE: &str = "the MD5 alone";

pub(super) fn uploads(context: &Context) -> Result<Vec<Found>> {
    Ok(vec![loopback(context)?, link(context)?])
}

fn loopback(context: &Context) -> Result<Found> {
    let sink = Sink::start(SinkOptions::default(), context.scratch())?;
    let scene = scene(context, &sink)?;
    let all = [with(context), without(context), contenders::md5(ALONE)];
    let measured = rounds(&all, &scene, &sink, context.many_rounds())?;
    let against = ratio(&measured, WITH, ALONE, Run::wall_s);
    let claims = vec![Claim::new("wall time against the MD5 alone", against, Bound::AtMost(AGAINST_ALONE))];
    let setting =
        "512 MiB of noise, 4 parts at a time, over plain HTTP on loopback, which is faster than any MD5."
            .to_owned();
    let (title, columns) = ("MD5, loopback", Columns::Clients);
    Ok(Found { title, setting, measured, columns, missing: Vec::new(), claims })
}

fn link(context: &Context) -> Result<Found> {
    let options = SinkOptions { shared_rate: Some(LINK), ..SinkOptions::default() };
    let sink = Sink::start(options, context.scratch())?;
    let scene = scene(context, &sink)?;
    let measured = rounds(&[with(context), without(context)], &scene, &sink, context.few_rounds())?;
    let against = ratio(&measured, WITH, WITHOUT, Run::wall_s);
    let claims = vec![Claim::new("wall time against the same without", against, Bound::AtMost(AGAINST_NONE))];
    let setting =
        "512 MiB of noise, 4 parts at a time, over 400 Mbit/s for all connections together.".to_owned();
    let (title, columns) = ("MD5, a link slower than it", Columns::Clients);
    Ok(Found { title, setting, measured, columns, missing: Vec::new(), claims })
}

fn scene(context: &Context, sink: &Sink) -> Result<Scene> {
    let file = noise(context.scratch(), LENGTH)?;
    Ok(Scene { file, ..Scene::at(sink, LENGTH, 4, context.scratch()) })
}

fn with(context: &Context) -> contenders::Contender {
    contenders::partwise(context, WITH, Parallel::OfScene, &["--md5"])
}

fn without(context: &Context) -> contenders::Contender {
    contenders::partwise(context, WITHOUT, Parallel::OfScene, &[])
}
