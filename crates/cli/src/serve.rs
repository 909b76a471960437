//! `partwise serve`.

use std::{net::SocketAddr, num::NonZeroUsize, path::Path, thread};

use partwise_server::{Durability, Keys, Limits, Server};
use tokio::net::TcpListener;

use crate::{
    args::{DurabilityName, ServeArguments},
    descriptors,
    environment::Environment,
    interrupt::{Hangups, Signals},
    key_file,
    output::Output,
    report::Report,
    screen, store,
};

const KEYS: &str = "PARTWISE_API_KEYS";
/// One of them may wait for the disk.
const THREADS_PER_PROCESSOR: usize = 2;
/// Each takes file descriptors and memory, however few connections there are.
const MOST_THREADS: usize = 16;

/// Serves until it is asked to stop.
pub(crate) async fn run(
    arguments: &ServeArguments,
    store: &store::Settings,
    environment: &impl Environment,
) -> Result<(), Report> {
    let addresses = resolve(&arguments.listen).await?;
    let keys = keys(arguments, environment)?;
    if keys.is_none() {
        refuse_strangers(&addresses)?;
    }
    let is_open = keys.is_none();
    let limits = limits(arguments, descriptors::raise())?;
    let (first, second) = Signals::listen()?.stages();
    let hangups = Hangups::listen()?;
    let durability = match arguments.durability {
        DurabilityName::Strict => Durability::Strict,
        DurabilityName::None => Durability::None,
    };
    let missing = if arguments.require_existing { store::Missing::Refuse } else { store::Missing::Make };
    let store = store::open(store, durability, missing)?.store;
    let server =
        Server::builder(store).keys(keys.unwrap_or_else(Keys::any)).limits(limits).strict(arguments.strict);
    let server = server.build().await.map_err(|cause| store::unopened(&cause))?;
    let cannot_listen = |cause| Report::because(format!("cannot listen on {}", arguments.listen), &cause);
    let listener = TcpListener::bind(&addresses[..]).await.map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    let serving = server.clone().serve_on_threads(threads(), listener, first);
    let serving = serving.map_err(|cause| Report::because("cannot start", &cause))?;

    if is_open {
        screen::say("no keys are set: any key will do, and only this machine can connect");
    }
    Output::stdout().line(&format!("listening on http://{address}"))?;
    // Counted before what serves them is dropped.
    let interrupted = async {
        second.await;
        server.requests_in_flight()
    };
    tokio::select! {
        stopped = serving => {
            cut_off(stopped.cut_off).map_or(Ok(()), |told| {
                screen::say(&format!("stopped after {} s: {told}", arguments.shutdown_timeout.as_secs()));
                Ok(())
            })
        }
        requests = interrupted => Err(Report::failed("interrupted").maybe_hint(cut_off(requests))),
        () = read_keys_again(&server, arguments.api_key_file.as_deref(), hangups) => Ok(()),
    }
}

/// The words for requests that were cut off, if any were.
fn cut_off(requests: usize) -> Option<String> {
    match requests {
        0 => None,
        1 => Some("1 request was cut off".to_owned()),
        many => Some(format!("{many} requests were cut off")),
    }
}

/// Reads the file of keys again whenever the signal for it comes. A file that cannot be read changes nothing.
async fn read_keys_again(server: &Server, file: Option<&Path>, mut hangups: Hangups) {
    loop {
        hangups.next().await;
        let Some(file) = file else {
            screen::say(
                "SIGHUP: no file of keys to read again: without --api-key-file, keys change with a restart",
            );
            continue;
        };
        match key_file::read_again(file).await {
            Ok(keys) => {
                server.set_keys(keys);
                screen::say(&format!("SIGHUP: keys were read again from {}", file.display()));
            }
            Err(report) => {
                let lines = report.lines();
                let cause = lines.trim_end().trim_start_matches("error: ");
                screen::say(&format!("SIGHUP: the keys from before still count: {cause}"));
            }
        }
    }
}

/// The limits that the arguments ask for, in a process that may have so many descriptors.
fn limits(arguments: &ServeArguments, descriptors: u64) -> Result<Limits, Report> {
    let most = Limits::connections_within(descriptors);
    // The room of the store is not to be had for connections.
    if let Some(asked) = arguments.max_connections.filter(|asked| *asked > most) {
        return Err(Report::failed(format!(
            "--max-connections {asked}: the limit of {descriptors} open files has room for {most}"
        ))
        .hint("raise the hard limit: ulimit -Hn, or LimitNOFILE= in a unit of systemd"));
    }
    let mut limits = Limits::default();
    limits.max_connections = arguments.max_connections;
    limits.max_connections_per_peer = arguments.max_connections_per_peer;
    limits.write_stall_timeout = arguments.write_stall_timeout;
    limits.min_rate = arguments.min_rate;
    limits.shutdown_timeout = arguments.shutdown_timeout;
    Ok(limits)
}

/// The number of threads that serve connections.
fn threads() -> NonZeroUsize {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    NonZeroUsize::new((processors * THREADS_PER_PROCESSOR).min(MOST_THREADS)).unwrap_or(NonZeroUsize::MIN)
}

async fn resolve(listen: &str) -> Result<Vec<SocketAddr>, Report> {
    let has_port =
        listen.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !has_port {
        return Err(Report::usage(format!(
            "--listen takes an address and a port, and '{listen}' is not that"
        ))
        .hint("such as 127.0.0.1:8080 or [::1]:8080"));
    }
    let cannot_resolve = |cause| Report::because(format!("cannot listen on {listen}"), &cause);
    Ok(tokio::net::lookup_host(listen).await.map_err(cannot_resolve)?.collect())
}

/// The keys to take; `None` when there are none.
fn keys(arguments: &ServeArguments, environment: &impl Environment) -> Result<Option<Keys>, Report> {
    if let Some(path) = &arguments.api_key_file {
        return key_file::read(path).map(Some);
    }
    let Some(text) = environment.get(KEYS)? else { return Ok(None) };
    Keys::of_entries(&text).map(Some).map_err(|cause| Report::because(KEYS, &cause))
}

/// Without keys everybody who can connect owns everything.
fn refuse_strangers(addresses: &[SocketAddr]) -> Result<(), Report> {
    match addresses.iter().find(|address| !address.ip().to_canonical().is_loopback()) {
        Some(address) => {
            Err(Report::failed(format!("no keys are set, and other machines could connect to {address}"))
                .hint(format!("give keys with --api-key-file or {KEYS}, or listen on 127.0.0.1")))
        }
        None => Ok(()),
    }
}
