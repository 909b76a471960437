//! The comparisons, each with what is claimed of it.

mod adaptive;
mod build;
mod downloads;
mod hashing;
mod ingest;
pub(super) mod lines;
mod links;
mod memory;
mod small;
mod uploads;

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use super::merged::merged;
use super::scene::GIB;
use super::{Context, Found, machine};

/// What all groups together need.
const MOST_GIB: u64 = 12;

/// One comparison.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    title: &'static str,
    measure: fn(&Context) -> Result<Vec<Found>>,
    /// How many GiB of files it makes.
    room: u64,
    /// Whether it takes too long, or needs too much, to run unasked.
    on_request: bool,
    /// Whether it takes too long to be measured in several series.
    is_once: bool,
}

impl Group {
    const fn new(
        name: &'static str,
        title: &'static str,
        measure: fn(&Context) -> Result<Vec<Found>>,
    ) -> Self {
        Self { name, title, measure, room: 0, on_request: false, is_once: false }
    }

    const fn with_room(self, gib: u64) -> Self {
        Self { room: gib, ..self }
    }

    /// Measures it in so many series. That it could not measure is something that it found, and the others go on.
    pub(crate) fn run(&self, context: &Context, series: usize) -> Result<Vec<Found>> {
        let series = if self.is_once { 1 } else { series };
        let mut all = Vec::new();
        for _ in 0..series {
            machine::settle()?;
            all.push((self.measure)(context));
            // A measurement that is interrupted because this process is to end is no result.
            context.ending.hold();
        }
        Ok(merged(self.title, all))
    }
}

/// All groups, in the order in which they run.
const GROUPS: &[Group] = &[
    Group::new("plain", "Upload, plain", uploads::plain).with_room(4),
    Group::new("tls", "Upload, TLS", uploads::tls).with_room(4),
    Group::new("memory", "Memory", memory::uploads),
    Group::new("links", "Links", links::uploads),
    Group::new("adaptive", "Parts at once", adaptive::uploads),
    Group { is_once: true, ..Group::new("lines", "Lines", lines::uploads).with_room(8) },
    Group::new("md5", "MD5", hashing::uploads).with_room(3),
    Group::new("download", "Download", downloads::plain).with_room(3),
    Group::new("ingest", "Server", ingest::all).with_room(6),
    Group::new("small", "Small things", small::things),
    Group { on_request: true, is_once: true, ..Group::new("build", "Build", build::clean) },
];

/// Those of these names, or all that run unasked.
pub(crate) fn chosen(names: &[String]) -> impl Iterator<Item = &'static Group> + use<'_> {
    GROUPS.iter().filter(move |group| match names {
        [] => !group.on_request,
        names => names.iter().any(|name| name == group.name),
    })
}

/// How many bytes of files they make together at most. Some are made once for several groups.
pub(crate) fn room(names: &[String]) -> u64 {
    chosen(names).map(|group| group.room).sum::<u64>().min(MOST_GIB) * GIB
}

/// Their names, for the command line.
pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(GROUPS.iter().map(|group| group.name))
}
