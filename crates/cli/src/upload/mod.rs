//! `partwise upload`.

mod adopt;
mod going_on;
mod interruption;
mod shown;
mod stats;

use std::{error::Error as StdError, time::Instant};

use partwise::{Error, FileSource, UnfinishedUpload, Upload, mime_type};
use partwise_models::File;
use partwise_protocol::{
    retry::RetryPolicy,
    upload::{Parallel, Plan, RouteChoice, UploadError},
};

use self::stats::Stats;
use crate::{
    args::{RouteName, UploadArguments},
    connect::{Connected, Connection},
    environment::Environment,
    interrupt::Signals,
    output::Output,
    progress::{Direction, Display},
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
    // From here on, a signal ends nothing half-way.
    let signals = Signals::listen()?;
    // A file that cannot be read is told of before a key that is missing.
    open(arguments)?;
    let connected = connection.connect().await?;
    let entry = going_on::enter(arguments, &plan, &connected).await?;
    if let Some(id) = &arguments.adopt {
        let file = adopt::adopt(arguments, id, &plan, &connected, entry.as_ref(), signals).await?;
        print(arguments, Ok(file), None)?;
        if let Some(entry) = &entry {
            going_on::forget(entry).await?;
        }
        return Ok(());
    }
    let upload = going_on::prepare(arguments, plan, &connected, entry.as_ref()).await?;
    let (progress, begin) = (upload.progress(), Instant::now());
    let sent = send(arguments, upload, signals, &connected, entry.as_ref()).await;
    let stats = arguments.stats.then(|| Stats::new(progress.borrow().statistics, begin.elapsed()));
    if let (Ok(file), Some(proof)) = (&sent, progress.borrow().proof) {
        shown::say_proof(file, proof);
    }
    print(arguments, sent, stats)?;
    if let Some(entry) = &entry {
        // Not before: who was killed without having been told of the file is told by the next run.
        entry.close().await;
    }
    let mut signals = Signals::listen()?;
    tokio::select! {
        () = connected.sweep() => {}
        // What is left over does no harm, and the next command finds it.
        () = signals.next() => {}
    }
    Ok(())
}

/// Prints the file if there is one, and what it took in any case.
fn print(
    arguments: &UploadArguments,
    sent: Result<File, Report>,
    stats: Option<Stats>,
) -> Result<(), Report> {
    let (mut output, json) = (Output::stdout(), arguments.output.json);
    let printed = sent.and_then(|file| if json { output.json(&file) } else { output.file(&file) });
    let told = stats.map_or(Ok(()), |stats| stats.print(&mut output, json));
    printed.and(told)
}

fn plan(arguments: &UploadArguments) -> Result<Plan, Report> {
    let name = arguments.file.file_name().unwrap_or_default();
    let name = name.to_str().ok_or_else(|| {
        let path = arguments.file.display();
        Report::usage(format!("the name of {path} is not valid UTF-8, and the service takes no other"))
            .hint("rename the file, or upload a link to it that has another name")
    })?;
    let mime_type = arguments.mime_type.as_deref().unwrap_or_else(|| mime_type(&arguments.file));
    let purpose = arguments.purpose.resolve_for(name, "rename it")?;
    let mut plan = Plan::new(name, mime_type, purpose);
    plan.parallel = arguments.parallel.map_or_else(Parallel::default, Parallel::Fixed);
    plan.part_size = arguments.part_size;
    plan.retry = Some(RetryPolicy::default().give_up_after(arguments.give_up_after));
    plan.md5 = arguments.md5;
    plan.route = match arguments.route {
        None => RouteChoice::Automatic,
        Some(RouteName::Parts) => RouteChoice::Parts,
        Some(RouteName::Single) => RouteChoice::Single,
    };
    Ok(plan)
}

fn open(arguments: &UploadArguments) -> Result<FileSource, Report> {
    FileSource::open(&arguments.file).map_err(|cause| {
        let report = Report::of(&cause);
        match arguments.file.to_str() {
            Some("-") => report.hint("standard input cannot be uploaded: write it to a file first"),
            _ => report,
        }
    })
}

async fn send(
    arguments: &UploadArguments,
    mut upload: Upload,
    signals: Signals,
    connected: &Connected,
    entry: Option<&UnfinishedUpload>,
) -> Result<File, Report> {
    if let Some(entry) = entry {
        upload = upload.save_to(entry.store());
    }
    let began = upload.progress().borrow().clone();
    // A name is UTF-8, as the plan has made sure.
    let name = arguments.file.file_name().unwrap_or_default().to_string_lossy();
    let mut display = Display::new(arguments.progress.progress, Direction::Upload, &name, entry.is_some());
    let (upload, heed) = interruption::heeded(upload, signals);
    let resumed = began.upload_id.clone();
    let mut events = shown::Events::new(began, arguments.parallel, &connected.notices);
    let shown = display.follow(upload.progress(), |now| events.tell(now));
    let sent = tokio::select! {
        ((), sent) = async { tokio::join!(shown, upload.run()) } => sent,
        () = heed => {
            drop(display);
            return Err(going_on::given_up(arguments));
        }
    };
    drop(display);
    let error = match sent {
        Ok(file) => return Ok(file),
        Err(error) => error,
    };
    if let Some(entry) = entry {
        entry.close().await;
    }
    match error {
        Error::Upload(error) if matches!(*error, UploadError::Stopped { .. }) => {
            Err(going_on::stopped(arguments, entry).maybe_cause(error.source()))
        }
        // The same command continues, once the service can be reached.
        Error::Upload(error) if matches!(*error, UploadError::Away { .. }) => {
            // The last attempt's own words say again that the service could not be reached.
            let last = error.source().and_then(StdError::source);
            Err(going_on::stopped(arguments, entry).also(&error.to_string()).maybe_cause(last))
        }
        error => {
            // The file is there, and its object says what is wrong with it.
            if let Error::Upload(error) = &error {
                if let UploadError::ContentRejected { file } = &**error {
                    print(arguments, Ok((**file).clone()), None)?;
                }
            }
            let report = going_on::explained(arguments, connected, &error);
            Err(going_on::after(report, &error, entry, resumed.as_deref(), connected))
        }
    }
}
