//! Downloads to a path: the file appears when it is complete, and a run that ended before is resumed by the next one.

mod partial;
mod place;

use std::{
    fmt,
    future::IntoFuture,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use partwise_protocol::{
    download::{DownloadCheckpoint, DownloadError, DownloadPlan, DownloadProgress, DownloadResumeError},
    retry::RetryPolicy,
};
use tokio::sync::watch;

pub use self::place::DownloadPathError;
use self::{partial::Partial, place::Place};
use super::{builder::OnProgress, unbegun::begun};
use crate::{Client, Error, FileDownload, deadline::Deadline, driver::Signals, telling::run_telling};

impl Client {
    /// Downloads a file to `path`, in parallel ranges when the service serves ranges. The file appears there when it is complete
    /// and durable; until then `path` with `.partwise` behind it has the bytes, and with `.partwise-journal` how far they are, so
    /// that another run to the same path, of the command too, resumes. It replaces nothing unless it is
    /// [told to](PathDownload::replace).
    ///
    /// ```no_run
    /// # async fn example(client: partwise::Client) -> Result<(), partwise::Error> {
    /// let length = client.download_file("file-abc123", "result.jsonl").await?;
    /// println!("{length} bytes");
    /// # Ok(())
    /// # }
    /// ```
    pub fn download_file(&self, file: impl Into<DownloadPlan>, path: impl Into<PathBuf>) -> PathDownload {
        PathDownload {
            client: self.clone(),
            plan: file.into(),
            path: path.into(),
            replaces: false,
            resumes: true,
            stop: None,
            limit: None,
            on_progress: None,
            on_event: None,
        }
    }
}

/// A download to a path that begins when it is awaited, made by [`Client::download_file`]. It gives the length of the file in bytes.
///
/// ```no_run
/// # async fn example(client: partwise::Client) -> Result<(), partwise::Error> {
/// let length = client
///     .download_file("file-abc123", "result.jsonl")
///     .replace()
///     .parallel(8)
///     .on_progress(|now| eprintln!("{} of {:?} bytes", now.bytes_written, now.bytes_total))
///     .await?;
/// println!("{length} bytes");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::DownloadPath`] when nothing can be written at the path, else as for [`FileDownload::run`]. What can be resumed stays
/// beside the path: see [`Error::is_resumable`].
#[must_use = "nothing is asked for before it is awaited"]
pub struct PathDownload {
    client: Client,
    plan: DownloadPlan,
    path: PathBuf,
    replaces: bool,
    resumes: bool,
    stop: Option<Shared<BoxFuture<'static, ()>>>,
    limit: Option<Duration>,
    on_progress: Option<OnProgress>,
    on_event: Option<OnEvent>,
}

type OnEvent = Box<dyn FnMut(&DownloadEvent) + Send>;

/// A turn that a download to a path takes, for those who tell people of it.
///
/// ```no_run
/// use partwise::DownloadEvent;
///
/// # async fn example(client: partwise::Client) -> Result<(), partwise::Error> {
/// let download = client.download_file("file-abc123", "result.jsonl").on_event(|event| match event {
///     DownloadEvent::Resuming { written, length } => eprintln!("{written} of {length} bytes are there"),
///     DownloadEvent::NotResumable { cause } => eprintln!("starting over: {cause}"),
///     DownloadEvent::Changed { .. } => eprintln!("the file changed on the service: starting over"),
///     _ => {}
/// });
/// download.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum DownloadEvent {
    /// What an earlier run has written is resumed.
    Resuming {
        /// The number of bytes that are there.
        written: u64,
        /// The length of the file.
        length: u64,
    },
    /// What an earlier run has left cannot be resumed: the download starts over.
    NotResumable {
        /// Why.
        cause: NotResumable,
    },
    /// The file changed on the service: the download starts over.
    Changed {
        /// The error that said so.
        error: Box<DownloadError>,
        /// Whether the service is asked for ranges again.
        with_ranges: bool,
    },
}

/// The reason why what an earlier run has left cannot be resumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotResumable {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(io::Error),
    /// It is of another file, service or length.
    #[error(transparent)]
    Other(DownloadResumeError),
}

impl PathDownload {
    /// Replaces a file that is at the path.
    pub fn replace(mut self) -> Self {
        self.replaces = true;
        self
    }

    /// Starts over, whatever an earlier run has left.
    pub fn start_over(mut self) -> Self {
        self.resumes = false;
        self
    }

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

