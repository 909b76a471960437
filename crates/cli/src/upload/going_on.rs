//! Going on from where an earlier run was.

use partwise::{Error, UnfinishedUpload, Upload, UploadSubject};
use partwise_protocol::{
    error::ApiErrorKind,
    operations::OperationId,
    upload::{Checkpoint, Plan, ResumeError, UploadError},
};

use super::open;
use crate::{
    account::unknown_upload,
    args::{RouteName, UploadArguments},
    connect::Connected,
    report::{Report, START_OVER},
    screen::say,
    size::share,
    unfinished::{directory, unusable},
    uploads::now,
};

/// Makes sure that no other run works on the same upload. `None` when the service ends with this process, so that there
/// is nothing to go on from.
pub(super) async fn enter(
    arguments: &UploadArguments,
    plan: &Plan,
    connected: &Connected,
) -> Result<Option<UnfinishedUpload>, Report> {
    if !connected.is_lasting {
        return Ok(None);
    }
    let subject = UploadSubject::of_file(&arguments.file, plan, &connected.client)
        .map_err(|cause| Report::because(format!("cannot read {}", arguments.file.display()), &cause))?;
    let entered = directory(arguments.state.state.as_deref())?.enter(&subject).await;
    entered.map(Some).map_err(|error| unusable(&error))
}

/// The rest of what an earlier run began, or all of it.
pub(super) async fn prepare(
    arguments: &UploadArguments,
    plan: Plan,
    connected: &Connected,
    entry: Option<&UnfinishedUpload>,
) -> Result<Upload, Report> {
    let saved = match entry.map(UnfinishedUpload::load).transpose() {
        Ok(saved) => saved.flatten(),
        // Whatever stands there, it is not asked for.
        Err(_) if arguments.no_resume => None,
        Err(cause) => return Err(not_gone_on_with(&cause)),
    };
    if let (Some(saved), Some(entry)) = (saved, entry) {
        if arguments.no_resume || (arguments.send_again && saved.may_have_made_a_file()) {
            say_left(&saved);
        } else {
            let resumed = resume(arguments, plan.clone(), connected, saved).await?;
            if let Some(upload) = resumed {
                entry.take_over();
                return Ok(upload);
            }
        }
    }
    connected
        .client
        .upload_as(plan, open(arguments)?)
        .prepare()
        .await
        .map_err(|error| explained(arguments, connected, &error))
}

/// The upload from where it was; `None` when the file is another by now, and nothing was made of what it was.
async fn resume(
    arguments: &UploadArguments,
    mut plan: Plan,
    connected: &Connected,
    saved: Checkpoint,
) -> Result<Option<Upload>, Report> {
    // One that has expired since is as if it had never been.
    plan.restart_when_expired = true;
    match connected.client.upload_as(plan, open(arguments)?).resume(saved.clone()).prepare().await {
        Ok(upload) => {
            fits(arguments, &saved)?;
            say(&resuming(&saved));
            Ok(Some(upload))
        }
        // What was sent cannot be looked for without its content, and starting over might make a second file.
        Err(Error::Resume(ResumeError::SourceChanged { difference })) if saved.may_have_made_a_file() => {
            Err(explained(arguments, connected, &Error::AmbiguousCheckpoint { difference }))
        }
        Err(Error::Resume(ResumeError::SourceChanged { difference })) => {
            say(&format!(
                "the file has changed since an earlier run began to upload it ({difference}): starting over"
            ));
            say_left(&saved);
            Ok(None)
        }
        Err(Error::Resume(cause)) => Err(not_gone_on_with(&cause)),
        Err(error) => Err(explained(arguments, connected, &error)),
    }
}

/// What the upload that nobody goes on with leaves on the service.
fn say_left(saved: &Checkpoint) {
    match saved.upload_id() {
        _ if saved.may_have_made_a_file() => {
            say("an earlier run may have made a file already: `partwise files list` shows it");
        }
        Some(id) => say(&format!("{id}, which an earlier run began, is left to expire on the service")),
        None => {}
    }
}

/// What went wrong with the upload.
pub(super) fn explained(arguments: &UploadArguments, connected: &Connected, error: &Error) -> Report {
    connected.explain.report(&format!("cannot upload {}", arguments.file.display()), error)
}

