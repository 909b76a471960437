//! A whole file: in parallel ranges, from where an earlier run was, under its name when it is complete.

use std::{error::Error as StdError, io, pin::pin};

use partwise::{DownloadEvent, DownloadPathError, Error, PreparedPathDownload};
use partwise_protocol::{
    download::{DownloadCheckpoint, DownloadError, DownloadProgress},
    retry::RetryPolicy,
};
use tokio::sync::watch;

use super::{
    cannot,
    destination::{cannot_write, refused},
    warned,
};
use crate::{
    args::DownloadArguments,
    connect::Connected,
    interrupt::{Signals, pressed_again},
    progress::{Direction, Display},
    report::{Report, START_OVER},
    screen::say,
    size::share,
};

/// Downloads to the path that was given.
pub(super) async fn download(arguments: &DownloadArguments, connected: &Connected) -> Result<(), Report> {
    let (stop, stopped) = watch::channel(false);
    let prepared = prepare(arguments, connected, stopped).await.map_err(|error| refused(&error))?;
    // From here on, a signal ends nothing half-way.
    let mut signals = Signals::listen()?;
    let mut whole = Whole { arguments, connected, download: prepared };
    match until_stopped(Box::pin(whole.run()), async || signals.next().await, &stop).await {
        Some(Ok(())) => whole.download.complete().map_err(|error| refused(&error)),
        Some(Err(ended)) => Err(whole.report(&ended)),
        None => Err(whole.stopped_at_once()),
    }
}

