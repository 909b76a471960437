//! A blob on its way into the store.

use std::mem;

use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayloadMut, path::Path};
use tokio::{runtime::Handle, task::JoinHandle};

use super::{Budget, budget::Share};
use crate::store::{Store, StoreError};

/// A slice of this size is kept as it came; a smaller one costs more as a write of its own than as a copy.
const WORTH_KEEPING: usize = 4 * 1024;

/// Writes one blob as its bytes arrive. Nothing is to be seen of it before [`finish`](Self::finish) has returned; a
/// writer that is dropped earlier takes back what it has written.
pub(crate) struct BlobWriter {
    store: Store,
    path: Path,
    /// What came since the last write.
    gathered: PutPayloadMut,
    share: Share,
    total: u64,
    unfinished: Option<Unfinished>,
}

/// A blob that was too large for one write.
struct Unfinished {
    upload: Box<dyn MultipartUpload>,
    /// The write of the previous chunk, which runs while the next one gathers.
    writing: Option<JoinHandle<object_store::Result<()>>>,
}

impl BlobWriter {
    pub(crate) fn new(store: Store, path: Path, budget: &Budget) -> Self {
        let share = budget.join();
        Self { store, path, gathered: PutPayloadMut::new(), share, total: 0, unfinished: None }
    }

    /// How many bytes were given to the writer.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Takes the next bytes; waits when the store is slower than they come.
    ///
    /// # Errors
    /// When the store failed; then the writer is of no use any more.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.total += bytes.len() as u64;
        if bytes.len() < WORTH_KEEPING {
            self.gathered.extend_from_slice(&bytes);
        } else {
            self.gathered.push(bytes);
        }
        if self.gathered.content_length() >= self.share.bytes() {
            let flushed = self.flush().await;
            self.store.noted(flushed)?;
        }
        Ok(())
    }

    /// Writes what is left, makes the blob durable and then visible. Says how many bytes it has.
    pub(crate) async fn finish(mut self) -> Result<u64, StoreError> {
        let finished = self.complete().await;
        self.store.noted(finished)?;
        Ok(self.total)
    }

    async fn complete(&mut self) -> Result<(), StoreError> {
        if self.unfinished.is_none() {
            let payload = mem::take(&mut self.gathered).freeze();
            self.store.objects.put(&self.path, payload).await?;
            return Ok(());
        }
        if !self.gathered.is_empty() {
            self.flush().await?;
        }
        if let Some(unfinished) = &mut self.unfinished {
            unfinished.complete().await?;
        }
        self.unfinished = None;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let payload = mem::take(&mut self.gathered).freeze();
        let unfinished = match &mut self.unfinished {
            Some(unfinished) => unfinished,
            none => {
                let upload = self.store.objects.put_multipart(&self.path).await?;
                none.insert(Unfinished { upload, writing: None })
            }
        };
        unfinished.settle().await?;
        unfinished.writing = Some(tokio::spawn(unfinished.upload.put_part(payload)));
        Ok(())
    }
}

impl Unfinished {
    /// Waits for the write that runs.
    async fn settle(&mut self) -> object_store::Result<()> {
        match self.writing.take() {
            Some(writing) => writing.await?,
            None => Ok(()),
        }
    }

    async fn complete(&mut self) -> object_store::Result<()> {
        self.settle().await?;
        self.upload.complete().await.map(drop)
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        let Some(mut unfinished) = self.unfinished.take() else { return };
        // Without a runtime the process is ending, and the sweeper finds what is left.
        if let Ok(runtime) = Handle::try_current() {
            let path = mem::take(&mut self.path);
            runtime.spawn(async move {
                // Taking back what a running write still writes to would leave a part of it behind.
                let _ = unfinished.settle().await;
                if let Err(error) = unfinished.upload.abort().await {
                    tracing::warn!(%path, error = &error as &dyn std::error::Error, "an unfinished blob stays behind");
                }
            });
        }
    }
}
