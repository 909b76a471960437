//! The comparisons, each with what is claimed of it.

mod downloads;
mod links;
mod memory;
mod small;
mod uploads;

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use super::{Context, Found};

type Group = fn(&Context) -> Result<Vec<Found>>;

/// All groups, in the order in which they run.
pub(crate) const GROUPS: &[(&str, Group)] = &[
    ("plain", uploads::plain),
    ("tls", uploads::tls),
    ("memory", memory::uploads),
    ("links", links::uploads),
    ("download", downloads::plain),
    ("small", small::things),
];

/// Their names, for the command line.
pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(GROUPS.iter().map(|(name, _)| *name))
}
