//! An upload as its caller asks for it.

use std::{
    fmt,
    future::IntoFuture,
    mem,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use partwise_models::{ExpiresAfter, ExpiryAnchor, File, Purpose};
use partwise_protocol::{
    retry::RetryPolicy,
    transport::SourceError,
    upload::{Checkpoint, Parallel, Plan, Progress, ResumeError, RouteChoice},
};
use tokio::io::AsyncRead;

use super::Upload;
use crate::{
    AnySource, CheckpointDir, CheckpointStore, Client, Error, IntoSource, UnfinishedUpload,
    deadline::Deadline,
    driver::{Heard, Signals, StoreOf},
    mime::mime_type,
    telling::run_telling,
    upload::{
        content::GivenContent,
        identity::identified,
        job::UploadJob,
        unread::{UnreadCheckpoint, UnreadUpload, subject},
    },
};

impl Client {
    /// Uploads the file at `path`, in parallel parts or in one request, under its own name and with the MIME type of its
    /// extension.
    ///
    /// ```no_run
    /// use partwise::{Client, Purpose};
    ///
    /// # async fn example(client: Client) -> Result<(), partwise::Error> {
    /// let file = client.upload_file("data/train.jsonl", Purpose::FineTune).await?;
    /// println!("{}", file.id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn upload_file(&self, path: impl Into<PathBuf>, purpose: Purpose) -> UploadBuilder {
        let path = path.into();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let plan = Plan::new(name, mime_type(&path), purpose);
        UploadBuilder::new(self.clone(), GivenContent::File(path), plan)
    }

    /// Uploads `source` under a name, with the MIME type of the name's extension. Bytes, strings and files are sources, and your
    /// own [`Source`](crate::Source)s.
    ///
    /// ```no_run
    /// use partwise::{Client, Purpose};
    ///
    /// # async fn example(client: Client) -> Result<(), partwise::Error> {
    /// let file = client.upload("notes.md", "# Notes".to_owned(), Purpose::Assistants).await?;
    /// println!("{}", file.id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn upload(
        &self,
        name: impl Into<String>,
        source: impl IntoSource,
        purpose: Purpose,
    ) -> UploadBuilder {
        let name = name.into();
        let mime_type = mime_type(Path::new(&name));
        self.upload_as(Plan::new(name, mime_type, purpose), source)
    }

    /// Uploads what `reader` reads, to its end. It is written to a temporary file first, since a part that fails is read again,
    /// unless its [`length`](UploadBuilder::length) is known: then it is sent part by part as it comes. The file is in the system's
    /// directory for temporary files (`TMPDIR`); progress begins when it is complete.
    ///
    /// ```no_run
    /// use partwise::{Client, Purpose};
    ///
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let dump = tokio::net::TcpStream::connect("127.0.0.1:4000").await?;
    /// let file = client.upload_stream("dump.jsonl", dump, Purpose::Batch).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn upload_stream(
        &self,
        name: impl Into<String>,
        reader: impl AsyncRead + Send + 'static,
        purpose: Purpose,
    ) -> UploadBuilder {
        let name = name.into();
        let mime_type = mime_type(Path::new(&name));
        let plan = Plan::new(name, mime_type, purpose);
        UploadBuilder::new(self.clone(), GivenContent::Stream(Box::pin(reader)), plan)
    }

    /// Uploads `source` as the plan says. A plan without a retry policy takes the [client's](crate::ClientBuilder::retry).
    pub fn upload_as(&self, plan: Plan, source: impl IntoSource) -> UploadBuilder {
        UploadBuilder::new(self.clone(), GivenContent::Source(source.into_source()), plan)
    }
}

