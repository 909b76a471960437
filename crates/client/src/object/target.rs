//! Objects as targets.

use std::{fmt, io, mem, sync::Arc};

use bytes::Bytes;
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutPayload,
    Result as StoreResult, path::Path,
};
use tokio::{sync::Mutex, task::JoinSet};

use crate::{AnyTarget, AsyncTarget, IntoTarget};

/// The bytes of a part, unless the file needs larger ones.
const PART: u64 = 8 * 1024 * 1024;

/// The most parts of an object that every store takes.
const MOST_PARTS: u64 = 10_000;

/// Parts that are on their way to the store at the same time.
const IN_FLIGHT: usize = 4;

/// An object in a store of the crate [`object_store`] that a download is written to, without a copy on a disk.
///
/// Stores cannot write at an offset, so the bytes have to come in order: one range is asked for at a time, and its bytes go on to the
/// store in parts. A part has 8 MiB, or more for files of more than 78 GiB (a ten-thousandth of the file); four are in flight while the
/// next one is gathered. So the target holds up to 40 MiB; [`part_size`](Self::part_size) and [`parts_in_flight`](Self::parts_in_flight)
/// change that. A file of one part is one request.
///
/// The object appears, and replaces one at the same path, when it is complete; a download that fails leaves nothing. One whose future is
/// dropped may leave parts that are invisible: stores have lifecycle rules that remove such parts.
///
/// A download to an object cannot be resumed by another run, so one with [checkpoints](crate::FileDownload::save_to) ends with an error.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use object_store::{ObjectStore, path::Path};
/// use partwise::{Client, ObjectTarget};
///
/// # async fn example(client: Client, store: Arc<dyn ObjectStore>) -> Result<(), partwise::Error> {
/// let target = ObjectTarget::new(store, Path::from("results/batch.jsonl"));
/// let length = client.download_to("file-abc123", target).await?;
/// println!("{length} bytes");
/// # Ok(())
/// # }
/// ```
pub struct ObjectTarget {
    store: Arc<dyn ObjectStore>,
    path: Path,
    part_size: Option<u64>,
    parts_in_flight: usize,
    object: Mutex<UnfinishedObject>,
}

/// What was written so far. Whatever is awaited may be dropped at that point: no byte is lost, and none comes twice.
#[derive(Default)]
struct UnfinishedObject {
    /// The length that the object will have, once it is known.
    announced: Option<u64>,
    /// How many bytes were written.
    length: u64,
    /// The last of them, which are not on their way yet: at most one part.
    gathered: Vec<Bytes>,
    gathered_length: u64,
    upload: Option<Box<dyn MultipartUpload>>,
    parts: JoinSet<StoreResult<()>>,
}

impl ObjectTarget {
    /// The object at `path`. Nothing is asked for yet.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, path: Path) -> Self {
        Self { store, path, part_size: None, parts_in_flight: IN_FLIGHT, object: Mutex::default() }
    }

    /// Sends parts of exactly this many bytes, but for the last one. Most stores take at least 5 MiB, and at most 10,000 parts.
    #[must_use]
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.part_size = Some(bytes.max(1));
        self
    }

    /// Keeps at most this many parts in flight; at least one.
    #[must_use]
    pub fn parts_in_flight(mut self, parts: usize) -> Self {
        self.parts_in_flight = parts.max(1);
        self
    }

    /// The path of the object in its store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn size_of_parts(&self, announced: Option<u64>) -> u64 {
        self.part_size
            .unwrap_or_else(|| announced.map_or(PART, |length| PART.max(length.div_ceil(MOST_PARTS))))
    }

    /// Sends what was gathered as a part, once there is room for it.
    async fn send_part(&self, object: &mut UnfinishedObject) -> StoreResult<()> {
        if object.upload.is_none() {
            let options = PutMultipartOptions::default();
            object.upload = Some(self.store.put_multipart_opts(&self.path, options).await?);
        }
        object.parts_below(self.parts_in_flight).await?;
        if let Some(upload) = &mut object.upload {
            let part = upload.put_part(object.gathered.drain(..).collect());
            object.gathered_length = 0;
            object.parts.spawn(part);
        }
        Ok(())
    }

    async fn append(&self, object: &mut UnfinishedObject, mut bytes: Bytes) -> StoreResult<()> {
        while !bytes.is_empty() {
            let room = self.size_of_parts(object.announced) - object.gathered_length;
            if room == 0 {
                self.send_part(object).await?;
                continue;
            }
            let now = bytes.split_to(bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            object.length += now.len() as u64;
            object.gathered_length += now.len() as u64;
            object.gathered.push(now);
        }
        Ok(())
    }

    async fn complete(&self, object: &mut UnfinishedObject) -> StoreResult<()> {
        if object.upload.is_none() {
            let payload: PutPayload = object.gathered.iter().cloned().collect();
            self.store.put(&self.path, payload).await?;
            return Ok(());
        }
        if object.gathered_length > 0 {
            self.send_part(object).await?;
        }
        object.parts_below(1).await?;
        if let Some(upload) = &mut object.upload {
            upload.complete().await?;
        }
        Ok(())
    }
}

