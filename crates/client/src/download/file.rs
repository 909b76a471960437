//! Downloads to a target: whole files, in parallel ranges where the service serves them.

use std::{fmt, sync::Arc};

use partwise_protocol::{
    download::{DownloadCheckpoint, DownloadMachine, DownloadProgress},
    machine::Machine as _,
};
use tokio::sync::watch;

use super::job::DownloadJob;
use crate::{
    AnyTarget, CheckpointStore, Client, Error,
    deadline::Deadline,
    driver::{Driver, Signals, StoreOf},
    writing::Writer,
};

/// A download of a whole file that is ready to run, made by [`DownloadBuilder::prepare`](super::DownloadBuilder::prepare).
///
/// ```no_run
/// use partwise::{Client, FileTarget};
///
/// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let target = FileTarget::open("results.jsonl")?;
/// let download = client.download_to("file-abc123", target).prepare().await?;
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
    pub(super) store: Option<StoreOf<DownloadJob>>,
    pub(super) signals: Signals,
    progress: watch::Sender<DownloadProgress>,
    pub(super) is_resumed: bool,
}

impl FileDownload {
    pub(super) fn new(client: Client, target: AnyTarget, machine: DownloadMachine) -> Self {
        let progress = watch::Sender::new(machine.progress());
        Self {
            client,
            target,
            machine: Box::new(machine),
            store: None,
            is_resumed: false,
            signals: Signals::default(),
            progress,
        }
    }

    /// Keeps checkpoints there, so that [`resume`](super::DownloadBuilder::resume) can go on after a crash: each once what it speaks of was
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

    pub(super) fn until(mut self, deadline: Option<Deadline>) -> Self {
        self.signals.deadline = deadline;
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
    /// A range that is interrupted is resumed from where it ended, as the plan's retry policy says. Every range must be of
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
        let driver = Driver::new(job, clock, self.store).resumed(self.is_resumed);
        // Boxed, so that the futures of those who download stay small.
        Box::pin(driver.run(self.signals)).await
    }
}

impl fmt::Debug for FileDownload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileDownload").field("progress", &*self.progress.borrow()).finish_non_exhaustive()
    }
}
