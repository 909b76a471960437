//! Logs on standard error, for those who ask.

use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{environment::Environment, report::Report, screen::Above};

/// The environment variable that says what to log: a level, or targets with levels (`debug`,
/// `partwise_server=trace,info`).
pub(crate) const VARIABLE: &str = "PARTWISE_LOG";

/// The filter of a server when the variable is unset: its failures and their ends, keys that are tried,
/// connections that it has no room for, disks that come and go, stores that lose answers at a start, and bytes that are kept since their records are not seen.
const OF_SERVERS: &str = "partwise=error,partwise_server=error,partwise_server::auth=warn,\
                          partwise_server::serve::admission=warn,partwise_server::local::presence=info,\
                          partwise_server::probe=warn,partwise_server::sweeper=warn";

/// Starts logging when the environment asks for it, or a server runs.
pub(crate) fn start(environment: &impl Environment, is_server: bool) -> Result<(), Report> {
    let unset = is_server.then(|| OF_SERVERS.to_owned());
    let Some(filter) = environment.get(VARIABLE)?.or(unset) else { return Ok(()) };
    let targets: Targets = filter.parse().map_err(|cause| {
        Report::because(VARIABLE, &cause)
            .hint("write a level (error, warn, info, debug, trace) or target=level, comma-separated")
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(Above).with_ansi(false);
    tracing_subscriber::registry().with(targets).with(lines).init();
    Ok(())
}
