//! The comparisons, each with what is claimed of it.

mod adaptive;
mod build;
mod downloads;
mod hashing;
mod ingest;
mod links;
mod memory;
mod small;
mod uploads;

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use super::{Context, Found, failed};

/// One comparison.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    title: &'static str,
    measure: fn(&Context) -> Result<Vec<Found>>,
    /// Whether it takes too long, or needs too much, to run unasked.
    on_request: bool,
}

impl Group {
    const fn new(
        name: &'static str,
        title: &'static str,
        measure: fn(&Context) -> Result<Vec<Found>>,
    ) -> Self {
        Self { name, title, measure, on_request: false }
    }

    /// What it found. That it could not measure is something that it found, and the others go on.
    pub(crate) fn run(&self, context: &Context) -> Vec<Found> {
        (self.measure)(context).unwrap_or_else(|error| vec![failed(self.title, &error)])
    }
}

/// All groups, in the order in which they run.
const GROUPS: &[Group] = &[
    Group::new("plain", "Upload, plain", uploads::plain),
    Group::new("tls", "Upload, TLS", uploads::tls),
    Group::new("memory", "Memory", memory::uploads),
    Group::new("links", "Links", links::uploads),
    Group::new("adaptive", "Parts at once", adaptive::uploads),
    Group::new("md5", "MD5", hashing::uploads),
    Group::new("download", "Download", downloads::plain),
    Group::new("ingest", "Server", ingest::all),
    Group::new("small", "Small things", small::things),
    Group { on_request: true, ..Group::new("build", "Build", build::clean) },
];

/// Those of these names, or all that run unasked.
pub(crate) fn chosen(names: &[String]) -> impl Iterator<Item = &'static Group> + use<'_> {
    GROUPS.iter().filter(move |group| match names {
        [] => !group.on_request,
        names => names.iter().any(|name| name == group.name),
    })
}

/// Their names, for the command line.
pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(GROUPS.iter().map(|group| group.name))
}