fn not_gone_on_with(cause: &(dyn std::error::Error + 'static)) -> Report {
    Report::because("cannot go on with the upload that an earlier run began", cause).hint(START_OVER)
}

/// What was asked for explicitly must not be silently ignored.
fn fits(arguments: &UploadArguments, saved: &Checkpoint) -> Result<(), Report> {
    let refused = |how: &str| {
        Err(Report::failed(format!("an earlier run began to upload this file {how}"))
            .hint(format!("without that flag it is gone on with; {START_OVER}")))
    };
    match saved.is_in_parts() {
        true if arguments.route == Some(RouteName::Single) => refused("in parts, not as --route single"),
        false if arguments.route == Some(RouteName::Parts) => refused("in one request, not as --route parts"),
        false if arguments.md5 => refused("in one request, which takes no --md5"),
        _ => Ok(()),
    }
}

fn resuming(saved: &Checkpoint) -> String {
    match saved.upload_id() {
        Some(id) => {
            format!("resuming {id}: {} are stored", share(saved.acknowledged()))
        }
        None => "an earlier run may have sent this file: looking for it on the service first".into(),
    }
}

/// The report of a run that was asked to stop.
pub(super) fn stopped(arguments: &UploadArguments, entry: Option<&UnfinishedUpload>) -> Report {
    let name = arguments.file.display();
    let saved = left(entry);
    if saved.as_ref().is_some_and(Checkpoint::may_have_made_a_file) {
        return Report::stopped(format!("it is not known whether {name} is a file on the service by now"))
            .hint("the same command looks for it before it sends anything again");
    }
    let Some((saved, id)) = saved.as_ref().and_then(|saved| Some((saved, saved.upload_id()?))) else {
        return Report::stopped(format!("nothing of {name} was stored; the next run starts over"));
    };
    let until = saved.expires_at().map(|moment| minutes_until(moment.0)).unwrap_or_default();
    Report::stopped(format!("{} of {name} are on the service", share(saved.acknowledged()))).hint(format!(
        "the same command resumes from there{until}; `partwise uploads cancel {id}` gives it up"
    ))
}

/// The report of a run that did not even wait for the service to be told.
pub(super) fn given_up(arguments: &UploadArguments) -> Report {
    let name = arguments.file.display();
    Report::failed(format!(
        "the upload of {name} was given up, and it is not known whether the service heard of it"
    ))
    .hint("`partwise uploads list` shows what is unfinished, and `partwise uploads cancel` ends it")
}

/// The report of a run that failed, with what can be done about it. `resumed` is the upload of an earlier run that it
/// resumed.
pub(super) fn after(
    report: Report,
    error: &Error,
    entry: Option<&UnfinishedUpload>,
    resumed: Option<&str>,
    connected: &Connected,
) -> Report {
    let Some(saved) = left(entry) else { return report };
    match error {
        Error::Upload(cause) if resumed.is_some() && resumed == saved.upload_id() && is_unknown(cause) => {
            let rejection = error
                .rejection()
                .map(|rejection| unknown_upload(saved.account(), rejection, &connected.sent));
            report.maybe_hint(rejection).also_hint("--no-resume starts over".into())
        }
        Error::Upload(cause) if matches!(**cause, UploadError::Cancelled { .. }) => match saved.upload_id() {
            Some(id) => report.also_hint(format!("`partwise uploads cancel {id}` tells the service")),
            None => report,
        },
        // The endpoint that the redirect names is another service, where nothing is to resume.
        _ if error.rejection().is_some_and(|refusal| refusal.redirect.is_some()) => report,
        // The same parts would be too large again.
        _ if error.rejection().is_some_and(|refusal| refusal.kind() == ApiErrorKind::TooLarge) => report,
        Error::Upload(cause) if matches!(**cause, UploadError::Unproven { file: None, .. }) => report,
        Error::Upload(cause) if is_rejected_complete(cause) => report.also_hint(
            "the same command completes the upload again, --no-resume uploads the file again".into(),
        ),
        _ if saved.may_have_made_a_file() => {
            report.also_hint("the same command looks for the file again".into())
        }
        _ => report.also_hint(format!("the same command goes on from where it was; {START_OVER}")),
    }
}

/// Forgets an upload whose file was adopted.
pub(super) async fn forget(entry: &UnfinishedUpload) -> Result<(), Report> {
    let forgotten = entry.forget().await;
    forgotten.map_err(|cause| Report::because("cannot remove the checkpoint of the upload", &cause))
}

/// Whether the service says that it has no such upload, and not that it is over.
fn is_unknown(cause: &UploadError) -> bool {
    match cause {
        UploadError::Rejected {
            operation: OperationId::AddUploadPart | OperationId::CompleteUpload,
            source,
        } => source.kind() == ApiErrorKind::NotFound && source.is_of_the_api(),
        _ => false,
    }
}

fn is_rejected_complete(cause: &UploadError) -> bool {
    matches!(cause, UploadError::Rejected { operation: OperationId::CompleteUpload, .. })
}

fn left(entry: Option<&UnfinishedUpload>) -> Option<Checkpoint> {
    // One that cannot be read is told of by the next run.
    entry?.load().ok()?
}

/// How long that is from now, roughly: the service's clock may be another.
fn minutes_until(moment: u64) -> String {
    match moment.saturating_sub(now()) / 60 {
        0 => String::new(),
        minutes => format!(" within {minutes} min"),
    }
}
