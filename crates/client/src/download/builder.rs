//! A download to a target as its caller asks for it.

use std::{fmt, future::IntoFuture, mem, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use partwise_protocol::{
    download::{DownloadCheckpoint, DownloadMachine, DownloadPlan, DownloadProgress},
    retry::RetryPolicy,
};

use super::{FileDownload, job::DownloadJob, unbegun::begun};
use crate::{
    AnyTarget, CheckpointStore, Client, Error, IntoTarget,
    deadline::Deadline,
    driver::{Signals, StoreOf},
    telling::run_telling,
};

impl Client {
    /// Downloads a whole file to `target`, in parallel ranges when the service serves ranges and else in one answer. The file is
    /// given by its identifier or as a [`DownloadPlan`]. For a file on the disk that is complete when it appears, see
    /// [`download_file`](Self::download_file).
    ///
    /// ```no_run
    /// use partwise::{Client, FileTarget};
    ///
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let length = client.download_to("file-abc123", FileTarget::open("results.jsonl")?).await?;
    /// println!("{length} bytes");
    /// # Ok(())
    /// # }
    /// ```
    pub fn download_to(&self, file: impl Into<DownloadPlan>, target: impl IntoTarget) -> DownloadBuilder {
        DownloadBuilder {
            client: self.clone(),
            plan: file.into(),
            target: target.into_target(),
            saved: None,
            store: None,
            signals: Signals::default(),
            limit: None,
            on_progress: None,
        }
    }
}

/// A download to a target that begins when it is awaited, made by [`Client::download_to`]. It returns the length of the file in bytes.
///
/// ```no_run
/// use partwise::{CheckpointJournal, Client, FileTarget};
///
/// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let mut options = std::fs::File::options();
/// let journal = options.read(true).write(true).create(true).truncate(true).open("results.jsonl.journal")?;
/// let length = client
///     .download_to("file-abc123", FileTarget::open("results.jsonl")?)
///     .parallel(8)
///     .save_to(CheckpointJournal::of(journal))
///     .on_progress(|now| eprintln!("{} of {:?} bytes", now.bytes_written, now.bytes_total))
///     .await?;
/// println!("{length} bytes");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::DownloadResume`] when the checkpoint does not suit the download, else as for [`FileDownload::run`].
#[must_use = "nothing is asked for before it is awaited"]
pub struct DownloadBuilder {
    client: Client,
    plan: DownloadPlan,
    target: AnyTarget,
    saved: Option<DownloadCheckpoint>,
    store: Option<StoreOf<DownloadJob>>,
    signals: Signals,
    limit: Option<Duration>,
    on_progress: Option<OnProgress>,
}

pub(super) type OnProgress = Box<dyn FnMut(&DownloadProgress) + Send>;

impl DownloadBuilder {
    /// Asks for at most this many ranges at once; four by default.
    pub fn parallel(mut self, ranges: u16) -> Self {
        self.plan.parallel = ranges;
        self
    }

    /// Asks for ranges of exactly this many bytes; by default ranges follow from what the line carries.
    pub fn range_size(mut self, bytes: u64) -> Self {
        self.plan.range_size = Some(bytes);
        self
    }

    /// Asks for everything in one answer, for a service whose ranges do not fit together.
    pub fn without_ranges(mut self) -> Self {
        self.plan.ranges = false;
        self
    }

    /// Sets the policy by which requests of this download are retried; by default the [client's](crate::ClientBuilder::retry).
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.plan.retry = Some(policy);
        self
    }

    /// Resumes from this checkpoint of an earlier run. The bytes that the target has are trusted; only its length is compared.
    pub fn resume(mut self, saved: DownloadCheckpoint) -> Self {
        self.saved = Some(saved);
        self
    }

    /// Keeps checkpoints there: see [`FileDownload::save_to`].
    pub fn save_to(mut self, store: impl CheckpointStore<DownloadCheckpoint>) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Stops the download once this future ends, to be resumed later: see [`FileDownload::stop_when`].
    pub fn stop_when(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.signals.stop = Some(Box::pin(signal));
        self
    }

    /// Stops the download this long after it is awaited or [prepared](Self::prepare), to be resumed later, as
    /// [`FileDownload::stop_when`] does. It ends with [`Error::TimedOut`], whose [kind](Error::kind) is
    /// [`Timeout`](crate::ErrorKind::Timeout). By default a download may take as long as its bytes move.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Calls `told` with the progress, a few times a second and at every answer, on the task that awaits the download.
    pub fn on_progress(mut self, told: impl FnMut(&DownloadProgress) + Send + 'static) -> Self {
        self.on_progress = Some(Box::new(told));
        self
    }

    /// Makes the download ready without asking the service for anything, for callers that watch its
    /// [`progress`](FileDownload::progress) themselves. The function given to [`on_progress`](Self::on_progress) is not called.
    ///
    /// # Errors
    /// [`Error::Entropy`] when the system gives no random numbers. With a [checkpoint](Self::resume), [`Error::Target`] when the
    /// target cannot be asked for its length, and [`Error::DownloadResume`] when that is another one or the checkpoint is of another
    /// service or file.
    pub async fn prepare(self) -> Result<FileDownload, Error> {
        Ok(self.ready().await?.0)
    }

    async fn ready(mut self) -> Result<(FileDownload, Option<OnProgress>), Error> {
        let mut signals = mem::take(&mut self.signals);
        signals.deadline = self.limit.map(Deadline::begin);
        let is_of_this = |saved: &DownloadCheckpoint| saved.is_of(self.client.api(), &self.plan.file_id);
        let has_checkpoint = self.saved.as_ref().is_some_and(is_of_this);
        let on_progress = self.on_progress.take();
        let opened = signals.heard_during(self.opened()).await;
        let mut download = begun(opened, || has_checkpoint)?;
        download.signals = signals;
        Ok((download, on_progress))
    }

    async fn opened(self) -> Result<FileDownload, Error> {
        let Self { client, mut plan, target, .. } = self;
        if target.is_sequential() {
            plan.parallel = 1;
        }
        let client = client.with_retry_of(&mut plan.retry);
        let (api, entropy) = (client.api(), client.system.entropy()?);
        let is_resumed = self.saved.is_some();
        let machine = match self.saved {
            None => DownloadMachine::new(api, plan, entropy),
            Some(saved) => {
                let length = target.length().await.map_err(Error::target)?;
                DownloadMachine::resume(api, plan, saved, length, entropy)?
            }
        };
        let machine = machine.with_service(&client.state);
        let mut download = FileDownload::new(client, target, machine);
        download.is_resumed = is_resumed;
        download.store = self.store;
        Ok(download)
    }
}

impl IntoFuture for DownloadBuilder {
    type Output = Result<u64, Error>;
    type IntoFuture = BoxFuture<'static, Result<u64, Error>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (download, told) = self.ready().await?;
            match told {
                None => download.run().await,
                Some(told) => run_telling(download.progress(), told, download.run()).await,
            }
        })
    }
}

impl fmt::Debug for DownloadBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadBuilder").field("plan", &self.plan).finish_non_exhaustive()
    }
}
