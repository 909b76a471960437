//! A whole file: in parallel ranges, from where an earlier run was, under its name when it is complete.

use std::{error::Error as StdError, io, pin::pin};

use partwise::{Error, FileDownload};
use partwise_protocol::download::{DownloadCheckpoint, DownloadError, DownloadPlan, DownloadProgress};
use tokio::sync::watch;

use super::{
    cannot,
    destination::{Target, cannot_write},
    partial::Partial,
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

/// Downloads to `target`.
pub(super) async fn download(
    arguments: &DownloadArguments,
    target: &Target,
    connected: &Connected,
) -> Result<(), Report> {
    let partial = Partial::enter(target).await?;
    // From here on, a signal ends nothing half-way.
    let mut signals = Signals::listen()?;
    let (stop, stopped) = watch::channel(false);
    let whole = Whole { arguments, target, connected, partial, stopped };
    match until_stopped(Box::pin(whole.run()), async || signals.next().await, &stop).await {
        Some(Ok(())) => whole.partial.complete(target),
        Some(Err(ended)) => Err(whole.report(&ended)),
        None => Err(whole.stopped_at_once()),
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
    target: &'w Target,
    connected: &'w Connected,
    partial: Partial,
    /// Whether somebody wants it to stop.
    stopped: watch::Receiver<bool>,
}

impl Whole<'_> {
    async fn run(&self) -> Result<(), Error> {
        if let Some(download) = self.resume().await? {
            match self.receive(download).await {
                Err(Error::Download(error)) if is_change(&error) => {
                    say(&format!("{error}: starting over"));
                }
                received => return received,
            }
        }
        match self.start_over(self.plan()).await {
            // Either it changes now, or each of the service's ranges is of another file: one answer is of one file.
            Err(Error::Download(error)) if is_change(&error) => {
                say(&format!("{error}: starting over, without ranges"));
                let mut plan = self.plan();
                plan.ranges = false;
                self.start_over(plan).await
            }
            received => received,
        }
    }

    async fn start_over(&self, plan: DownloadPlan) -> Result<(), Error> {
        let (target, kept) = self.partial.start_over().map_err(Error::Target)?;
        self.receive(self.connected.client.prepare_download(target, plan)?.save_to(kept)).await
    }

    /// The rest of what an earlier run began, if it can be gone on with.
    async fn resume(&self) -> Result<Option<FileDownload>, Error> {
        if self.arguments.no_resume {
            return Ok(None);
        }
        let saved = match self.partial.last_checkpoint() {
            Ok(None) => return Ok(None),
            Ok(Some(saved)) => saved,
            Err(cause) => return Ok(self.not_gone_on_with(&cause)),
        };
        let ((target, kept), there) = (self.partial.go_on().map_err(Error::Target)?, saved.written());
        match self.connected.client.resume_download(target, self.plan(), saved).await {
            Ok(download) => {
                let (id, there) = (&self.arguments.id, share(there));
                say(&format!("resuming {id}: {there} are written"));
                Ok(Some(download.save_to(kept)))
            }
            Err(Error::DownloadResume(cause)) => Ok(self.not_gone_on_with(&cause)),
            Err(error) => Err(error),
        }
    }

    fn not_gone_on_with<T>(&self, cause: &dyn std::error::Error) -> Option<T> {
        let name = self.target.name();
        say(&format!("what an earlier run left of {name} cannot be gone on with ({cause}): starting over"));
        None
    }

    fn plan(&self) -> DownloadPlan {
        let mut plan = DownloadPlan::new(&self.arguments.id);
        plan.parallel = self.arguments.parallel;
        plan.retry.give_up_after = self.arguments.give_up_after;
        plan
    }

    async fn receive(&self, download: FileDownload) -> Result<(), Error> {
        let mut stopped = self.stopped.clone();
        let download = download.stop_when(async move {
            // When nobody listens for signals any more, all is done.
            if stopped.wait_for(|stopped| *stopped).await.is_err() {
                std::future::pending::<()>().await;
            }
        });
        let notices = &self.connected.notices;
        let (id, is_saved) = (&self.arguments.id, self.connected.is_lasting);
        let mut display = Display::new(self.arguments.progress.progress, Direction::Download, id, is_saved);
        let progress = download.progress();
        let mut told = 0;
        let shown = display.follow(download.progress(), |now: &DownloadProgress| {
            if let Some(retry) = now.latest_retry.filter(|retry| retry.number > told) {
                told = retry.number;
                notices.retry(&retry);
            }
        });
        let ((), received) = tokio::join!(shown, download.run());
        drop(display);
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
                Some(cause) => cannot_write(self.target.name(), cause),
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
            self.partial.discard();
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
        let saved = self.partial.last_checkpoint().ok().flatten().filter(|_| self.connected.is_lasting);
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
        let (there, path) = (share(left.written()), self.partial.path().display());
        format!("{there} of {} are in {path}", self.arguments.id)
    }

    /// What the next run can go on from.
    fn left(&self, error: &Error) -> Option<DownloadCheckpoint> {
        let is_resumable = match error {
            Error::Download(error) => error.is_resumable(),
            _ => true,
        };
        // One that cannot be read is told of by the next run.
        let saved = self.partial.last_checkpoint().ok()?;
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

fn is_change(error: &DownloadError) -> bool {
    matches!(error, DownloadError::Changed { .. })
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
        for error in [Error::Target(full()), Error::Download(Box::new(of_journal))] {
            assert_eq!(unwritable(&error).map(io::Error::kind), Some(io::ErrorKind::StorageFull));
        }
        let stopped = DownloadError::Stopped { cause: None };
        assert!(unwritable(&Error::Download(Box::new(stopped))).is_none());
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
