//! Logs on standard error, for those who ask.

use std::io;

use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{environment::Environment, report::Report};

/// The environment variable that says what to log: a level, or targets with levels (`debug`,
/// `partwise_server=trace,info`). Unset: nothing.
pub(crate) const VARIABLE: &str = "PARTWISE_LOG";

/// Starts logging when the environment asks for it.
pub(crate) fn start(environment: &impl Environment) -> Result<(), Report> {
    let Some(filter) = environment.get(VARIABLE)? else { return Ok(()) };
    let targets: Targets = filter.parse().map_err(|cause| {
        Report::because(VARIABLE, &cause)
            .hint("write a level (error, warn, info, debug, trace) or target=level, comma-separated")
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    tracing_subscriber::registry().with(targets).with(lines).init();
    Ok(())
}
