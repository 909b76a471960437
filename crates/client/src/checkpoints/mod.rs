//! Where checkpoints survive a crash.

mod directory;
mod file;
mod journal;

use std::{any::Any, error::Error, sync::Arc};

use futures_util::future::BoxFuture;

pub use self::{
    directory::{
        CheckpointDir, CheckpointDirError, FoundUpload, UnfinishedCheckpoint, UnfinishedUpload, UploadSubject,
    },
    file::CheckpointFile,
    journal::CheckpointJournal,
};
use partwise_net::BoxError;

pub(crate) use self::directory::is_of_file;

/// Keeps the last checkpoint of one upload ([`Checkpoint`](partwise_protocol::upload::Checkpoint)) or one download
/// ([`DownloadCheckpoint`](partwise_protocol::download::DownloadCheckpoint)): a file ([`CheckpointFile`], [`CheckpointJournal`]), or a row
/// of your own database. One call is under way at a time.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use partwise::{CheckpointStore, protocol::upload::Checkpoint};
///
/// /// A row of a database, here in memory.
/// #[derive(Clone, Default)]
/// struct Row(Arc<Mutex<Option<String>>>);
///
/// impl CheckpointStore<Checkpoint> for Row {
///     type Error = std::io::Error;
///
///     async fn save(&self, checkpoint: Checkpoint) -> Result<(), Self::Error> {
///         *self.0.lock().unwrap() = Some(checkpoint.to_json());
///         Ok(())
///     }
///
///     async fn remove(&self) -> Result<(), Self::Error> {
///         *self.0.lock().unwrap() = None;
///         Ok(())
///     }
/// }
///
/// # async fn example(client: partwise::Client, row: Row) -> Result<(), Box<dyn std::error::Error>> {
/// let upload = client.upload_file("train.jsonl", partwise::Purpose::FineTune).save_to(row.clone());
/// let saved = row.0.lock().unwrap().clone();
/// let upload = match saved {
///     Some(json) => upload.resume(Checkpoint::from_json(json.as_bytes())?),
///     None => upload,
/// };
/// let file = upload.await?;
/// # Ok(())
/// # }
/// ```
pub trait CheckpointStore<C>: Send + Sync + 'static {
    /// The cause when a checkpoint cannot be kept or forgotten.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Puts this checkpoint in the place of the one before. When it is ready, the checkpoint must survive a crash. It
    /// is dropped half-way when the upload or download is; then either checkpoint may be the last one.
    ///
    /// # Errors
    /// When that cannot be promised; the upload or download then ends, since going on would risk a second file after a crash,
    /// or lose what was received.
    fn save(&self, checkpoint: C) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Forgets the checkpoint: the file is complete, or nothing can be resumed.
    ///
    /// A store may keep it until somebody was told of the file: resuming an upload from it finds that file and makes no other.
    ///
    /// # Errors
    /// When it cannot be removed. The upload or download has ended all the same, so this is only logged.
    fn remove(&self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// A lock that is shared by all that is at work on one upload or download.
pub(crate) type Held = Arc<dyn Any + Send + Sync>;

/// Any store behind one type.
pub(crate) trait AnyCheckpoints<C>: Send + Sync {
    fn keep(self: Arc<Self>, checkpoint: C) -> BoxFuture<'static, Result<(), BoxError>>;
    fn forget(self: Arc<Self>) -> BoxFuture<'static, Result<(), BoxError>>;
}

impl<C: Send + 'static, S: CheckpointStore<C>> AnyCheckpoints<C> for S {
    fn keep(self: Arc<Self>, checkpoint: C) -> BoxFuture<'static, Result<(), BoxError>> {
        Box::pin(async move { self.save(checkpoint).await.map_err(Into::into) })
    }

    fn forget(self: Arc<Self>) -> BoxFuture<'static, Result<(), BoxError>> {
        Box::pin(async move { self.remove().await.map_err(Into::into) })
    }
}
