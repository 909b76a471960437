//! `partwise upload`.

use std::io::Write as _;

use partwise_models::File;
use partwise_protocol::{Plan, Progress, RouteChoice, Warning};
use partwise_transport_hyper::FileSource;
use tokio::sync::watch;

use crate::{
    args::{RouteName, UploadArguments},
    connect::{Connected, Connection},
    environment::Environment,
    interrupt::Signals,
    mime,
    output::Output,
    progress::Bar,
    report::Report,
    size::Human,
};

/// Uploads one file and prints the stored object.
pub(crate) async fn run(
    arguments: &UploadArguments,
    connection: Connection<'_, impl Environment>,
) -> Result<(), Report> {
    let plan = plan(arguments)?;
    let limit = connection.api().limits().part;
    if let Some(size) = arguments.part_size.filter(|size| *size > limit) {
        let (size, limit, dialect) = (Human(size), Human(limit), connection.api().dialect());
        return Err(Report::usage(format!(
            "--part-size: {dialect} takes parts of at most {limit}, and this is {size}"
        )));
    }
    let source = FileSource::open(&arguments.file).map_err(|cause| unreadable(arguments, &cause))?;
    let connected = connection.connect().await?;
    let file = send(arguments, source, plan, &connected).await?;
    connected.sweep().await;
    let mut output = Output::stdout();
    if arguments.output.json { output.json(&file) } else { output.file(&file) }
}

fn plan(arguments: &UploadArguments) -> Result<Plan, Report> {
    let name = arguments.file.file_name().unwrap_or_default();
    let name = name.to_str().ok_or_else(|| {
        let path = arguments.file.display();
        Report::usage(format!("the name of {path} is not valid UTF-8, and the service takes no other"))
            .hint("rename the file, or upload a link to it that has another name")
    })?;
    let mime_type = arguments.mime_type.as_deref().unwrap_or_else(|| mime::guess(&arguments.file));
    let mut plan = Plan::new(name, mime_type, arguments.purpose.resolve()?);
    plan.parallel = arguments.parallel;
    plan.part_size = arguments.part_size;
    plan.md5 = arguments.md5;
    plan.route = match arguments.route {
        None => RouteChoice::Automatic,
        Some(RouteName::Parts) => RouteChoice::Parts,
        Some(RouteName::Single) => RouteChoice::Single,
    };
    Ok(plan)
}

fn unreadable(arguments: &UploadArguments, cause: &std::io::Error) -> Report {
    let report = Report::of(cause);
    match arguments.file.to_str() {
        Some("-") => report.hint("standard input cannot be uploaded: write it to a file first"),
        _ => report,
    }
}

async fn send(
    arguments: &UploadArguments,
    source: FileSource,
    plan: Plan,
    connected: &Connected,
) -> Result<File, Report> {
    let what = format!("cannot upload {}", arguments.file.display());
    let explain = |error| connected.explain.report(&what, &error);
    let (first, second) = Signals::listen()?.stages();
    let upload = connected.client.prepare(source, plan).await.map_err(explain)?.cancel_when(first);
    let shown = show(upload.progress(), arguments.file.display().to_string());
    tokio::select! {
        // The bar is gone before anything else is written.
        (sent, ()) = async { tokio::join!(upload.run(), shown) } => sent.map_err(explain),
        () = second => Err(Report::failed(format!("{what}: interrupted"))
            .hint("what the service has of it expires there by itself")),
    }
}

/// Shows how far the upload is until its channel closes.
async fn show(mut progress: watch::Receiver<Progress>, name: String) {
    let bar = Bar::new(&name, Some(progress.borrow().bytes_total));
    let mut warned = false;
    while progress.changed().await.is_ok() {
        let now = progress.borrow_and_update().clone();
        bar.set(now.bytes_acknowledged + now.bytes_in_flight);
        let retries = now.statistics.retries.total;
        if retries > 0 {
            bar.name(format!("{name} ({retries} sent again)"));
        }
        if let (Some(Warning::TooSlow { needed, left }), false) = (now.warning, warned) {
            warned = true;
            bar.suspended(|| warn_too_slow(needed.as_secs(), left.as_secs()));
        }
    }
}

fn warn_too_slow(needed: u64, left: u64) {
    // When standard error is gone there is nobody to warn.
    let _ = writeln!(
        std::io::stderr(),
        "warning: at this rate the rest takes {needed} s, but the service gives the upload only {left} s more"
    );
}
