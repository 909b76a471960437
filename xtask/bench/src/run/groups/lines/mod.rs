//! Lines as people have them: slow, shared, reset now and then, away for a while, losing packets.

mod claims;
mod kinds;

use std::time::Duration;

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::numbered;
use crate::run::contenders::{self, Contender, Parallel};
use crate::run::limited::limited;
use crate::run::line_process::Line;
use crate::run::machine::Watch;
use crate::run::network::Network;
use crate::run::runs::{Measured, OverLine, Run};
use crate::run::scene::{MIB, Scene};
use crate::run::server_process::Server;
use crate::run::table::Columns;
use crate::run::tools::Missing;
use crate::run::{Context, Found};
use kinds::{KINDS, Kind};

const OURS: &str = "partwise";
/// What peers send at once when nobody says anything else: the most that a service takes as one part.
const PEERS_PART: u64 = 64 * MIB;

/// The names of the lines, for the command line.
pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(KINDS.iter().map(|kind| kind.name))
}

pub(super) fn uploads(context: &Context) -> Result<Vec<Found>> {
    let (mut measured, mut missing) = (Vec::new(), Vec::new());
    let mut contenders = vec![(contenders::partwise(context, OURS, Parallel::Unsaid, &[]), false)];
    for peer in [contenders::python_retrying(&context.tools), contenders::curl_retrying(&context.tools)] {
        match peer {
            Ok(peer) => contenders.push((peer, true)),
            Err(peer) => missing.push(peer),
        }
    }
    for kind in chosen(context) {
        for (contender, is_peer) in &contenders {
            match over(context, &kind, contender, *is_peer) {
                Ok(run) => {
                    eprint!(".");
                    let name = format!("{}: {}", kind.words, contender.name);
                    measured.push(Measured { name, runs: vec![run] });
                }
                Err(error) => {
                    missing.push(Missing { name: kind.words, why: format!("{}: {error:#}", contender.name) });
                    // The others would not come further, where there is no such line.
                    break;
                }
            }
        }
    }
    eprintln!();
    let claims = if context.quick { Vec::new() } else { claims::of(&chosen(context), &measured) };
    let (title, columns) = ("Lines", Columns::Lines);
    Ok(vec![Found { title, setting: setting(context), measured, columns, missing, claims }])
}

fn chosen(context: &Context) -> Vec<Kind> {
    let names = &context.lines;
    let chosen = KINDS.into_iter().filter(|kind| {
        if names.is_empty() { kinds::is_unasked(kind) } else { names.iter().any(|name| name == kind.name) }
    });
    chosen.map(|kind| if context.quick { kind.shrunk() } else { kind }).collect()
}

/// Whose run a measurement is, on which line.
fn named<'a>(measured: &'a [Measured], kind: &Kind, contender: &str) -> Option<&'a Measured> {
    crate::run::figures::named(measured, &format!("{}: {contender}", kind.words))
}

fn over(context: &Context, kind: &Kind, contender: &Contender, is_peer: bool) -> Result<Run> {
    let file = numbered::file(context.scratch(), kind.length)?;
    // Before anything is started in it.
    let network = kind.loses.then(Network::alone).transpose()?;
    let server = Server::partwise(&context.partwise, "none", context.scratch())?;
    let mut line = Line::start(&kind.options(), &server.origin)?;
    if let Some(network) = &network {
        network.drop_some(line.port()?, context.scratch())?;
    }
    let scene = Scene {
        origin: line.origin.clone(),
        certificate: None,
        file,
        length: kind.length,
        part_size: None,
        parallel: 1,
        parts_at: server.begin_upload(kind.length)?,
        scratch: context.scratch().to_owned(),
    };
    let command = contender.command(&scene)?;
    let cpu_s = || Ok::<_, anyhow::Error>(server.cpu_s()? + line.cpu_s()?);
    let (watch, before) = (Watch::begin()?, cpu_s()?);
    let (end, wall_s) = limited(&command, kind.limit(is_peer), context.scratch())?;
    let service_cpu_s = cpu_s()? - before;
    let others = watch.others(service_cpu_s)?;
    let told = line.told()?;
    let over_line = OverLine { ideal_s: kind.ideal_s(), is_whole: kind.is_whole(), end, told };
    let taken = crate::measure::Taken { wall_s, ..Default::default() };
    Ok(Run { bytes: kind.length, taken, service_cpu_s, others, line: Some(over_line), ..Run::default() })
}

fn setting(context: &Context) -> String {
    let shrunk =
        if context.quick { " **Shrunk, to check the bench itself: nothing is claimed.**" } else { "" };
    let outage = Duration::from_secs(60).as_secs();
    format!(
        "A TCP proxy in front of `partwise serve`: all connections share one rate in each direction (a token bucket of 100 ms), with a round trip of 40 ms; the handshake takes one too. It reads what passes: acknowledged are bytes of the file in requests whose answer, 200, the client was given. Ideal is the file's length over the rate, plus the {outage} s for which the line is away. Sent are all bytes that the line took from the client, for each byte acknowledged. A cut is a request for bytes that no request named before; what is cut and not acknowledged then is compared with 12 s of the rate over the last 12 s plus 1 MiB for each connection, and the worst of them is shown. Everyone has the defaults: partwise, `upload_file_chunked` of openai-python with its two retries, and curl with `--retry 5 --retry-all-errors`, whose parts were cut before; the parts of both have {} MiB. Once each; peers that do not come further are ended after 120 s, and ours after 1.25 of the ideal time.{shrunk}",
        PEERS_PART / MIB
    )
}