    /// Stops the download once this future ends, to be resumed later: see [`FileDownload::stop_when`].
    pub fn stop_when(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.stop = Some(signal.boxed().shared());
        self
    }

    /// Stops the download this long after it is awaited or [prepared](Self::prepare), to be resumed later, as
    /// [`FileDownload::stop_when`] does: what has come stays beside the path. It ends with [`Error::TimedOut`], whose
    /// [kind](Error::kind) is [`Timeout`](crate::ErrorKind::Timeout). By default a download may take as long as its bytes move.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Calls `told` with the progress, a few times a second and at every answer, on the task that awaits the download.
    pub fn on_progress(mut self, told: impl FnMut(&DownloadProgress) + Send + 'static) -> Self {
        self.on_progress = Some(Box::new(told));
        self
    }

    /// Calls `told` when the download resumes or starts over.
    pub fn on_event(mut self, told: impl FnMut(&DownloadEvent) + Send + 'static) -> Self {
        self.on_event = Some(Box::new(told));
        self
    }

    /// Makes the download ready without asking for anything: from now on no other process can download to the same path. What a run of
    /// this process that was dropped is still writing is waited for, for half a minute at most. What
    /// [`on_progress`](Self::on_progress) was given is not called.
    ///
    /// # Errors
    /// [`DownloadPathError`] when nothing can be written at the path.
    pub async fn prepare(self) -> Result<PreparedPathDownload, DownloadPathError> {
        let deadline = self.limit.map(Deadline::begin);
        self.prepare_until(deadline).await
    }

    async fn prepare_until(
        self,
        deadline: Option<Deadline>,
    ) -> Result<PreparedPathDownload, DownloadPathError> {
        let place = Place::at(&self.path, self.replaces)?;
        let partial = Partial::enter(&place).await?;
        Ok(PreparedPathDownload {
            client: self.client,
            plan: self.plan,
            resumes: self.resumes,
            stop: self.stop,
            deadline,
            on_event: self.on_event,
            progress: watch::Sender::new(DownloadProgress::default()),
            place,
            partial,
        })
    }
}

impl IntoFuture for PathDownload {
    type Output = Result<u64, Error>;
    type IntoFuture = BoxFuture<'static, Result<u64, Error>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move {
            let (told, deadline) = (self.on_progress.take(), self.limit.map(Deadline::begin));
            let stop = self.stop.clone().map(FutureExt::boxed);
            let mut signals = Signals { stop, cancel: None, deadline };
            let (path, replaces, resumes) = (self.path.clone(), self.replaces, self.resumes);
            let (api, file_id) = (self.client.api().clone(), self.plan.file_id.clone());
            let preparing = async { self.prepare_until(deadline).await.map_err(Error::from) };
            let mut download = begun(signals.heard_during(preparing).await, || {
                let left = || Partial::left_at(&Place::at(&path, replaces).ok()?);
                resumes && left().is_some_and(|left| left.is_of(&api, &file_id))
            })?;
            let progress = download.progress();
            let running = async {
                match download.run().await {
                    Ok(length) => {
                        download.complete()?;
                        Ok(length)
                    }
                    Err(error) => {
                        // What an earlier run has left stays, although this one may have saved nothing.
                        let is_over =
                            matches!(&error, Error::Download(error) if !DownloadError::is_resumable(error));
                        if is_over || matches!(download.last_checkpoint(), Ok(None)) {
                            download.discard();
                            return Err(error.with_checkpoint(false));
                        }
                        Err(error)
                    }
                }
            };
            match told {
                None => running.await,
                Some(told) => run_telling(progress, told, running).await,
            }
        })
    }
}

impl fmt::Debug for PathDownload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PathDownload")
            .field("plan", &self.plan)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A download to a path that is ready to run, made by [`PathDownload::prepare`].
///
/// ```no_run
/// # async fn example(client: partwise::Client) -> Result<(), partwise::Error> {
/// let mut download = client.download_file("file-abc123", "result.jsonl").prepare().await?;
/// println!("until it is complete it is {}", download.partial_path().display());
/// download.run().await?;
/// download.complete()?;
/// # Ok(())
/// # }
/// ```
pub struct PreparedPathDownload {
    client: Client,
    plan: DownloadPlan,
    resumes: bool,
    stop: Option<Shared<BoxFuture<'static, ()>>>,
    deadline: Option<Deadline>,
    on_event: Option<OnEvent>,
    progress: watch::Sender<DownloadProgress>,
    place: Place,
    partial: Partial,
}

