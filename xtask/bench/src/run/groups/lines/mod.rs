//! Lines as people have them: slow, shared, reset now and then, away for a while, losing packets.

mod claims;
mod going;
mod kinds;

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::numbered;
use crate::run::contenders::{self, Contender, Parallel};
use crate::run::network::Network;
use crate::run::runs::Measured;
use crate::run::scene::{MIB, PEERS_PART};
use crate::run::table::Columns;
use crate::run::tools::Missing;
use crate::run::{Context, Found};
use going::Going;
use kinds::{KINDS, Kind};

const OURS: &str = "partwise";

/// Somebody who is measured, and whether it is not us.
struct Client {
    contender: Contender,
    is_peer: bool,
}

/// The names of the lines, for the command line.
pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(KINDS.iter().map(|kind| kind.name))
}

pub(super) fn uploads(context: &Context) -> Result<Vec<Found>> {
    let (mut measured, mut missing) = (Vec::new(), Vec::new());
    let ours = contenders::partwise(context, OURS, Parallel::Unsaid, &[]);
    let mut clients = vec![Client { contender: ours, is_peer: false }];
    for peer in [contenders::python_retrying(&context.tools), contenders::curl_retrying(&context.tools)] {
        match peer {
            Ok(contender) => clients.push(Client { contender, is_peer: true }),
            Err(peer) => missing.push(peer),
        }
    }
    for kind in chosen(context) {
        match over(context, &kind, &clients) {
            Ok(more) => measured.extend(more),
            Err(error) => missing.push(Missing { name: kind.words, why: format!("{error:#}") }),
        }
        eprint!(".");
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

/// One of those who are measured on one of the lines.
fn name(kind: &Kind, contender: &str) -> String {
    format!("{}: {contender}", kind.words)
}

/// Everyone over a line of that kind, each over one that nobody else has.
fn over(context: &Context, kind: &Kind, clients: &[Client]) -> Result<Vec<Measured>> {
    let file = numbered::file(context.scratch(), kind.length)?;
    // Before anything is started in it.
    let network = kind.loses.then(Network::alone).transpose()?;
    // What is slow keeps no processor busy, and minutes are many.
    let at_once = if kind.is_slow() { clients.len() } else { 1 };
    let mut measured = Vec::new();
    for clients in clients.chunks(at_once) {
        let begin = |client| Going::begin(context, kind, client, &file, network.as_ref());
        let going = clients.iter().map(begin).collect::<Result<Vec<_>>>()?;
        let runs = going::to_the_end(kind, going)?;
        let named = clients.iter().map(|client| name(kind, &client.contender.name)).zip(runs);
        measured.extend(named.map(|(name, run)| Measured { name, runs: vec![run] }));
    }
    Ok(measured)
}

fn setting(context: &Context) -> String {
    let shrunk =
        if context.quick { " **Shrunk, to check the bench itself: nothing is claimed.**" } else { "" };
    format!(
        "A TCP proxy in front of `partwise serve`: all connections share one rate in each direction (a token bucket of 100 ms), and a round trip takes 40 ms, as the handshake does. It reads what passes: acknowledged are bytes of the file in requests whose answer, 200, the client was given; sent are all bytes that it took from the client. Ideal is the file's length over the rate, and the time for which the line is away. A cut is a request for bytes that no request has named before; what is cut and not acknowledged then is held against 12 s of the rate over the last 12 s (a time without a line does not count) and 1 MiB for each connection, and the worst of an upload is shown. Everyone has the defaults: partwise, `upload_file_chunked` of openai-python with its two retries, and curl with `--retry 5 --retry-all-errors`, each file of which is a part; the parts of both have {} MiB, and are sent one after the other. Once each; on lines of 1 MB/s or less all at the same time, each over its own line. Peers are ended after {} s, and ours after {} of the ideal time.{shrunk}",
        PEERS_PART / MIB,
        kinds::PEERS_S,
        kinds::SLOWER
    )
}
