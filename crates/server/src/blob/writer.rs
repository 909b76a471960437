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
///
/// `N` is what the blob is called. It is not asked for before bytes are written.
pub(crate) struct BlobWriter<N> {
    store: Store,
    place: Place<N>,
    /// The bytes that came since the last write.
    gathered: PutPayloadMut,
    share: Share,
    total: u64,
    unfinished: Option<Unfinished>,
}

/// Where the blob goes, and its name.
struct Place<N> {
    choose: Box<dyn Fn() -> (N, Path) + Send>,
    chosen: Option<(N, Path)>,
}

/// A blob that was too large for one write.
struct Unfinished {
    upload: Box<dyn MultipartUpload>,
    /// The write of the previous chunk, which runs while the next one gathers.
    writing: Option<JoinHandle<object_store::Result<()>>>,
}

impl<N> BlobWriter<N> {
    /// A writer to the place that `choose` says, which is called once.
    pub(crate) fn new(
        store: Store,
        choose: impl Fn() -> (N, Path) + Send + 'static,
        budget: &Budget,
    ) -> Self {
        let (place, share) = (Place { choose: Box::new(choose), chosen: None }, budget.join());
        Self { store, place, gathered: PutPayloadMut::new(), share, total: 0, unfinished: None }
    }

    /// The number of bytes that were given to the writer.
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

    /// Writes what is left, makes the blob durable and then visible. Returns its name and how many bytes it has.
    pub(crate) async fn finish(mut self) -> Result<(N, u64), StoreError> {
        let finished = self.complete().await;
        let name = self.store.noted(finished)?;
        Ok((name, self.total))
    }

    async fn complete(&mut self) -> Result<N, StoreError> {
        if self.unfinished.is_none() {
            let payload = mem::take(&mut self.gathered).freeze();
            let (name, path) = self.place.take();
            self.store.objects.put(&path, payload).await?;
            return Ok(name);
        }
        if !self.gathered.is_empty() {
            self.flush().await?;
        }
        if let Some(unfinished) = &mut self.unfinished {
            unfinished.complete().await?;
        }
        self.unfinished = None;
        let (name, _) = self.place.take();
        Ok(name)
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let payload = mem::take(&mut self.gathered).freeze();
        let unfinished = match &mut self.unfinished {
            Some(unfinished) => unfinished,
            none => {
                let upload = self.store.objects.put_multipart(self.place.path()).await?;
                none.insert(Unfinished { upload, writing: None })
            }
        };
        unfinished.settle().await?;
        unfinished.writing = Some(tokio::spawn(unfinished.upload.put_part(payload)));
        Ok(())
    }
}

impl<N> Place<N> {
    fn path(&mut self) -> &Path {
        let (_, path) = self.chosen.get_or_insert_with(|| (self.choose)());
        path
    }

    fn take(&mut self) -> (N, Path) {
        self.chosen.take().unwrap_or_else(|| (self.choose)())
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

impl<N> Drop for BlobWriter<N> {
    fn drop(&mut self) {
        let Some(mut unfinished) = self.unfinished.take() else { return };
        // Without a runtime the process is ending, and the sweeper finds what is left.
        if let Ok(runtime) = Handle::try_current() {
            let path = self.place.path().clone();
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
