//! A blob on its way into the store.

use std::{future, mem, sync::Arc};

use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload, PutPayloadMut, path::Path};
use tokio::{runtime::Handle, task::JoinHandle};

use super::{
    Budget,
    budget::Share,
    gathered::Gathered,
    pieces::{Held, PIECE},
};
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
    buffer: Buffer,
    total: u64,
    unfinished: Option<Unfinished>,
}

/// The bytes that came since the last write.
enum Buffer {
    /// For a folder or memory: a few hundred kilobytes, while as many are written.
    Near { gathered: PutPayloadMut, share: Share },
    /// For a store elsewhere: pieces of one size, written one after the other.
    Pieces { gathered: Gathered, held: Arc<Held> },
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
        let place = Place { choose: Box::new(choose), chosen: None };
        let buffer = if store.is_exact() {
            Buffer::Near { gathered: PutPayloadMut::new(), share: budget.join() }
        } else {
            let held = Arc::new(store.pieces.join());
            Buffer::Pieces { gathered: Gathered::new(held.blocks()), held }
        };
        Self { store, place, buffer, total: 0, unfinished: None }
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
        match &mut self.buffer {
            Buffer::Near { gathered, share } => {
                if bytes.len() < WORTH_KEEPING {
                    gathered.extend_from_slice(&bytes);
                } else {
                    gathered.push(bytes);
                }
                if gathered.content_length() >= share.bytes() {
                    let flushed = self.flush().await;
                    self.store.noted(flushed)?;
                }
                Ok(())
            }
            Buffer::Pieces { .. } => self.write_pieces(&bytes).await,
        }
    }

    /// A piece is written when more comes: what fits into one goes as one object, without an upload of pieces.
    async fn write_pieces(&mut self, mut bytes: &[u8]) -> Result<(), StoreError> {
        while !bytes.is_empty() {
            let Buffer::Pieces { gathered, held } = &mut self.buffer else { return Ok(()) };
            if gathered.len() == PIECE {
                self.flush().await?;
                continue;
            }
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - gathered.len()));
            held.take(now.len()).await?;
            gathered.extend(now);
            bytes = later;
        }
        Ok(())
    }

    /// Waits until others need the memory that this writer holds more than it does: then it is to be given up.
    pub(crate) fn revoked(&self) -> impl Future<Output = ()> + Send + use<N> {
        let revoked = match &self.buffer {
            Buffer::Near { .. } => None,
            Buffer::Pieces { held, .. } => Some(held.revoked()),
        };
        async {
            match revoked {
                Some(revoked) => revoked.await,
                None => future::pending().await,
            }
        }
    }

    /// Writes what is left, makes the blob durable and then visible. Returns its name and how many bytes it has.
    pub(crate) async fn finish(mut self) -> Result<(N, u64), StoreError> {
        let finished = self.complete().await;
        let name = self.store.noted(finished)?;
        Ok((name, self.total))
    }

    async fn complete(&mut self) -> Result<N, StoreError> {
        if self.unfinished.is_none() {
            let payload = self.buffer.take();
            let (name, path) = self.place.take();
            self.store.objects.put(&path, payload).await?;
            return Ok(name);
        }
        if !self.buffer.is_empty() {
            self.flush().await?;
        }
        if let Some(unfinished) = &mut self.unfinished {
            if let Err(error) = unfinished.complete().await {
                // The answer to a completion that was done may have been lost, and then it cannot be done again.
                if self.store.is_exact() || !self.is_whole().await {
                    return Err(error.into());
                }
            }
        }
        self.unfinished = None;
        let (name, _) = self.place.take();
        Ok(name)
    }

    /// Says whether all of the blob is in the store. Nobody else writes to its place.
    async fn is_whole(&mut self) -> bool {
        let meta = self.store.objects.head(self.place.path()).await;
        meta.is_ok_and(|meta| meta.size == self.total)
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let payload = self.buffer.take();
        let unfinished = match &mut self.unfinished {
            Some(unfinished) => unfinished,
            none => {
                let upload = begin(&self.store, self.place.path()).await?;
                none.insert(Unfinished { upload, writing: None })
            }
        };
        unfinished.settle().await?;
        unfinished.writing = Some(tokio::spawn(unfinished.upload.put_part(payload)));
        if let Buffer::Pieces { held, .. } = &self.buffer {
            // One piece in memory, not two.
            unfinished.settle().await?;
            held.give_back();
        }
        Ok(())
    }
}

impl Buffer {
    fn is_empty(&self) -> bool {
        match self {
            Self::Near { gathered, .. } => gathered.is_empty(),
            Self::Pieces { gathered, .. } => gathered.len() == 0,
        }
    }

    fn take(&mut self) -> PutPayload {
        match self {
            Self::Near { gathered, .. } => mem::take(gathered).freeze(),
            Self::Pieces { gathered, .. } => gathered.take(),
        }
    }
}

/// Begins a blob of several pieces. Where the answer is lost it is begun again; the first one stays behind, as after a crash.
async fn begin(store: &Store, path: &Path) -> Result<Box<dyn MultipartUpload>, StoreError> {
    match store.objects.put_multipart(path).await.map_err(StoreError::from) {
        Err(error) if error.is_lost() => Ok(store.objects.put_multipart(path).await?),
        begun => begun,
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
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let written = writing.await;
        self.writing = None;
        written?
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
            // Until nothing of it is on its way any more.
            let held = match &self.buffer {
                Buffer::Near { .. } => None,
                Buffer::Pieces { held, .. } => Some(held.clone()),
            };
            runtime.spawn(async move {
                let _held = held;
                // Taking back what a running write still writes to would leave a part of it behind.
                let _ = unfinished.settle().await;
                if let Err(error) = unfinished.upload.abort().await {
                    tracing::warn!(%path, error = &error as &dyn std::error::Error, "an unfinished blob stays behind");
                }
            });
        }
    }
}
