//! A blob on its way into the store.

use std::mem;

use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload, path::Path};
use tokio::{runtime::Handle, task::JoinHandle};

use super::CHUNK;
use crate::store::{Store, StoreError};

/// Writes one blob as its bytes arrive. Nothing is to be seen of it before [`finish`](Self::finish) has returned; a
/// writer that is dropped earlier takes back what it has written.
pub(crate) struct BlobWriter {
    store: Store,
    path: Path,
    /// Slices as they came, uncopied, until they are worth a write.
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
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
    pub(crate) fn new(store: Store, path: Path) -> Self {
        Self { store, path, gathered: Vec::new(), gathered_bytes: 0, total: 0, unfinished: None }
    }

    /// How many bytes were given to the writer.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Takes the next bytes; waits when the store is slower than they come.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.total += bytes.len() as u64;
        self.gathered_bytes += bytes.len();
        self.gathered.push(bytes);
        if self.gathered_bytes >= CHUNK {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes what is left, makes the blob durable and then visible. Says how many bytes it has.
    pub(crate) async fn finish(mut self) -> Result<u64, StoreError> {
        if self.unfinished.is_none() {
            let payload = self.take_gathered();
            self.store.objects.put(&self.path, payload).await?;
            return Ok(self.total);
        }
        if self.gathered_bytes > 0 {
            self.flush().await?;
        }
        if let Some(mut unfinished) = self.unfinished.take() {
            match unfinished.complete().await {
                Ok(()) => {}
                Err(error) => {
                    self.unfinished = Some(unfinished);
                    return Err(error.into());
                }
            }
        }
        Ok(self.total)
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let payload = self.take_gathered();
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

    fn take_gathered(&mut self) -> PutPayload {
        self.gathered_bytes = 0;
        mem::take(&mut self.gathered).into_iter().collect()
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
