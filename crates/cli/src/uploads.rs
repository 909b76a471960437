//! `partwise uploads list` and `cancel`.

use std::time::{SystemTime, UNIX_EPOCH};

use partwise::{FoundUpload, UnfinishedUpload};
use partwise_models::{UnixSeconds, UploadStatus};
use partwise_protocol::{
    error::{ApiError, ApiErrorKind},
    upload::Checkpoint,
};
use serde::Serialize;

use crate::{
    account::unknown_upload,
    args::{UploadsCancelArguments, UploadsListArguments},
    connect::{Connected, Connection},
    environment::Environment,
    output::Output,
    report::{Report, one_line},
    screen::say,
    size::share,
    unfinished::{directory, unusable},
};

/// Prints what is unfinished here.
pub(crate) fn list(arguments: &UploadsListArguments) -> Result<(), Report> {
    let found = directory(arguments.state.state.as_deref())?.list().map_err(|error| unusable(&error))?;
    let mut output = Output::stdout();
    if arguments.json {
        return found.iter().try_for_each(|found| output.json(&Listed::of(found)));
    }
    if found.is_empty() {
        // Said to people alone; when they are gone it is not said.
        say("nothing is unfinished");
        return Ok(());
    }
    let heading = ["ID", "STATE", "SENT", "EXPIRES", "FILE", "SERVICE"].map(str::to_owned);
    let rows = found.iter().map(|found| Listed::of(found).row(now()));
    output.aligned(&std::iter::once(heading).chain(rows).collect::<Vec<_>>(), None)
}

/// One unfinished upload, as it is printed.
#[derive(Debug, Serialize)]
struct Listed {
    id: String,
    file: Option<String>,
    running: bool,
    #[serde(flatten)]
    known: Option<Known>,
    /// Why its checkpoint cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// What its checkpoint says.
#[derive(Debug, Serialize)]
struct Known {
    place: String,
    bytes: u64,
    bytes_acknowledged: u64,
    expires_at: Option<UnixSeconds>,
}

impl Known {
    fn of(checkpoint: &Checkpoint) -> Self {
        let (bytes_acknowledged, bytes) = checkpoint.acknowledged();
        let expires_at = checkpoint.expires_at();
        Self { place: checkpoint.place().to_owned(), bytes, bytes_acknowledged, expires_at }
    }
}

impl Listed {
    fn of(found: &FoundUpload) -> Self {
        Self {
            id: found.id(),
            file: found.file.clone(),
            running: found.is_running,
            known: found.checkpoint.as_ref().ok().map(Known::of),
            problem: found.checkpoint.as_ref().err().cloned(),
        }
    }