/// An upload that begins when it is awaited, made by [`Client::upload_file`], [`Client::upload`], [`Client::upload_stream`] and
/// [`Client::upload_as`].
///
/// ```no_run
/// use std::time::Duration;
///
/// use partwise::{CheckpointFile, Client, Purpose};
///
/// # async fn example(client: Client) -> Result<(), partwise::Error> {
/// let file = client
///     .upload_file("data/train.jsonl", Purpose::FineTune)
///     .part_size(8 << 20)
///     .expires_after(Duration::from_secs(7 * 24 * 3600))
///     .save_to(CheckpointFile::at("data/train.jsonl.partwise"))
///     .on_progress(|now| eprintln!("{} of {} bytes", now.bytes_acknowledged, now.bytes_total))
///     .await?;
/// println!("{}", file.id);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Source`] when the source cannot be read, [`Error::Plan`] when the plan does not suit it, [`Error::Resume`] when the
/// checkpoint does not, [`Error::CheckpointDir`] and [`Error::Checkpoint`] when the directory of checkpoints cannot be used, and [`Error::Upload`] for everything that happens later; whether resuming may help is said by
/// [`Error::is_resumable`].
#[must_use = "nothing is sent before it is awaited"]
pub struct UploadBuilder {
    client: Client,
    content: GivenContent,
    length: Option<u64>,
    plan: Plan,
    saved: Option<Checkpoint>,
    resume_in: Option<CheckpointDir>,
    resumes: bool,
    store: Option<StoreOf<UploadJob>>,
    signals: Signals,
    limit: Option<Duration>,
    on_progress: Option<OnProgress>,
}

impl UploadBuilder {
    fn new(client: Client, content: GivenContent, plan: Plan) -> Self {
        let signals = Signals::default();
        Self {
            client,
            content,
            length: None,
            plan,
            saved: None,
            resume_in: None,
            resumes: true,
            store: None,
            signals,
            limit: None,
            on_progress: None,
        }
    }

