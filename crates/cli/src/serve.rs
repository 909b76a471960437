//! `partwise serve`.

use std::{fs, io::Write as _, net::SocketAddr, num::NonZeroUsize, thread};

use partwise_server::{Durability, Keys, Server};
use tokio::net::TcpListener;

use crate::{
    args::{DurabilityName, ServeArguments},
    environment::Environment,
    interrupt::Signals,
    output::Output,
    report::Report,
    store,
};

const KEYS: &str = "PARTWISE_API_KEYS";
/// One of them may wait for the disk.
const THREADS_PER_PROCESSOR: usize = 2;
/// Each takes file descriptors and memory, however few connections there are.
const MOST_THREADS: usize = 16;

/// Serves until it is asked to stop.
pub(crate) async fn run(
    arguments: &ServeArguments,
    store: Option<&str>,
    environment: &impl Environment,
) -> Result<(), Report> {
    let addresses = resolve(&arguments.listen).await?;
    let keys = keys(arguments, environment)?;
    if keys.is_none() {
        refuse_strangers(&addresses)?;
    }
    let is_open = keys.is_none();
    let (first, second) = Signals::listen()?.stages();
    let durability = match arguments.durability {
        DurabilityName::Strict => Durability::Strict,
        DurabilityName::None => Durability::None,
    };
    let missing = if arguments.require_existing { store::Missing::Refuse } else { store::Missing::Make };
    let store = store::open(store, durability, missing)?.store;
    let server = Server::builder(store).keys(keys.unwrap_or_else(Keys::any)).strict(arguments.strict);
    let server = server.build().await.map_err(|cause| store::unopened(&cause))?;
    let cannot_listen = |cause| Report::because(format!("cannot listen on {}", arguments.listen), &cause);
    let listener = TcpListener::bind(&addresses[..]).await.map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    let serving = server.serve_on_threads(threads(), listener, first);
    let serving = serving.map_err(|cause| Report::because("cannot start", &cause))?;

    if is_open {
        // When standard error is gone there is nobody to tell.
        let _ = writeln!(
            std::io::stderr(),
            "no keys are set: any key will do, and only this machine can connect"
        );
    }
    Output::stdout().line(&format!("listening on http://{address}"))?;
    tokio::select! {
        () = serving => Ok(()),
        () = second => {
            Err(Report::failed("interrupted").hint("requests that were under way were cut off"))
        }
    }
}

/// How many threads serve connections.
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
    let (name, keys) = match &arguments.api_key_file {
        Some(path) => {
            let name = format!("--api-key-file {}", path.display());
            let text = fs::read_to_string(path).map_err(|cause| Report::because(&name, &cause))?;
            (name, Keys::of_lines(&text))
        }
        None => match environment.get(KEYS)? {
            Some(text) => (KEYS.to_owned(), Keys::of_entries(&text)),
            None => return Ok(None),
        },
    };
    keys.map(Some).map_err(|cause| Report::because(name, &cause))
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
