//! How a story goes: runs of one upload, until it has an end, which is then held against what the server has.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use partwise::{Error, Upload};
use partwise_models::File;
use partwise_protocol::upload::{Checkpoint, Phase, Progress, UploadError};
use tokio::{
    task::yield_now,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    rules::Rule,
    world::{How, World},
};

/// Everything in a story is over long before.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long an upload may take to end after it was cancelled: the budget for the service, and two saves.
const LONGEST_CANCEL: Duration = Duration::from_secs(10 + 2 * 6 + 1);
/// How long an upload may take to end after it was asked to stop: the grace for what flies, and three saves, since one that
/// begins may find another under way.
const LONGEST_STOP: Duration = Duration::from_secs(5 + 3 * 6 + 1);
/// The grace alone.
const GRACE: Duration = Duration::from_secs(5);
/// By then, whatever the server still does is done.
const SETTLED: Duration = Duration::from_secs(3600);

/// All ends that a story can have.
pub(crate) const ENDS: [&str; 11] = [
    "a file",
    "refused",
    "failed",
    "garbled",
    "source unreadable",
    "source changed",
    "not saved",
    "expired",
    "cancelled",
    "unknown",
    "not resumed",
];

impl World {
    /// Tells the story to its end, and says which.
    pub(crate) async fn tell(&mut self) -> &'static str {
        loop {
            self.books.begin_run();
            let (begun, interruption) = (self.run().await, self.interruptions.pop_front());
            self.broken.check();
            match begun {
                Err(not_begun) => return self.close(not_begun).await,
                Ok(None) => sleep(interruption.map(|it| it.pause).unwrap_or_default()).await,
                Ok(Some(progress)) => match &self.result {
                    Some(Err(error)) if error.is_resumable() && self.reruns_left > 0 => {
                        self.reruns_left -= 1;
                        sleep(self.dice.up_to(Duration::from_secs(60))).await;
                    }
                    _ => return self.judge(progress).await,
                },
            }
        }
    }

    /// Runs the upload once, from the last checkpoint if there is one. Nothing comes back when it was interrupted.
    async fn run(&mut self) -> Result<Option<Progress>, &'static str> {
        let (client, sign) = self.client();
        let saved = self.disk.checkpoint();
        self.journal.write(&self.clocks, || format!("a run begins from {saved:?}"));
        let upload = match self.begin(&client, saved).await {
            Ok(upload) => upload,
            Err(error) => return Err(self.not_begun(&error)),
        };
        drop(client);
        let end = self.live(upload).await;
        self.hold_nothing_left(&sign).await;
        Ok(end)
    }

    async fn begin(&mut self, client: &partwise::Client, saved: Option<Checkpoint>) -> Result<Upload, Error> {
        match saved {
            Some(saved) => {
                client.upload_as(self.plan.clone(), self.source.clone()).resume(saved).prepare().await
            }
            None => {
                let files = self.files().await;
                self.broken.hold(Rule::OneFile, files.is_empty(), || "no checkpoint knows of it".to_owned());
                self.content = self.source.present().unwrap_or_default();
                client.upload_as(self.plan.clone(), self.source.clone()).prepare().await
            }
        }
    }

    /// Why the upload could not even begin, which only the source can be the reason for.
    fn not_begun(&self, error: &Error) -> &'static str {
        self.journal.write(&self.clocks, || format!("no run: {error}"));
        match error {
            Error::Source(_) => "source unreadable",
            Error::Resume(_) => "not resumed",
            other => panic!("a run could not begin: {other}"),
        }
    }

    /// Lets the upload run to its end, or interrupts it.
    async fn live(&mut self, upload: Upload) -> Option<Progress> {
        let (progress, began) = (upload.progress(), Instant::now());
        let cancel_at = self.cancel_after.map(|after| Instant::now() + after);
        let stop_at = match self.interruptions.front().map(|interruption| interruption.how) {
            Some(How::StoppedAfter(time)) => Some(began + time),
            _ => None,
        };
        let upload =
            upload.save_to(self.disk.clone()).cancel_when(until(cancel_at)).stop_when(until(stop_at));
        let running = upload.run();
        let Some(result) = self.until_dropped(running).await else {
            self.journal.write(&self.clocks, || "the upload is dropped".to_owned());
            return None;
        };
        let result = result.map_err(|error| match error {
            Error::Upload(error) => error.into_inner(),
            other => panic!("an upload never ends with {other}"),
        });
        self.journal.write(&self.clocks, || format!("the upload ends: {result:?}"));
        let late = cancel_at.map(|at| Instant::now().saturating_duration_since(at)).unwrap_or_default();
        self.broken.hold(Rule::Ends, late <= LONGEST_CANCEL, || format!("{late:?} after it was cancelled"));
        if let (Err(UploadError::Stopped { .. }), Some(at)) = (&result, stop_at) {
            self.hold_stopped(at);
            return None;
        }
        (self.took, self.result) = (began.elapsed(), Some(result));
        let progress = progress.borrow().clone();
        Some(progress)
    }

    /// One that was stopped ends soon, and its checkpoint knows all that was acknowledged in time.
    fn hold_stopped(&self, at: Instant) {
        let late = Instant::now().saturating_duration_since(at);
        self.broken.hold(Rule::Ends, late <= LONGEST_STOP, || format!("{late:?} after it was stopped"));
        let unknown = self.books.unknown_to_the_checkpoint();
        self.broken.hold(Rule::StoppedKnowsAll, unknown == 0 || late >= GRACE, || {
            format!("{unknown} acknowledged parts are forgotten")
        });
    }

    /// Runs until the end, or until it is dropped.
    async fn until_dropped<T>(&self, running: impl Future<Output = T>) -> Option<T> {
        let mut running = pin!(running);
        let (mut turns, time) = match self.interruptions.front().map(|interruption| interruption.how) {
            None | Some(How::StoppedAfter(_)) => (u64::MAX, LONGEST),
            Some(How::DroppedAfterTurns(turns)) => (turns, LONGEST),
            Some(How::DroppedAfter(time)) => (u64::MAX, time),
        };
        let turning = poll_fn(|cx| match turns.checked_sub(1) {
            None => Poll::Ready(None),
            Some(left) => {
                turns = left;
                running.as_mut().poll(cx).map(Some)
            }
        });
        let ended = timeout(time, turning).await;
        self.broken.hold(Rule::Ends, ended.is_ok() || time < LONGEST, || "it never does".to_owned());
        ended.ok().flatten()
    }

    /// Nothing of the client may be left, and no time passes meanwhile.
    async fn hold_nothing_left(&self, sign: &Arc<()>) {
        for _ in 0..100 {
            yield_now().await;
        }
        if self.plan.md5 {
            // A thread that hashes notices at its next piece.
            let since = std::time::Instant::now();
            while self.source_is_in_use() && since.elapsed() < Duration::from_secs(10) {
                std::thread::yield_now();
            }
        }
        let client_is_left = Arc::strong_count(sign) > 1;
        self.broken.hold(Rule::NothingLeft, !client_is_left, || "something holds the client".to_owned());
        self.broken
            .hold(Rule::NothingLeft, !self.source_is_in_use(), || "something holds the source".to_owned());
        self.broken
            .hold(Rule::NothingLeft, !self.books.is_anything_flying(), || "a request flies".to_owned());
    }

    /// By anybody but the story and its wires.
    fn source_is_in_use(&self) -> bool {
        Arc::strong_count(&self.source) > 2
    }

    /// Holds the result against what the server has.
    async fn judge(&self, progress: Progress) -> &'static str {
        let result = self.result.as_ref().expect("a run has ended");
        let is_over = result.as_ref().err().is_none_or(|error| !error.is_resumable());
        self.broken.hold(Rule::Forgotten, !is_over || self.disk.checkpoint().is_none(), || {
            format!("a checkpoint stays after {result:?}")
        });
        let may_be_denied = self.disk.announces_a_file();
        let error = match result {
            Ok(file) => {
                self.hold_whole(file, &progress).await;
                return self.close("a file").await;
            }
            Err(error) => error,
        };
        let (end, says_so) = match error {
            UploadError::Rejected { .. } => ("refused", may_be_denied),
            UploadError::Failed { .. } => ("failed", may_be_denied),
            UploadError::Garbled { .. } => ("garbled", may_be_denied),
            UploadError::Source(_) => ("source unreadable", may_be_denied),
            UploadError::SourceChanged { file, .. } => ("source changed", file.is_some()),
            UploadError::Save(_) => ("not saved", may_be_denied),
            UploadError::Expired { .. } => ("expired", false),
            UploadError::Cancelled { file_possible, .. } => ("cancelled", *file_possible),
            UploadError::CompletionUnknown { .. } => ("unknown", true),
            UploadError::Unproven { file, .. } => ("unproven", file.is_some()),
            other => panic!("a story has no place for {other:?}"),
        };
        sleep(SETTLED).await;
        let files = self.files().await.len();
        self.broken
            .hold(Rule::NoFileDenied, files == 0 || says_so, || format!("a file was made, and {error}"));
        self.close(end).await
    }

    async fn hold_whole(&self, file: &File, progress: &Progress) {
        let content = self.download(&file.id).await;
        self.broken.hold(Rule::SameBytes, content == self.content, || format!("{} differs", file.id));
        let told = (progress.phase, progress.bytes_acknowledged, progress.parts_acknowledged);
        let expected = (Phase::Done, self.content.len() as u64, progress.parts_total);
        self.broken.hold(Rule::Progress, told == expected, || format!("{told:?} instead of {expected:?}"));
    }

    /// Lets everything come to rest, and counts.
    async fn close(&self, end: &'static str) -> &'static str {
        sleep(SETTLED).await;
        let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        self.broken.hold(Rule::NothingLeft, alive == 0, || format!("{alive} tasks are alive"));
        let files = self.files().await;
        self.broken.hold(Rule::OneFile, files.len() <= 1, || format!("{} files ({end})", files.len()));
        let (bodies, kept) = (self.bodies().await, self.books.kept());
        self.broken.hold(Rule::NothingOfHalf, bodies == kept, || {
            format!("{bodies} bodies are stored, and {kept} came whole")
        });
        self.broken.check();
        end
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
