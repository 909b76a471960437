//! `partwise files download`.

mod destination;
mod whole;

use partwise_protocol::{download::DownloadWarning, operations::DownloadFile};

use self::destination::{Destination, Stream};
use crate::{
    args::DownloadArguments,
    connect::{Connected, Connection},
    environment::Environment,
    interrupt,
    progress::{Direction, Display, Metered},
    report::Report,
    screen::say,
};

/// Writes a file's content to where it is wanted.
pub(crate) async fn run(
    arguments: &DownloadArguments,
    connection: Connection<'_, impl Environment>,
) -> Result<(), Report> {
    let connected = connection.connect().await?;
    match Destination::at(&arguments.output)? {
        Destination::Stream(stream) => pass_on(arguments, stream, &connected).await,
        Destination::File => Box::pin(whole::download(arguments, &connected)).await,
    }
}

fn cannot(id: &str) -> String {
    format!("cannot download {id}")
}

/// Writes the bytes as they come. A signal ends the process at once, also while nobody reads what is written.
async fn pass_on(
    arguments: &DownloadArguments,
    mut stream: Stream,
    connected: &Connected,
) -> Result<(), Report> {
    let id = &arguments.id;
    let mode = arguments.progress.progress;
    let mode = if stream.is_terminal() { mode.with_content_on_terminal() } else { mode };
    let display = Display::new(mode, Direction::Download, id, false);
    if display.is_bar() {
        tokio::spawn(interrupt::end_cleared());
    }
    let metered = Metered::new(display);
    let explain = |error| connected.explain.report(&cannot(id), &error);
    let operation = DownloadFile::new(id);
    let asked = connected.client.download(&operation).into_future();
    let mut download = metered.waiting(asked).await.map_err(explain)?;
    metered.begin(download.head().length);
    while let Some(bytes) = metered.waiting(download.chunk()).await.map_err(explain)? {
        if !stream.write(&bytes)? {
            return Ok(());
        }
        metered.add(bytes.len() as u64);
    }
    if let Some(warning) = download.warning() {
        say(&warned(id, warning));
    }
    metered.end();
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