impl PreparedPathDownload {
    /// The progress, now and while it runs. It begins again when the download starts over; the channel closes at the end of
    /// [`run`](Self::run).
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<DownloadProgress> {
        self.progress.subscribe()
    }

    /// The path of the bytes until they are complete.
    #[must_use]
    pub fn partial_path(&self) -> &Path {
        self.partial.path()
    }

    /// The last checkpoint of an earlier run, or of this one; `None` when no byte is there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn last_checkpoint(&self) -> io::Result<Option<DownloadCheckpoint>> {
        self.partial.last_checkpoint()
    }

    /// Downloads what is not there yet, and returns the length of the file. It is still beside its path then:
    /// [`complete`](Self::complete) gives it its name.
    ///
    /// # Errors
    /// As for [`FileDownload::run`].
    pub async fn run(&mut self) -> Result<u64, Error> {
        let received = self.received().await;
        let last = *self.progress.borrow();
        self.progress = watch::Sender::new(last);
        received
    }

    async fn received(&mut self) -> Result<u64, Error> {
        if let Some(download) = self.resume().await? {
            match self.receive(download).await {
                Err(Error::Download(error)) if is_change(&error) => {
                    self.tell(&DownloadEvent::Changed {
                        error: Box::new(error.into_inner()),
                        with_ranges: true,
                    });
                }
                received => return received,
            }
        }
        match self.start_over(self.plan.clone()).await {
            // Either it changes now, or each of the service's ranges is of another file: one answer is of one file.
            Err(Error::Download(error)) if is_change(&error) => {
                self.tell(&DownloadEvent::Changed {
                    error: Box::new(error.into_inner()),
                    with_ranges: false,
                });
                let mut plan = self.plan.clone();
                plan.ranges = false;
                self.start_over(plan).await
            }
            received => received,
        }
    }

    /// Gives the file its name, and makes that durable.
    ///
    /// # Errors
    /// [`DownloadPathError::CannotRename`]; the bytes then stay where they are.
    pub fn complete(self) -> Result<(), DownloadPathError> {
        let Self { place, partial, .. } = self;
        partial.complete(&place)
    }

    /// Removes what has come, so that nothing can be resumed.
    pub fn discard(self) {
        self.partial.discard();
    }

    async fn start_over(&mut self, plan: DownloadPlan) -> Result<u64, Error> {
        let (target, kept) = self.partial.start_over().map_err(Error::target)?;
        let download = self.client.download_to(plan, target).save_to(kept).prepare().await?;
        self.receive(download).await
    }

    /// The rest of what an earlier run began, if it can be resumed.
    async fn resume(&mut self) -> Result<Option<FileDownload>, Error> {
        if !self.resumes {
            return Ok(None);
        }
        let saved = match self.partial.last_checkpoint() {
            Ok(None) => return Ok(None),
            Ok(Some(saved)) => saved,
            Err(cause) => {
                self.tell(&DownloadEvent::NotResumable { cause: NotResumable::Unreadable(cause) });
                return Ok(None);
            }
        };
        let ((target, kept), (written, length)) =
            (self.partial.resume().map_err(Error::target)?, saved.written());
        let download = self.client.download_to(self.plan.clone(), target).resume(saved).save_to(kept);
        match download.prepare().await {
            Ok(download) => {
                self.tell(&DownloadEvent::Resuming { written, length });
                Ok(Some(download))
            }
            Err(Error::DownloadResume(cause)) => {
                self.tell(&DownloadEvent::NotResumable { cause: NotResumable::Other(cause) });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn receive(&mut self, download: FileDownload) -> Result<u64, Error> {
        let download = match self.stop.clone() {
            Some(stop) => download.stop_when(stop),
            None => download,
        };
        let download = download.until(self.deadline);
        let mut progress = download.progress();
        let passing_on = async {
            self.progress.send_replace(*progress.borrow_and_update());
            while progress.changed().await.is_ok() {
                self.progress.send_replace(*progress.borrow_and_update());
            }
        };
        let ((), received) = tokio::join!(passing_on, download.run());
        received
    }

    fn tell(&mut self, event: &DownloadEvent) {
        tracing::debug!(?event, "the download takes a turn");
        if let Some(told) = &mut self.on_event {
            told(event);
        }
    }
}

fn is_change(error: &DownloadError) -> bool {
    matches!(error, DownloadError::Changed { .. })
}

impl fmt::Debug for PreparedPathDownload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedPathDownload").field("plan", &self.plan).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
