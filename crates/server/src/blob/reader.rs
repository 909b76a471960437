//! Blobs on their way out of the store.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    ops::Range,
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use md5::{Digest as _, Md5};
use object_store::{GetOptions, GetRange, GetResultPayload, path::Path};

use crate::{
    layout,
    record::{FileRecord, Piece},
    store::{Store, StoreError},
    tenant::Tenant,
};

/// How many bytes are read at once: smaller pieces cost more hand-overs between threads than they save.
const CHUNK: usize = 256 * 1024;

pub(crate) type Chunks = BoxStream<'static, Result<Bytes, StoreError>>;
pub(crate) type Stretches = BoxStream<'static, Result<Opened, StoreError>>;

/// A stretch of one blob that is open for reading.
pub(crate) enum Opened {
    /// A file on a local disk, and which of its bytes.
    File(File, Range<u64>),
    Chunks(Chunks),
}

/// The bytes of a file from `range.start` up to `range.end`, blob by blob.
///
/// The first blob is opened before this returns, so that a file whose bytes are gone is refused instead of broken off.
pub(crate) async fn read(
    store: &Store,
    tenant: &Tenant,
    file: &FileRecord,
    range: Range<u64>,
) -> Result<Stretches, StoreError> {
    let mut stretches = stretches(tenant, &file.content, range).into_iter();
    let Some(first) = stretches.next() else { return Ok(stream::empty().boxed()) };
    let first = open(store.clone(), first).await?;
    let store = store.clone();
    let rest = stream::iter(stretches).then(move |stretch| open(store.clone(), stretch));
    Ok(stream::once(async { Ok(first) }).chain(rest).boxed())
}

/// The MD5 of a whole file.
pub(crate) async fn md5(store: &Store, tenant: &Tenant, file: &FileRecord) -> Result<[u8; 16], StoreError> {
    let mut chunks =
        read(store, tenant, file, 0..file.bytes).await?.map_ok(Opened::into_chunks).try_flatten();
    let mut hash = Md5::new();
    while let Some(chunk) = chunks.next().await.transpose()? {
        // Half a millisecond of computing a chunk: too long for a thread that also serves connections.
        hash = blocking(move || Ok(hash.chain_update(chunk))).await?;
    }
    Ok(hash.finalize().into())
}

/// A stretch of one blob.
struct Stretch {
    path: Path,
    /// What the blob must have.
    bytes: u64,
    range: Range<u64>,
}

fn stretches(tenant: &Tenant, content: &[Piece], wanted: Range<u64>) -> Vec<Stretch> {
    let mut start = 0;
    let mut stretches = Vec::new();
    for piece in content {
        let end = start + piece.bytes;
        let range = wanted.start.max(start)..wanted.end.min(end);
        if range.start < range.end {
            let path = layout::blob(tenant, &piece.blob);
            stretches.push(Stretch {
                path,
                bytes: piece.bytes,
                range: range.start - start..range.end - start,
            });
        }
        start = end;
    }
    stretches
}

async fn open(store: Store, stretch: Stretch) -> Result<Opened, StoreError> {
    let Stretch { path, bytes, range } = stretch;
    let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
    let answer = store.objects.get_opts(&path, options).await?;
    if answer.meta.size != bytes {
        return Err(StoreError::Damaged { path, expected: bytes, found: answer.meta.size });
    }
    Ok(match answer.payload {
        GetResultPayload::File(file, _) => Opened::File(file, answer.range),
        GetResultPayload::Stream(stream) => Opened::Chunks(stream.map_err(StoreError::from).boxed()),
    })
}

impl Opened {
    /// The bytes, in memory a chunk at a time.
    pub(crate) fn into_chunks(self) -> Chunks {
        match self {
            // The store's own stream reads 8 KiB at a time, each on another thread.
            Self::File(file, range) => file_chunks(file, range),
            Self::Chunks(chunks) => chunks,
        }
    }
}

fn file_chunks(file: File, range: Range<u64>) -> Chunks {
    stream::try_unfold((file, range), |(mut file, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let wanted = (range.end - range.start).min(CHUNK as u64);
        let read = move || {
            let mut chunk = Vec::with_capacity(wanted as usize);
            file.seek(SeekFrom::Start(range.start))?;
            let read = (&mut file).take(wanted).read_to_end(&mut chunk)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(Some((Bytes::from(chunk), (file, range.start + read as u64..range.end))))
        };
        blocking(read).await
    })
    .boxed()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other).and_then(|done| done);
    done.map_err(StoreError::Read)
}
