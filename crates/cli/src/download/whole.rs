//! A whole file: in parallel ranges, from where an earlier run was, under its name when it is complete.

use std::{
    io::{self, Write as _},
    pin::pin,
};

use partwise_protocol::{DownloadCheckpoint, DownloadError, DownloadPlan, DownloadProgress};
use partwise_transport_hyper::{Error, FileDownload};
use tokio::sync::watch;

use super::{
    cannot,
    destination::{Target, cannot_write},
    partial::Partial,
};
use crate::{
    args::DownloadArguments, connect::Connected, interrupt::Signals, progress::Bar, report::Report,
    size::share,
};

const ANEW: &str = "--no-resume begins anew";

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
    match until_stopped(whole.run(), &mut signals, &stop).await {
        Ok(()) => whole.partial.complete(target),
        Err(ended) => Err(whole.report(&ended)),
    }
}

/// Runs, and tells of the first signal.
async fn until_stopped<T>(
    run: impl Future<Output = T>,
    signals: &mut Signals,
    stop: &watch::Sender<bool>,
) -> T {
    let mut run = pin!(run);
    tokio::select! {
        ran = &mut run => ran,
        () = signals.next() => {
            stop.send_replace(true);
            run.await
        }
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
        let Some(download) = self.resume().await? else { return self.begin_anew().await };
        match self.receive(download).await {
            Err(Error::Download(error)) if matches!(*error, DownloadError::Changed { .. }) => {
                say(&format!("{error}: beginning anew"));
                self.begin_anew().await
            }
            received => received,
        }
    }

    async fn begin_anew(&self) -> Result<(), Error> {
        let target = self.partial.begin_anew().map_err(Error::Target)?;
        self.receive(self.connected.client.prepare_download(target, self.plan())).await
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
        let (target, there) = (self.partial.go_on().map_err(Error::Target)?, saved.written());
        match self.connected.client.resume_download(target, self.plan(), saved).await {
            Ok(download) => {
                let (id, there) = (&self.arguments.id, share(there));
                say(&format!("going on with {id}, which an earlier run began: {there} are there"));
                Ok(Some(download))
            }
            Err(Error::DownloadResume(cause)) => Ok(self.not_gone_on_with(&cause)),
            Err(error) => Err(error),
        }
    }

    fn not_gone_on_with<T>(&self, cause: &dyn std::error::Error) -> Option<T> {
        let name = self.target.name();
        say(&format!("what an earlier run left of {name} cannot be gone on with ({cause}): beginning anew"));
        None
    }

    fn plan(&self) -> DownloadPlan {
        let mut plan = DownloadPlan::new(&self.arguments.id);
        plan.parallel = self.arguments.parallel;
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
        let bar = Bar::new(&self.arguments.id, None);
        let shown = show(download.progress(), &bar);
        let (received, ()) = tokio::join!(download.run(), shown);
        received.map(|_| ())
    }

    /// What is said of a run that ended before everything was there; what cannot be gone on with is removed.
    fn report(self, error: &Error) -> Report {
        let left = self.left(error);
        let is_stopped = matches!(error, Error::Download(error) if matches!(**error, DownloadError::Stopped));
        let (name, id) = (self.target.name(), &self.arguments.id);
        let report = match (error, &left) {
            (_, Some(left)) if is_stopped => {
                let there = share(left.written());
                let path = self.partial.path().display();
                return Report::stopped(format!("{there} of {id} are in {path}"))
                    .hint(format!("the same command goes on from there; {ANEW}"));
            }
            _ if is_stopped => {
                Report::stopped(format!("nothing of {id} has come that could be gone on with"))
            }
            (Error::Target(cause), _) => cannot_write(name, cause),
            _ => self.connected.explain.report(&cannot(id), error),
        };
        match left {
            Some(_) => report.also_hint(format!("the same command goes on from where it was; {ANEW}")),
            None => {
                self.partial.discard();
                report
            }
        }
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

/// Shows how far the download is until its channel closes.
async fn show(mut progress: watch::Receiver<DownloadProgress>, bar: &Bar) {
    while progress.changed().await.is_ok() {
        let now = *progress.borrow_and_update();
        bar.set_total(now.bytes_total);
        bar.set(now.bytes_written);
        if now.retries > 0 {
            bar.note(&format!("{} asked for again", now.retries));
        }
    }
}

fn say(line: &str) {
    // When standard error is gone there is nobody to tell.
    let _ = writeln!(io::stderr(), "{line}");
}
