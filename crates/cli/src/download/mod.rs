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
    progress::{Direction, Display, Meter},
    report::Report,
    screen::say,
};

/// Writes a file's content to where it is wanted.
pub(crate) async fn run(
    arguments: &DownloadArguments,
    connection: Connection<'_, impl Environment>,
) -> Result<(), Report> {
    let connected = connection.connect().await?;
    match Destination::open(&arguments.output, arguments.force)? {
        // A signal ends the process as it always does, also while nobody reads what is written.
        Destination::Stream(stream) => pass_on(arguments, stream, &connected).await,
        Destination::File(target) => Box::pin(whole::download(arguments, &target, &connected)).await,
    }
}

fn cannot(id: &str) -> String {
    format!("cannot download {id}")
}

/// Writes the bytes as they come.
async fn pass_on(
    arguments: &DownloadArguments,
    mut stream: Stream,
    connected: &Connected,
) -> Result<(), Report> {
    let id = &arguments.id;
    let mut display = Display::new(arguments.progress.progress, Direction::Download, id, false);
    let mut meter = Meter::new();
    let explain = |error| connected.explain.report(&cannot(id), &error);
    let operation = DownloadFile::new(id);
    let asked = Box::pin(connected.client.download(&operation));
    let mut download = display.beside(asked, &mut meter).await.map_err(explain)?;
    meter.begin(download.head().length);
    while let Some(bytes) = display.beside(download.chunk(), &mut meter).await.map_err(explain)? {
        if !stream.write(&bytes)? {
            return Ok(());
        }
        meter.add(bytes.len() as u64);
    }
    if let Some(warning) = download.warning() {
        say(&warned(id, warning));
    }
    stream.finish()?;
    meter.end();
    display.look_at(&mut meter);
    Ok(())
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
