//! How long a build from nothing takes.

use std::process::Command;

use anyhow::Result;

use crate::run::claims::{Bound, Claim};
use crate::run::figures::Figure;
use crate::run::runs::observed;
use crate::run::table::Columns;
use crate::run::tools::said;
use crate::run::{Context, Found};

const SECONDS: f64 = 240.0;
/// Compilers that keep what they have compiled before, and flags.
const SET_ELSEWHERE: [&str; 6] = [
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
];

pub(super) fn clean(context: &Context) -> Result<Vec<Found>> {
    let target = context.tools_folder.join("build");
    if target.exists() {
        std::fs::remove_dir_all(&target)?;
    }
    // What the network takes is not the build's.
    said(Command::new("cargo").args(["fetch", "--locked"]).current_dir(&context.workspace))?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--locked", "--quiet", "--package", "partwise-cli", "--target-dir"]);
    cargo.arg(&target).current_dir(&context.workspace);
    // What whoever measures has set for builds of their own is not everyone's.
    for name in SET_ELSEWHERE {
        cargo.env_remove(name);
    }
    let run = observed(&cargo, 0, || Ok(0.0))?;
    std::fs::remove_dir_all(&target)?;
    let measured = Some(Figure { value: run.wall_s(), noisy: run.is_disturbed() });
    let claims = vec![Claim::only_worse_by_noise(
        "what else runs can only slow it down",
        "s for a clean release build of the command",
        measured,
        Bound::AtMost(SECONDS),
    )];
    let setting = format!(
        "Once, with default features, everything fetched, no wrapper around the compiler and no flags for it from the environment; {:.0} CPU-s.",
        run.cpu_s()
    );
    let (title, columns) = ("Build", Columns::Clients);
    Ok(vec![Found { title, setting, measured: Vec::new(), columns, missing: Vec::new(), claims }])
}
