//! `partwise files download`.

use std::future::pending;

use partwise_protocol::DownloadFile;

use crate::{
    args::DownloadArguments,
    connect::{Connected, Connection},
    destination::Destination,
    environment::Environment,
    interrupt::Signals,
    progress::Bar,
    report::Report,
};

/// Writes a file's content to where it is wanted.
pub(crate) async fn run(
    arguments: &DownloadArguments,
    connection: Connection<'_, impl Environment>,
) -> Result<(), Report> {
    let connected = connection.connect().await?;
    let destination = Destination::open(&arguments.output, arguments.force)?;
    // Only a file beside the target has to be cleared away. Elsewhere a signal ends the process as it always does, also
    // while nobody reads what is written.
    let mut signals = destination.is_temporary().then(Signals::listen).transpose()?;
    let interrupted = async {
        match &mut signals {
            Some(signals) => signals.next().await,
            None => pending().await,
        }
    };
    tokio::select! {
        done = receive(&arguments.id, destination, &connected) => done,
        () = interrupted => Err(Report::failed("interrupted")),
    }
}

async fn receive(id: &str, mut destination: Destination, connected: &Connected) -> Result<(), Report> {
    let what = format!("cannot download {id}");
    let explain = |error| connected.explain.report(&what, &error);
    let mut download = connected.client.download(&DownloadFile::new(id)).await.map_err(explain)?;
    let bar = Bar::new(id, download.head().length);
    let mut received = 0;
    while let Some(bytes) = download.chunk().await.map_err(explain)? {
        destination.write(&bytes)?;
        received += bytes.len() as u64;
        bar.set(received);
    }
    destination.finish()
}
