//! Uploads: one file's way to the service.

mod builder;
mod content;
mod hasher;
mod identity;
mod job;
mod trace;
mod unread;

use std::{fmt, sync::Arc};

use partwise_models::File;
use partwise_protocol::{
    machine::Machine as _,
    upload::{Checkpoint, Plan, Progress, UploadMachine},
};
use tokio::sync::watch;
use tracing::Instrument;

pub use self::builder::UploadBuilder;
use self::job::UploadJob;
use crate::{
    AnySource, CheckpointStore, Client, Error, UnfinishedUpload,
    driver::{Driver, Signals, StoreOf},
    reading::Reader,
};

/// An upload that is ready to run.
///
/// ```no_run
/// use partwise::{CheckpointFile, Client, Purpose};
///
/// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let upload = client
///     .upload_file("data/train.jsonl", Purpose::FineTune)
///     .save_to(CheckpointFile::at("data/train.jsonl.partwise"))
///     .cancel_when(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
///     .prepare()
///     .await?;
/// let mut progress = upload.progress();
/// tokio::spawn(async move {
///     while progress.changed().await.is_ok() {
///         let now = progress.borrow_and_update();
///         eprintln!("{} of {} bytes", now.bytes_acknowledged, now.bytes_total);
///     }
/// });
/// let file = upload.run().await?;
/// println!("{}", file.id);
/// # Ok(())
/// # }
/// ```
/// # Tracing
/// An upload is a span `upload` (info): `service`, `dialect`, `route` (`parts` or `single`, recorded again when a single request
/// goes in parts after all), `bytes`, `id` once the service has given one, and when it ends or is dropped, `attempts`, `retries`,
/// `bytes_sent`, `bytes_acknowledged` and `waited_ms`, as [`Statistics`](partwise_protocol::upload::Statistics) counts them. Each
/// request is a span `attempt` (debug) in it: `operation`, `part` and `number` as
/// [`Attempt`](partwise_protocol::machine::Attempt) has them, and in the end `status`, or `failure` with the kind of failure, or
/// `abandoned`.
///
/// Events in the upload's span: how it ended (info), what is tried again and why (debug), that the service asked for
/// patience, and what [`Warning`](partwise_protocol::upload::Warning) says (both warn). Keys and bodies are in none of them.
#[must_use = "nothing is sent before it runs"]
pub struct Upload {
    client: Client,
    reader: Reader,
    /// Boxed, so that futures that hold an upload stay small.
    transfer: Box<UploadMachine>,
    store: Option<StoreOf<UploadJob>>,
    /// The upload in a directory of unfinished ones, which it is in until the end.
    entry: Option<UnfinishedUpload>,
    is_resumed: bool,
    signals: Signals,
    progress: watch::Sender<Progress>,
}

impl Upload {
    async fn begin(client: Client, source: AnySource, mut plan: Plan) -> Result<Self, Error> {
        let client = client.with_retry_of(&mut plan.retry);
        let reader = Reader::new(source, client.reading);
        let stamp = reader.clone().stamp().await?;
        let machine = UploadMachine::new(client.api().clone(), plan, stamp, client.system.entropy()?)?;
        let machine = machine.with_service(&client.state);
        Ok(Self::new(client, reader, machine))
    }

    async fn resume(
        client: Client,
        source: AnySource,
        mut plan: Plan,
        saved: Checkpoint,
    ) -> Result<Self, Error> {
        let client = client.with_retry_of(&mut plan.retry);
        let reader = Reader::new(source, client.reading);
        let stamp = reader.clone().stamp().await?;
        let machine =
            UploadMachine::resume(client.api().clone(), plan, saved, stamp, client.system.entropy()?)?;
        let machine = machine.with_service(&client.state);
        Ok(Self { is_resumed: true, ..Self::new(client, reader, machine) })
    }

    fn new(client: Client, reader: Reader, transfer: UploadMachine) -> Self {
        let progress = watch::Sender::new(transfer.progress());
        let transfer = Box::new(transfer);
        Self {
            client,
            reader,
            transfer,
            store: None,
            entry: None,
            is_resumed: false,
            signals: Signals::default(),
            progress,
        }
    }

    /// Keeps checkpoints there, so that [`UploadBuilder::resume`] can go on after a crash. The last one is removed when the
    /// file is complete, and when the upload has ended in a way that cannot be gone on from. By default none are kept.
    pub fn save_to(mut self, store: impl CheckpointStore<Checkpoint>) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Stops the upload once this future ends, to be resumed later: nothing new is sent, what is under way has five
    /// seconds to be acknowledged, and the checkpoint that is saved last knows of all that was. It then ends with
    /// [`UploadError::Stopped`](partwise_protocol::upload::UploadError). Dropping [`run`](Self::run)'s future instead stops at
    /// once; the checkpoint then knows of all but what was acknowledged at that moment.
    pub fn stop_when(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.signals.stop = Some(Box::pin(signal));
        self
    }

    /// Gives the upload up once this future ends, on the service too; it then ends as cancelled.
    pub fn cancel_when(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.signals.cancel = Some(Box::pin(signal));
        self
    }

    /// How far the upload is, now and while it runs: a few times a second and at every answer. The channel closes with
    /// the upload.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Uploads. Everything that it starts, connections to a service that has stopped reading included, ends when this
    /// future is dropped.
    ///
    /// # Errors
    /// [`Error::Upload`]; whether it can be resumed is said by [`Error::is_resumable`].
    pub async fn run(self) -> Result<File, Error> {
        let clock = self.client.clocks();
        let job = UploadJob::new(self.client, self.transfer, self.reader, self.progress);
        let span = job.span().clone();
        let driver = Driver::new(job, clock, self.store).resumed(self.is_resumed);
        // Boxed, so that the futures of those who upload stay small.
        let result = Box::pin(driver.run(self.signals)).instrument(span).await;
        if let Some(entry) = self.entry {
            entry.close().await;
        }
        result
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("progress", &*self.progress.borrow()).finish_non_exhaustive()
    }
}
