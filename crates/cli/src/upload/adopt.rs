//! `--adopt`: takes a file of the service for an upload whose outcome is unknown.

use std::{io, time::Duration};

use partwise::{FileSource, Source, UnfinishedUpload};
use partwise_models::{File, FileState};
use partwise_protocol::{
    operations::RetrieveFile,
    upload::{Comparison, Plan, SourceStamp},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::open;
use crate::{args::UploadArguments, connect::Connected, interrupt::Signals, report::Report, screen::say};

const SEND_AGAIN: &str = "--send-again uploads the file again instead";

/// The file with this identifier, once all that can be compared is the same: name, size, purpose, and the content where
/// the service serves it. A signal stops the comparison.
pub(super) async fn adopt(
    arguments: &UploadArguments,
    id: &str,
    plan: &Plan,
    connected: &Connected,
    entry: Option<&UnfinishedUpload>,
    mut signals: Signals,
) -> Result<File, Report> {
    let name = arguments.file.display();
    let what = format!("cannot adopt {id} for {name}");
    if let Some(entry) = entry {
        refuse_if_no_file(entry, &what)?;
    }
    tokio::select! {
        adopted = compared(arguments, id, plan, connected, &what) => adopted,
        () = signals.next() => {
            Err(Report::stopped(format!("{id} was not compared with {name} to its end, and is not adopted"))
                .hint("the same command compares them again"))
        }
    }
}

/// Refuses to adopt a file for an upload that has made none: its checkpoint would be lost for a file of something else.
fn refuse_if_no_file(entry: &UnfinishedUpload, what: &str) -> Result<(), Report> {
    let saved = entry.load().map_err(|cause| {
        Report::because(format!("{what}: its checkpoint cannot be read"), &cause).hint(
            "`partwise uploads list` shows its ID, and `partwise uploads cancel ID` forgets it, then --adopt",
        )
    })?;
    let Some(saved) = saved.filter(|saved| !saved.may_have_made_a_file()) else { return Ok(()) };
    let upload = saved.upload_id().unwrap_or("an upload");
    let report = Report::failed(format!(
        "{what}: an earlier run began to upload it as {upload}, and that upload has made no file"
    ));
    Err(report.hint(format!(
        "without --adopt the same command resumes it; `partwise uploads cancel {upload}` ends it, then --adopt"
    )))
}

async fn compared(
    arguments: &UploadArguments,
    id: &str,
    plan: &Plan,
    connected: &Connected,
    what: &str,
) -> Result<File, Report> {
    let explained = |error| connected.explain.report(what, &error);
    let source = open(arguments)?;
    let file = connected.client.call(&RetrieveFile::new(id)).await.map_err(explained)?;
    let length = arguments.file.metadata().map_err(|cause| Report::because(what, &cause))?.len();
    if let Some(difference) = difference(&file, plan, length) {
        return Err(Report::failed(format!("{what}: {difference}")));
    }
    let same = same(&file);
    let furthest = watch::Sender::new(0);
    let watched = Watched { source, furthest: furthest.clone() };
    let comparing = Box::pin(connected.client.compare(id, watched));
    let comparison = while_growing(comparing, furthest.subscribe(), plan.compare_limit).await;
    match comparison.unwrap_or(Ok(Comparison::Unknown)).map_err(explained)? {
        Comparison::Equal => {
            say(&format!("{id} has the same {}", listed(&[&same[..], &["content"]].concat())));
        }
        Comparison::NotServed if same.is_empty() => {
            let unknown =
                "the service says neither its name, size nor purpose, and does not serve its content";
            return Err(Report::failed(format!("{what}: {unknown}")).hint(SEND_AGAIN));
        }
        Comparison::NotServed => say(&format!(
            "{id} has the same {}; the service does not serve its content, so that was not compared",
            listed(&same)
        )),
        Comparison::Different => return Err(Report::failed(format!("{what}: its content is another"))),
        Comparison::Unknown => {
            return Err(Report::failed(format!("{what}: its content could not be read to its end"))
                .hint(format!("try again; {SEND_AGAIN}")));
        }
    }
    Ok(file)
}

/// What shows that the file is another one, if anything does.
fn difference(file: &File, plan: &Plan, length: u64) -> Option<String> {
    if file.status == Some(FileState::Error) {
        let details = file.status_details.as_deref().unwrap_or("it does not say why");
        return Some(format!("the service rejected its content: {details}"));
    }
    if let Some(bytes) = file.bytes.filter(|bytes| *bytes != length) {
        return Some(format!("it has {bytes} bytes, and the file has {length}"));
    }
    if let Some(name) = file.filename.as_deref().filter(|name| *name != plan.filename) {
        return Some(format!("its name is {name}"));
    }
    let purpose = file.purpose.as_ref().filter(|purpose| **purpose != plan.purpose)?;
    Some(format!("its purpose is {purpose}"))
}

/// The properties that the service tells of a file without a [`difference`].
fn same(file: &File) -> Vec<&'static str> {
    let known = [
        ("name", file.filename.is_some()),
        ("size", file.bytes.is_some()),
        ("purpose", file.purpose.is_some()),
    ];
    known.into_iter().filter_map(|(name, is_known)| is_known.then_some(name)).collect()
}

/// Words as a sentence lists them: `name, size and content`.
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [words @ .., last] => format!("{} and {last}", words.join(", ")),
    }
}

/// A source that tells how far it was read: a comparison reads it only as far as the service's content came.
struct Watched {
    source: FileSource,
    furthest: watch::Sender<u64>,
}

impl Source for Watched {
    fn stamp(&self) -> io::Result<SourceStamp> {
        self.source.stamp()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read_at(offset, buffer)?;
        let end = offset.saturating_add(count as u64);
        self.furthest.send_if_modified(|furthest| {
            let grows = end > *furthest;
            *furthest = end.max(*furthest);
            grows
        });
        Ok(count)
    }
}

/// The future's result; `None` once the number has not grown for as long as `limit`.
async fn while_growing<T>(
    mut comparing: impl Future<Output = T> + Unpin,
    mut furthest: watch::Receiver<u64>,
    limit: Duration,
) -> Option<T> {
    loop {
        let deadline = Instant::now() + limit;
        tokio::select! {
            biased;
            compared = &mut comparing => return Some(compared),
            grown = timeout_at(deadline, furthest.changed()) => match grown {
                Ok(Ok(())) => {}
                // The source is read no more.
                Ok(Err(_)) => return timeout_at(deadline, comparing).await.ok(),
                Err(_) => return None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(900);

    #[tokio::test(start_paused = true)]
    async fn a_comparison_that_grows_has_no_limit() {
        let furthest = watch::Sender::new(0);
        let receiver = furthest.subscribe();
        let slow = async move {
            for at in 1..10 {
                sleep(LIMIT * 2 / 3).await;
                furthest.send_replace(at);
            }
            sleep(LIMIT * 2 / 3).await;
        };
        assert_eq!(while_growing(Box::pin(slow), receiver, LIMIT).await, Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_comparison_that_stands_still_is_given_up() {
        let furthest = watch::Sender::new(0);
        assert_eq!(while_growing(pending::<()>(), furthest.subscribe(), LIMIT).await, None);
        let receiver = furthest.subscribe();
        drop(furthest);
        assert_eq!(while_growing(pending::<()>(), receiver, LIMIT).await, None);
    }

    #[test]
    fn words_are_listed_as_in_a_sentence() {
        assert_eq!(listed(&["content"]), "content");
        assert_eq!(listed(&["name", "content"]), "name and content");
        assert_eq!(listed(&["name", "size", "content"]), "name, size and content");
    }
}