    /// Sends the file under this name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.plan.filename = name.into();
        self
    }

    /// Sends the file with this MIME type.
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.plan.mime_type = mime_type.into();
        self
    }

    /// Says how many bytes the content has. Content of another length is an error, and no file is made of it.
    ///
    /// A stream of known length is sent as it comes: one part after the other, each read whole before it is sent, with one part in
    /// memory (8 MiB, unless [`part_size`](Self::part_size) says otherwise), so that such an upload cannot be resumed by another run.
    /// When it has given as many bytes, the client waits a second for its end; it may stay open after that. Where the order of
    /// its bytes does not do, the stream is written to a temporary file first, as one of unknown length: with [`md5`](Self::md5), with
    /// more than one part in flight ([`parallel`](Self::parallel)), with checkpoints ([`resume`](Self::resume),
    /// [`resume_in`](Self::resume_in), [`save_to`](Self::save_to)), and where the service takes such a file in one request alone.
    pub fn length(mut self, bytes: u64) -> Self {
        self.length = Some(bytes);
        self
    }

    /// Sends parts of exactly this many bytes; by default parts follow from what the line carries.
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.plan.part_size = Some(bytes);
        self
    }

    /// Keeps exactly this many parts in flight; by default as many as make the upload faster.
    pub fn parallel(mut self, parts: u16) -> Self {
        self.plan.parallel = Parallel::Fixed(parts);
        self
    }

    /// Forces parts or a single request.
    pub fn route(mut self, route: RouteChoice) -> Self {
        self.plan.route = route;
        self
    }

    /// Has the service delete the file this long after its creation; whole seconds count.
    pub fn expires_after(mut self, age: Duration) -> Self {
        self.plan.expires_after = Some(ExpiresAfter::new(ExpiryAnchor::CreatedAt, age.as_secs()));
        self
    }

    /// Sends the MD5 of the whole file with the last request of an upload in parts, for the service to compare.
    pub fn md5(mut self) -> Self {
        self.plan.md5 = true;
        self
    }

    /// Sets the policy by which requests of this upload are retried; by default the [client's](crate::ClientBuilder::retry).
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.plan.retry = Some(policy);
        self
    }

    /// Resumes from this checkpoint of an earlier run. Bytes and streams are compared by a digest, as in
    /// [`resume_in`](Self::resume_in), if the earlier run was given [`save_to`](Self::save_to) here. What is sent comes from there; how it is sent, parallelism and policy,
    /// comes from this builder.
    pub fn resume(mut self, saved: Checkpoint) -> Self {
        self.saved = Some(saved);
        self
    }

    /// Resumes what an earlier run of the same upload has left in this directory, keeps checkpoints there, and removes them when
    /// the upload is over. No other process can be at work on the same upload meanwhile: the same file, purpose, MIME type and
    /// service. A source that has changed since, or an upload that has expired, starts over. The route and the expiry of a resumed upload
    /// are those of the earlier run.
    ///
    /// A file is known by its path, and by its length, time and inode. Bytes, a stream, and a source whose
    /// [stamp](crate::Source::stamp) has nothing but a length are known by the name that they are sent under and a digest of their
    /// content, for which all of it is read once before anything is sent.
    ///
    /// If the request that makes the file was sent and its answer did not come, the same content is looked for on the service before
    /// anything is sent. Other content then ends with [`Error::AmbiguousCheckpoint`], unless [`start_over`](Self::start_over) is asked
    /// for.
    ///
    /// It takes the place of [`resume`](Self::resume) and [`save_to`](Self::save_to).
    pub fn resume_in(mut self, directory: CheckpointDir) -> Self {
        self.resume_in = Some(directory);
        self
    }

    /// Starts over, whatever an earlier run has left in the directory of [`resume_in`](Self::resume_in).
    pub fn start_over(mut self) -> Self {
        self.resumes = false;
        self
    }

    /// Keeps checkpoints there: see [`Upload::save_to`]. Content that has nothing but a length is read once before it is sent, for a
    /// digest by which [`resume`](Self::resume) knows it.
    pub fn save_to(mut self, store: impl CheckpointStore<Checkpoint>) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Stops the upload once this future ends, to be resumed later: see [`Upload::stop_when`].
    pub fn stop_when(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.signals.stop = Some(Box::pin(signal));
        self
    }

    /// Gives the upload up once this future ends, on the service too; it then ends as cancelled.
    pub fn cancel_when(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.signals.cancel = Some(Box::pin(signal));
        self
    }

    /// Stops the upload this long after it is awaited or [prepared](Self::prepare), to be resumed later, as
    /// [`stop_when`](Upload::stop_when) does: nothing new is sent then, what is in flight has five seconds to be acknowledged, and
    /// the checkpoint stays. It ends with [`Error::TimedOut`], whose [kind](Error::kind) is
    /// [`Timeout`](crate::ErrorKind::Timeout). By default an upload may take as long as its bytes move.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Calls `told` with the progress, a few times a second and at every answer, on the task that awaits the upload.
    pub fn on_progress(mut self, told: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.on_progress = Some(Box::new(told));
        self
    }

    /// Makes the upload ready without sending anything, for those who want to watch its [`progress`](Upload::progress)
    /// themselves. What [`on_progress`](Self::on_progress) was given is not called.
    ///
    /// # Errors
    /// [`Error::Source`], [`Error::Plan`] and [`Error::Resume`], as above.
    pub async fn prepare(self) -> Result<Upload, Error> {
        Ok(self.ready().await?.0)
    }

    async fn ready(mut self) -> Result<(Upload, Option<OnProgress>), Error> {
        let mut signals = mem::take(&mut self.signals);
        signals.deadline = self.limit.map(Deadline::begin);
        let (unread, on_progress) = (self.unread(), self.on_progress.take());
        match signals.heard_during(self.opened()).await {
            Heard::Nothing(opened) => {
                let mut upload = opened?;
                upload.signals = signals;
                Ok((upload, on_progress))
            }
            Heard::Stop => Err(unread.stopped()),
            Heard::OutOfTime(deadline) => Err(deadline.passed(Some(unread.stopped()))),
            Heard::Cancel => Err(unread.cancelled()),
        }
    }

    fn unread(&self) -> UnreadUpload {
        let checkpoint = match (&self.resume_in, &self.saved) {
            (Some(directory), _) if self.resumes => UnreadCheckpoint::In(directory.clone()),
            (None, Some(saved)) => UnreadCheckpoint::Given(Box::new(saved.clone())),
            _ => UnreadCheckpoint::None,
        };
        let path = match &self.content {
            GivenContent::File(path) => Some(path.clone()),
            GivenContent::Source(_) | GivenContent::Stream(_) => None,
        };
        UnreadUpload { client: self.client.clone(), plan: self.plan.clone(), path, checkpoint }
    }

    /// Returns `true` if content that has nothing but a length gets the identity that another run knows it by. A checkpoint that was
    /// made without one is compared by the length.
    fn is_identified(&self, is_once_enough: bool) -> bool {
        match &self.saved {
            Some(saved) if self.resume_in.is_none() => {
                saved.source().identity.is_some() || matches!(self.content, GivenContent::Stream(_))
            }
            _ => !is_once_enough,
        }
    }

    async fn opened(mut self) -> Result<Upload, Error> {
        let is_once_enough = self.resume_in.is_none() && self.saved.is_none() && self.store.is_none();
        let is_identified = self.is_identified(is_once_enough);
        let is_temporary = matches!(self.content, GivenContent::Stream(_));
        let (source, path) =
            self.content.open(&self.client, &mut self.plan, self.length, is_once_enough).await?;
        let source = match is_identified {
            true => identified(source, is_temporary, &self.client).await?,
            false => source,
        };
        let entry = match &self.resume_in {
            Some(directory) => {
                let subject = subject(path.as_deref(), &self.plan, &self.client).map_err(SourceError::new)?;
                Some(directory.enter(&subject).await?)
            }
            None => None,
        };
        let mut upload = match (entry, self.saved) {
            (Some(entry), _) => unfinished(self.client, source, self.plan, entry, self.resumes).await?,
            (None, Some(saved)) => Upload::resume(self.client, source, self.plan, saved).await?,
            (None, None) => Upload::begin(self.client, source, self.plan).await?,
        };
        upload.store = upload.store.or(self.store);
        Ok(upload)
    }
}

