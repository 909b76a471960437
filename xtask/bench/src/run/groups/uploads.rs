//! Uploads over loopback: processor time and wall time against everyone.

use anyhow::Result;

use crate::run::claims::{Bound, Claim};
use crate::run::contenders::{self, Contender, Parallel};
use crate::run::figures::ratio;
use crate::run::runs::{Measured, Run, rounds};
use crate::run::scene::{GIB, MIB, Scene, noise};
use crate::run::sink_process::{Sink, SinkOptions};
use crate::run::table::Columns;
use crate::run::tools::Missing;
use crate::run::{Context, Found};

const LENGTH: u64 = 2 * GIB;
const PART: u64 = 64 * MIB;

const OURS: &str = "partwise";
const BARE: &str = "bare hyper loop";
const CURL: &str = "curl";
const CURL_AT_ONCE: &str = "curl, 4 at once";

pub(super) fn plain(context: &Context) -> Result<Vec<Found>> {
    let (measured, missing) = everyone(context, false)?;
    let claims = vec![
        cpu_against_curl(&measured),
        cpu_against_the_loop(&measured),
        Claim::new(
            "wall time against curl, 4 at once",
            ratio(&measured, OURS, CURL_AT_ONCE, Run::wall_s),
            Bound::AtMost(0.40),
        ),
    ];
    let setting = setting("plain HTTP");
    Ok(vec![Found { title: "Upload, plain", setting, measured, columns: Columns::Clients, missing, claims }])
}

pub(super) fn tls(context: &Context) -> Result<Vec<Found>> {
    let (measured, missing) = everyone(context, true)?;
    let claims = vec![cpu_against_curl(&measured), cpu_against_the_loop(&measured)];
    let setting = setting("TLS 1.3");
    Ok(vec![Found { title: "Upload, TLS", setting, measured, columns: Columns::Clients, missing, claims }])
}

fn setting(protocol: &str) -> String {
    format!(
        "2 GiB of noise in the page cache, in parts of 64 MiB, over {protocol} on loopback. 4 parts at a time, by all but `curl` and `openai-python`, which send one after the other."
    )
}

fn cpu_against_curl(measured: &[Measured]) -> Claim {
    Claim::new("processor time against curl", ratio(measured, OURS, CURL, Run::cpu_s), Bound::AtMost(0.50))
}

fn cpu_against_the_loop(measured: &[Measured]) -> Claim {
    let ratio = ratio(measured, OURS, BARE, Run::cpu_s);
    Claim::new("processor time against the bare hyper loop", ratio, Bound::AtMost(1.15))
}

fn everyone(context: &Context, tls: bool) -> Result<(Vec<Measured>, Vec<Missing>)> {
    let sink = Sink::start(SinkOptions { tls, ..SinkOptions::default() }, context.scratch())?;
    let scene = Scene {
        file: noise(context.scratch(), LENGTH)?,
        part_size: Some(PART),
        ..Scene::at(&sink, LENGTH, 4, context.scratch())
    };
    let tools = &context.tools;
    let mut all: Vec<Result<Contender, Missing>> = vec![
        Ok(contenders::partwise(context, OURS, Parallel::OfScene, &[])),
        Ok(contenders::own_loop(BARE, "hyper", None)),
        contenders::curl(tools, CURL, None),
        contenders::curl(tools, CURL_AT_ONCE, Some(4)),
        contenders::python(tools),
        contenders::node(tools),
        contenders::async_openai(tools),
    ];
    if !tls {
        all.insert(2, Ok(contenders::own_loop("raw writes, 2 connections", "raw", Some(2))));
    }
    let (present, mut missing) = partition(all);
    missing.dedup_by_key(|missing| missing.name);
    Ok((rounds(&present, &scene, &sink, context.rounds())?, missing))
}

fn partition(all: Vec<Result<Contender, Missing>>) -> (Vec<Contender>, Vec<Missing>) {
    let (mut present, mut missing) = (Vec::new(), Vec::new());
    for contender in all {
        match contender {
            Ok(contender) => present.push(contender),
            Err(peer) => missing.push(peer),
        }
    }
    (present, missing)
}
