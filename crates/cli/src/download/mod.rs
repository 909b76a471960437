//! `partwise files download`.

mod destination;
mod partial;
mod whole;

use partwise_protocol::{DownloadFile, DownloadWarning};

use self::destination::{Destination, Stream};
use crate::{
    args::DownloadArguments,
    connect::{Connected, Connection},
    environment::Environment,
    progress::Bar,
    report::Report,
};

/// Writes a file's content to where it is wanted.
pub(crate) async fn run(
    arguments: &DownloadArguments,
    connection: Connection<'_, impl Environment>,
) -> Result<(), Report> {
    let connected = connection.connect().await?;
    match Destination::open(&arguments.output, arguments.force)? {
        // A signal ends the process as it always does, also while nobody reads what is written.
        Destination::Stream(stream) => pass_on(&arguments.id, stream, &connected).await,
        Destination::File(target) => Box::pin(whole::download(arguments, &target, &connected)).await,
    }
}

fn cannot(id: &str) -> String {
    format!("cannot download {id}")
}

/// Writes the bytes as they come.
async fn pass_on(id: &str, mut stream: Stream, connected: &Connected) -> Result<(), Report> {
    let explain = |error| connected.explain.report(&cannot(id), &error);
    let mut download = connected.client.download(&DownloadFile::new(id)).await.map_err(explain)?;
    let bar = Bar::new(id, download.head().length, &connected.notices);
    let mut received = 0;
    while let Some(bytes) = download.chunk().await.map_err(explain)? {
        if !stream.write(&bytes)? {
            return Ok(());
        }
        received += bytes.len() as u64;
        bar.set(received);
    }
    if let Some(warning) = download.warning() {
        bar.say(&warned(id, warning));
    }
    stream.finish()
}

/// What a person should know of a download.
fn warned(id: &str, warning: DownloadWarning) -> String {
    match warning {
        DownloadWarning::LengthUnknown => format!(
            "warning: the service does not say how many bytes {id} has, so it is not known whether all of them came"
        ),
        other => format!("warning: {id}: {other:?}"),
    }
}