impl UnfinishedObject {
    /// Waits until fewer parts than that are in flight.
    async fn parts_below(&mut self, limit: usize) -> StoreResult<()> {
        while self.parts.len() >= limit {
            match self.parts.join_next().await {
                Some(sent) => sent??,
                None => break,
            }
        }
        Ok(())
    }

    /// Begins again, with nothing in the store.
    async fn abandon(&mut self) -> StoreResult<()> {
        self.parts.shutdown().await;
        let abandoned = mem::take(self);
        self.announced = abandoned.announced;
        match abandoned.upload {
            Some(mut upload) => upload.abort().await,
            None => Ok(()),
        }
    }
}

impl AsyncTarget for ObjectTarget {
    async fn length(&self) -> io::Result<u64> {
        Ok(self.object.lock().await.length)
    }

    async fn set_length(&self, length: u64) -> io::Result<()> {
        let mut object = self.object.lock().await;
        // All parts of an object have one size.
        if object.length == 0 {
            object.announced = Some(length);
        }
        Ok(())
    }

    async fn write(&self, offset: u64, mut bytes: Bytes) -> io::Result<()> {
        let mut object = self.object.lock().await;
        // Everything comes again, and may be of another content than what came before.
        if offset == 0 && object.length > 0 {
            object.abandon().await?;
        }
        let Some(known) = object.length.checked_sub(offset) else {
            let problem = format!("bytes from {offset} on come before those from {} on", object.length);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        };
        let known = bytes.len().min(usize::try_from(known).unwrap_or(usize::MAX));
        drop(bytes.split_to(known));
        let appended = self.append(&mut object, bytes).await;
        if appended.is_err() {
            // What was written is not whole any more, and must not be completed.
            let _ = object.abandon().await;
        }
        Ok(appended?)
    }

    async fn sync(&self) -> io::Result<()> {
        let problem = "a download to an object cannot be resumed: keep no checkpoints of it";
        Err(io::Error::new(io::ErrorKind::Unsupported, problem))
    }

    async fn finish(&self, length: u64) -> io::Result<()> {
        let mut object = self.object.lock().await;
        if object.length != length {
            let problem = format!("{} bytes of {length} were written", object.length);
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        let completed = self.complete(&mut object).await;
        match completed {
            Ok(()) => *object = UnfinishedObject::default(),
            Err(_) => drop(object.abandon().await),
        }
        Ok(completed?)
    }

    async fn abort(&self) -> io::Result<()> {
        Ok(self.object.lock().await.abandon().await?)
    }

    fn is_sequential(&self) -> bool {
        true
    }
}

impl IntoTarget for ObjectTarget {
    fn into_target(self) -> AnyTarget {
        AnyTarget::from_async(self)
    }
}

impl fmt::Debug for ObjectTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectTarget").field("path", &self.path).finish_non_exhaustive()
    }
}