/// The upload from where an earlier run was, if there was one and its source is still the same; else from the beginning.
async fn unfinished(
    client: Client,
    source: AnySource,
    plan: Plan,
    entry: UnfinishedUpload,
    resumes: bool,
) -> Result<Upload, Error> {
    let saved = match resumes {
        true => entry.load().map_err(Error::Checkpoint)?,
        false => None,
    };
    let resumed = match saved {
        None => None,
        Some(saved) => {
            // One that has expired since is as if it had never been.
            let mut plan = plan.clone();
            plan.restart_when_expired = true;
            let may_have_made_a_file = saved.may_have_made_a_file();
            match Upload::resume(client.clone(), source.clone(), plan, saved).await {
                Ok(upload) => {
                    entry.take_over();
                    Some(upload)
                }
                // What was sent cannot be looked for without its content, and starting over might make a second file.
                Err(Error::Resume(ResumeError::SourceChanged { difference })) if may_have_made_a_file => {
                    return Err(Error::AmbiguousCheckpoint { difference });
                }
                Err(Error::Resume(ResumeError::SourceChanged { difference })) => {
                    tracing::info!(
                        difference,
                        "the checkpoint of an earlier run does not match the source: starting over"
                    );
                    None
                }
                Err(error) => return Err(error),
            }
        }
    };
    let mut upload = match resumed {
        Some(upload) => upload,
        None => Upload::begin(client, source, plan).await?,
    };
    upload.store = Some(Arc::new(entry.store()));
    upload.entry = Some(entry);
    Ok(upload)
}

type OnProgress = Box<dyn FnMut(&Progress) + Send>;

impl IntoFuture for UploadBuilder {
    type Output = Result<File, Error>;
    type IntoFuture = BoxFuture<'static, Result<File, Error>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (upload, told) = self.ready().await?;
            match told {
                None => upload.run().await,
                Some(told) => run_telling(upload.progress(), told, upload.run()).await,
            }
        })
    }
}

impl fmt::Debug for UploadBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadBuilder").field("plan", &self.plan).finish_non_exhaustive()
    }
}
