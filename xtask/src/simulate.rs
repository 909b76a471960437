//! `cargo xtask simulate`: the simulations of the upload machine and of the client, over more seeds than the tests try.

use std::path::Path;
use std::str::FromStr;

use anyhow::Result;

use crate::workspace::{cargo, run};

/// The packages that have a simulation, and the tests that it is in.
const SIMULATIONS: [(&str, &str); 3] =
    [("partwise-protocol", "simulation"), ("partwise-protocol", "lines"), ("partwise", "simulation")];

/// The seeds to try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeds {
    from: u64,
    to: u64,
}

impl FromStr for Seeds {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "seeds look like 0..10000";
        let (from, to) = text.split_once("..").ok_or(wrong)?;
        let (Ok(from), Ok(to)) = (from.parse(), to.parse()) else { return Err(wrong) };
        if from < to { Ok(Self { from, to }) } else { Err("there is no seed between these") }
    }
}

/// Runs every simulation over these seeds. Over ten thousand or more they also hold that each rule was looked at and that
/// each end was seen.
pub(crate) fn simulate(root: &Path, seeds: Seeds) -> Result<()> {
    let Seeds { from, to } = seeds;
    for (package, test) in SIMULATIONS {
        let arguments = ["test", "--package", package, "--test", test];
        let mut tests = cargo(root, arguments);
        tests.env("PARTWISE_SEEDS", format!("{from}..{to}"));
        run(&mut tests, "the seed that breaks a rule and the command that tells it again stand above")?;
    }
    Ok(())
}