    fn row(self, now: u64) -> [String; 6] {
        let state = match (self.running, &self.problem) {
            (true, _) => "running",
            (false, None) => "unfinished",
            (false, Some(_)) => "unreadable",
        };
        let dash = || "-".to_owned();
        let (sent, expires, place) = match self.known {
            None => (dash(), dash(), dash()),
            Some(known) => (
                share((known.bytes_acknowledged, known.bytes)),
                known.expires_at.map_or_else(dash, |moment| remaining(moment.0, now)),
                known.place,
            ),
        };
        [self.id, state.into(), sent, expires, self.file.unwrap_or_else(dash), place]
            .map(|cell| one_line(&cell))
    }
}

/// How long it has, by our clock; the service's may be another.
fn remaining(moment: u64, now: u64) -> String {
    match moment.checked_sub(now) {
        None | Some(0) => "expired".into(),
        Some(left) if left < 60 => format!("in {left} s"),
        Some(left) if left < 2 * 3600 => format!("in {} min", left / 60),
        Some(left) => format!("in {} h", left / 3600),
    }
}

/// Our clock, in seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

/// Cancels one upload on the service, and forgets it here.
pub(crate) async fn cancel(
    arguments: &UploadsCancelArguments,
    connection: Connection<'_, impl Environment>,
) -> Result<(), Report> {
    let unfinished = directory(arguments.state.state.as_deref())?;
    let id = &arguments.id;
    let listed = unfinished.list().map_err(|error| unusable(&error))?;
    let found = listed.into_iter().find(|found| found.id() == *id);
    let entry = match &found {
        Some(found) => match unfinished.enter_found(found).await.map_err(|error| unusable(&error))? {
            None => {
                return Err(Report::failed(format!("another run of partwise is at work on {id}"))
                    .hint("stop it there first; Ctrl-C twice cancels it too"));
            }
            entry => entry,
        },
        None if FoundUpload::is_local_id(id) => {
            return Err(Report::failed(format!("nothing here is called {id}"))
                .hint("`partwise uploads list` shows what is unfinished"));
        }
        None => None,
    };
    let Some(entry) = entry else { return cancel_there(arguments, &connection.connect().await?).await };
    // What was listed before it was locked may be another by now.
    match entry.load() {
        Ok(Some(saved)) if saved.upload_id() == Some(id) => {
            cancel_found(arguments, &connection.connect().await?, &entry, &saved).await
        }
        Ok(Some(saved)) if saved.upload_id().is_none() && FoundUpload::is_local_id(id) => {
            let left = "a file may have been made of it anyway: `partwise files list` shows it";
            forget_with_word(&entry, id, left).await
        }
        Ok(_) => Err(Report::failed(format!("{id} is not unfinished any more"))),
        Err(_) => forget_with_word(&entry, id, "what it may have left on the service expires there").await,
    }
}

async fn cancel_found(
    arguments: &UploadsCancelArguments,
    connected: &Connected,
    entry: &UnfinishedUpload,
    saved: &Checkpoint,
) -> Result<(), Report> {
    let (id, api) = (&arguments.id, connected.client.api());
    if !saved.is_of(api) {
        return Err(Report::failed(format!(
            "{id} is at {}, and this command speaks to {} ({})",
            saved.service(),
            api.identity(),
            api.dialect()
        ))
        .hint("name that service: --provider, --endpoint and --api-version, or --local with its --store"));
    }
    let error = match connected.client.cancel_upload(id).await {
        Ok(upload) => {
            forget(entry).await?;
            return print(arguments, &upload);
        }
        Err(error) => error,
    };
    let Some(rejection) = error.rejection() else { return Err(explained(id, connected, &error)) };
    let is_over = says_over(rejection, saved);
    match rejection.kind() {
        ApiErrorKind::NotFound | ApiErrorKind::Invalid if saved.may_have_made_a_file() => {
            Err(explained(id, connected, &error)
                .hint("it may have been completed: the same `partwise upload` finds its file"))
        }
        ApiErrorKind::NotFound | ApiErrorKind::Invalid if is_over => {
            forget_with_word(entry, id, "the service does not have it any more").await
        }
        ApiErrorKind::NotFound => {
            let whose = unknown_upload(saved.account(), rejection, &connected.sent);
            Err(explained(id, connected, &error)
                .hint(format!("{whose}; when it has expired, the same command forgets it here")))
        }
        _ => Err(explained(id, connected, &error)),
    }
}

/// Whether the service's answer to a cancel says that the upload is over: in words, or with a 404 after the expiry by the
/// service's clock. This machine's clock may be wrong, and does not count.
fn says_over(rejection: &ApiError, saved: &Checkpoint) -> bool {
    match rejection.upload_status() {
        Some(status) => matches!(status, UploadStatus::Expired | UploadStatus::Cancelled),
        None => {
            rejection.kind() == ApiErrorKind::NotFound
                && rejection.date.zip(saved.expires_at()).is_some_and(|(date, expiry)| date >= expiry)
        }
    }
}

/// Forgets one that there is no object of to print: what is said is for people alone.
async fn forget_with_word(entry: &UnfinishedUpload, id: &str, word: &str) -> Result<(), Report> {
    forget(entry).await?;
    say(&format!("{id} is forgotten here; {word}"));
    Ok(())
}

/// One that is not known here may be another machine's.
async fn cancel_there(arguments: &UploadsCancelArguments, connected: &Connected) -> Result<(), Report> {
    let id = &arguments.id;
    let upload = connected.client.cancel_upload(id).await;
    print(arguments, &upload.map_err(|error| explained(id, connected, &error))?)
}

fn explained(id: &str, connected: &Connected, error: &partwise::Error) -> Report {
    connected.explain.report(&format!("cannot cancel {id}"), error)
}

fn print(arguments: &UploadsCancelArguments, upload: &partwise_models::Upload) -> Result<(), Report> {
    let mut output = Output::stdout();
    if arguments.output.json { output.json(upload) } else { output.upload(upload) }
}

async fn forget(entry: &UnfinishedUpload) -> Result<(), Report> {
    entry.forget().await.map_err(|cause| Report::because("cannot remove its checkpoint", &cause))
}
