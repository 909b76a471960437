//! Downloads to a target: whole files, in parallel ranges where the service serves them.

use std::{fmt, sync::Arc};

use partwise_protocol::{
    download::{DownloadCheckpoint, DownloadMachine, DownloadPlan, DownloadProgress},
    machine::Machine as _,
};
use tokio::sync::watch;

use super::job::DownloadJob;
use crate::{
    AnyTarget, CheckpointStore, Client, Error, IntoTarget,
    driver::{Driver, Signals, StoreOf},
    writing::Writer,
};

impl Client {
    /// Downloads a whole file to `target`, in parallel ranges when the service serves ranges and else in one answer, and
    /// says how many bytes it has.
    ///
    /// For progress, checkpoints or stopping, [prepare](Self::prepare_download) it and [run](FileDownload::run) it.
    ///
    /// # Errors
    /// As for [`FileDownload::run`].
    pub async fn download_to(&self, target: impl IntoTarget, plan: DownloadPlan) -> Result<u64, Error> {
        self.prepare_download(target, plan)?.run().await
    }

    /// Makes a download to `target` ready: nothing is asked for yet.
    ///
    /// # Errors
    /// [`Error::Entropy`] when the system gives no random numbers.
    pub fn prepare_download(
        &self,
        target: impl IntoTarget,
        plan: DownloadPlan,
    ) -> Result<FileDownload, Error> {
        let target = target.into_target();
        let mut plan = suited(plan, &target);
        let client = self.clone().with_retry_of(&mut plan.retry);
        let machine =
            DownloadMachine::new(self.api(), plan, self.system.entropy()?).with_service(&self.state);
        Ok(FileDownload::new(client, target, machine))
    }

    /// Makes the rest of a download ready that was begun before, as far as `saved` says. What the target has of it is not
    /// looked at, but for its length.
    ///
    /// # Errors
    /// [`Error::Target`] when the target cannot be asked for its length, [`Error::DownloadResume`] when that is another one or
    /// the checkpoint is of another service or file.
    pub async fn resume_download(
        &self,
        target: impl IntoTarget,
        plan: DownloadPlan,
        saved: DownloadCheckpoint,
    ) -> Result<FileDownload, Error> {
        let target = target.into_target();
        let mut plan = suited(plan, &target);
        let client = self.clone().with_retry_of(&mut plan.retry);
        let length = target.length().await.map_err(Error::Target)?;
        let machine = DownloadMachine::resume(self.api(), plan, saved, length, self.system.entropy()?)?;
        let machine = machine.with_service(&self.state);
        Ok(FileDownload::new(client, target, machine))
    }
}

/// The plan as the target can take it.
fn suited(mut plan: DownloadPlan, target: &AnyTarget) -> DownloadPlan {
    if target.is_sequential() {
        plan.parallel = 1;
    }
    plan
}

/// A download of a whole file that is ready to run.
///
/// ```no_run
/// use partwise_protocol::download::DownloadPlan;
/// use partwise::{CheckpointJournal, Client, FileTarget};
///
/// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let mut options = std::fs::File::options();
/// let journal = options.read(true).write(true).create(true).truncate(true).open("results.jsonl.journal")?;
/// let download = client
///     .prepare_download(FileTarget::open("results.jsonl")?, DownloadPlan::new("file-abc123"))?
///     .save_to(CheckpointJournal::of(journal))
///     .stop_when(async { tokio::signal::ctrl_c().await.unwrap_or_default() });
/// let mut progress = download.progress();
/// tokio::spawn(async move {
///     while progress.changed().await.is_ok() {
///         let now = *progress.borrow_and_update();
///         eprintln!("{} of {:?} bytes", now.bytes_written, now.bytes_total);
///     }
/// });
/// let length = download.run().await?;
/// println!("{length} bytes");
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is asked for before it runs"]
pub struct FileDownload {
    client: Client,
    target: AnyTarget,
    /// Boxed, so that futures that hold a download stay small.
    machine: Box<DownloadMachine>,
    store: Option<StoreOf<DownloadJob>>,
    signals: Signals,
    progress: watch::Sender<DownloadProgress>,
}

impl FileDownload {
    fn new(client: Client, target: AnyTarget, machine: DownloadMachine) -> Self {
        let progress = watch::Sender::new(machine.progress());
        Self {
            client,
            target,
            machine: Box::new(machine),
            store: None,
            signals: Signals::default(),
            progress,
        }
    }

    /// Keeps checkpoints there, so that [`Client::resume_download`] can go on after a crash: each once what it speaks of was
    /// [synced](crate::Target::sync). The last one is removed when the file is complete, and when nothing can be resumed. By default none
    /// are kept.
    pub fn save_to(mut self, store: impl CheckpointStore<DownloadCheckpoint>) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Stops the download once this future ends, to be resumed later: a last checkpoint is [saved](Self::save_to) of what was
    /// written. What has come and was not written yet comes again: of each range that is under way at most the last 512 KiB,
    /// or 1 MiB with [`Writing::Blocking`](crate::Writing), and no more than a second's worth. It then ends with [`DownloadError::Stopped`](partwise_protocol::download::DownloadError). Dropping
    /// [`run`](Self::run)'s future instead stops at once; the last checkpoint then knows of what was written up to then.
    pub fn stop_when(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.signals.stop = Some(Box::pin(signal));
        self
    }

    /// How far the download is, now and while it runs: a few times a second and at every answer. The channel closes with
    /// the download.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<DownloadProgress> {
        self.progress.subscribe()
    }

    /// Downloads, and says how many bytes the file has: all of them were written, and the target
    /// [synced](crate::Target::sync). Everything that it starts ends when this future is dropped, but for a write that a thread for
    /// blocking work has already begun.
    ///
    /// A range that breaks off is gone on with from where it broke, as patiently as the plan says. Every range must be of
    /// the same content: of the same length, and with the same `ETag` and `Last-Modified` where the service sends them.
    ///
    /// # Errors
    /// [`Error::Download`], also when a checkpoint, or what it speaks of, cannot be made durable
    /// ([`DownloadError::Save`](partwise_protocol::download::DownloadError::Save)); [`Error::Target`] when the target cannot be written, [`Error::Encode`] when the identifier cannot
    /// be sent.
    pub async fn run(self) -> Result<u64, Error> {
        let writer = Writer::new(self.target, self.client.writing);
        let clock = self.client.clocks();
        let job = DownloadJob::new(self.client, self.machine, writer, self.progress);
        let driver = Driver::new(job, clock, self.store);
        // Boxed, so that the futures of those who download stay small.
        Box::pin(driver.run(self.signals)).await
    }
}

impl fmt::Debug for FileDownload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileDownload").field("progress", &*self.progress.borrow()).finish_non_exhaustive()
    }
}