async fn prepare(
    arguments: &DownloadArguments,
    connected: &Connected,
    mut stopped: watch::Receiver<bool>,
) -> Result<PreparedPathDownload, DownloadPathError> {
    let (id, path) = (arguments.id.clone(), arguments.output.display().to_string());
    let mut download = connected
        .client
        .download_file(&arguments.id, &arguments.output)
        .parallel(arguments.parallel)
        .retry(RetryPolicy::default().give_up_after(arguments.give_up_after))
        .stop_when(async move {
            // When nobody listens for signals any more, all is done.
            if stopped.wait_for(|stopped| *stopped).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .on_event(move |event| say_turn(event, &id, &path));
    if arguments.force {
        download = download.replace();
    }
    if arguments.no_resume {
        download = download.start_over();
    }
    download.prepare().await
}

/// Says which turn the download takes.
fn say_turn(event: &DownloadEvent, id: &str, path: &str) {
    match event {
        DownloadEvent::Resuming { written, length } => {
            say(&format!("resuming {id}: {} are written", share((*written, *length))));
        }
        DownloadEvent::NotResumable { cause } => {
            say(&format!(
                "what an earlier run left of {path} cannot be gone on with ({cause}): starting over"
            ));
        }
        DownloadEvent::Changed { error, with_ranges: true } => say(&format!("{error}: starting over")),
        DownloadEvent::Changed { error, with_ranges: false } => {
            say(&format!("{error}: starting over, without ranges"));
        }
        _ => {}
    }
}

/// Runs, and tells of the first signal. The second one waits for nothing: `None`.
async fn until_stopped<T>(
    run: impl Future<Output = T>,
    mut signal: impl AsyncFnMut(),
    stop: &watch::Sender<bool>,
) -> Option<T> {
    let mut run = pin!(run);
    tokio::select! {
        ran = &mut run => return Some(ran),
        () = signal() => stop.send_replace(true),
    };
    tokio::select! {
        ran = run => Some(ran),
        () = pressed_again(signal) => None,
    }
}

struct Whole<'w> {
    arguments: &'w DownloadArguments,
    connected: &'w Connected,
    download: PreparedPathDownload,
}

impl Whole<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        let notices = &self.connected.notices;
        let (id, is_saved) = (&self.arguments.id, self.connected.is_lasting);
        let mode = self.arguments.progress.progress;
        let progress = self.download.progress();
        let mut shown = self.download.progress();
        let showing = async {
            // Nothing is shown before it has begun.
            if shown.changed().await.is_err() {
                return;
            }
            let mut told = 0;
            let mut display = Display::new(mode, Direction::Download, id, is_saved);
            let tell = |now: &DownloadProgress| match now.latest_retry {
                Some(retry) if retry.number > told => {
                    told = retry.number;
                    notices.retry(&retry);
                }
                // It has started over, and counts again.
                None => told = 0,
                Some(_) => {}
            };
            // What came first is told like all that follows.
            shown.mark_changed();
            display.follow(shown, tell).await;
        };
        let ((), received) = tokio::join!(showing, self.download.run());
        if let Some(warning) = progress.borrow().warning {
            say(&warned(&self.arguments.id, warning));
        }
        received.map(|_| ())
    }

    /// What is said of a run that ended before everything was there; what cannot be gone on with is removed.
    fn report(self, error: &Error) -> Report {
        let left = self.left(error);
        let report = self.stop_told(error, left.as_ref()).unwrap_or_else(|| {
            let report = match unwritable(error) {
                Some(cause) => cannot_write(&self.arguments.output.display().to_string(), cause),
                None => self.connected.explain.report(&cannot(&self.arguments.id), error),
            };
            match &left {
                Some(left) => report.also_hint(format!(
                    "{}, and the same command resumes from there; {START_OVER}",
                    self.place(left)
                )),
                None => report,
            }
        });
        if left.is_none() {
            self.download.discard();
        }
        report
    }

    /// What is said of a run that was stopped, or whose service was away for too long: the same command continues.
    fn stop_told(&self, error: &Error, left: Option<&DownloadCheckpoint>) -> Option<Report> {
        let Error::Download(error) = error else { return None };
        let report = match left {
            Some(left) => self.stopped(left),
            None => {
                let id = &self.arguments.id;
                Report::stopped(format!("nothing of {id} can be resumed; the next run starts over"))
            }
        };
        let report = match **error {
            DownloadError::Stopped { .. } => report,
            DownloadError::Away { .. } => report.also(&error.to_string()),
            _ => return None,
        };
        Some(report.maybe_cause(error.source()))
    }

    /// What is said when nothing more is waited for: what came last may not be in the journal, and may still be written.
    fn stopped_at_once(&self) -> Report {
        let saved = self.download.last_checkpoint().ok().flatten().filter(|_| self.connected.is_lasting);
        match saved {
            Some(saved) => self.stopped(&saved),
            None => Report::stopped(format!("what has come of {} is not known", self.arguments.id)),
        }
    }

    fn stopped(&self, left: &DownloadCheckpoint) -> Report {
        Report::stopped(self.place(left)).hint(format!("the same command resumes from there; {START_OVER}"))
    }

    /// How much there is, and where.
    fn place(&self, left: &DownloadCheckpoint) -> String {
        let (there, path) = (share(left.written()), self.download.partial_path().display());
        format!("{there} of {} are in {path}", self.arguments.id)
    }

    /// What the next run can go on from.
    fn left(&self, error: &Error) -> Option<DownloadCheckpoint> {
        let is_resumable = match error {
            // A run that saved nothing leaves what an earlier one saved.
            Error::Download(error) => DownloadError::is_resumable(error),
            _ => true,
        };
        // One that cannot be read is told of by the next run.
        let saved = self.download.last_checkpoint().ok()?;
        saved.filter(|_| is_resumable && self.connected.is_lasting)
    }
}

/// What the target, or the journal beside it, could not be written for.
fn unwritable(error: &Error) -> Option<&io::Error> {
    match error {
        Error::Target(cause) => Some(cause),
        Error::Download(error) => match &**error {
            DownloadError::Save(error) => error.source()?.downcast_ref(),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use tokio::time::sleep;

    use super::*;

    #[test]
    fn a_journal_that_cannot_be_written_is_told_like_the_file_beside_it() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let of_journal = DownloadError::Save(partwise_protocol::machine::SaveError::new(full()));
        for error in [Error::Target(full().into()), Error::Download(of_journal.into())] {
            assert_eq!(unwritable(&error).map(io::Error::kind), Some(io::ErrorKind::StorageFull));
        }
        let stopped = DownloadError::Stopped { cause: None };
        assert!(unwritable(&Error::Download(stopped.into())).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_signal_asks_and_the_second_waits_for_nothing() {
        let (stop, mut stopped) = watch::channel(false);
        let ends_well = async { stopped.wait_for(|stopped| *stopped).await.map(|_| ()).expect("told") };
        let mut signals = 0;
        let once = async || {
            signals += 1;
            if signals > 1 {
                pending::<()>().await;
            }
        };
        assert_eq!(until_stopped(ends_well, once, &stop).await, Some(()));
        assert_eq!(
            until_stopped(pending::<()>(), async || sleep(Duration::from_millis(300)).await, &stop).await,
            None
        );
    }
}
