//! Small things that are waited for all the same.

use std::process::Command;

use anyhow::Result;

use crate::run::claims::{Bound, Claim};
use crate::run::rounds::{measured, median};
use crate::run::{Context, Found};

/// How long a command may take that needs no network.
const ANSWER_MS: f64 = 10.0;
const BINARY_MIB: f64 = 12.0;

pub(super) fn things(context: &Context) -> Result<Vec<Found>> {
    let state = context.scratch().join("no-state");
    let milliseconds = |arguments: &[&str]| -> Result<f64> {
        let once = || -> Result<f64> {
            let mut command = Command::new(&context.partwise);
            command.args(arguments).args(["--state".as_ref(), state.as_os_str()]);
            Ok(measured(&command)?.wall_s * 1e3)
        };
        Ok(median((0..20).map(|_| once()).collect::<Result<Vec<_>>>()?))
    };
    let binary = std::fs::metadata(&context.partwise)?.len() as f64 / (1024.0 * 1024.0);
    let claims = vec![
        Claim::new(
            "ms for `uploads list`",
            milliseconds(&["uploads", "list"])?,
            Bound::AtMost(ANSWER_MS),
            false,
        ),
        Claim::new("MiB of the release binary", binary, Bound::AtMost(BINARY_MIB), false),
    ];
    let setting = "Twenty runs each, medians.".to_owned();
    Ok(vec![Found { group: "Small things", setting, measured: Vec::new(), claims }])
}
