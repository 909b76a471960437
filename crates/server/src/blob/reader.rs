//! Blobs on their way out of the store.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    ops::Range,
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use md5::{Digest as _, Md5};
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStoreExt as _};

use crate::{
    content::{Section, Stretch},
    layout,
    record::FileRecord,
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

/// The bytes of a section of a file, blob by blob. The stretches keep `kept` until they are dropped.
///
/// The first blob is opened before this returns, so that a file whose bytes are gone is refused instead of broken off.
pub(crate) async fn read(
    store: &Store,
    tenant: &Tenant,
    section: Section,
    kept: impl Send + 'static,
) -> Result<Stretches, StoreError> {
    let (store, tenant) = (store.clone(), tenant.clone());
    let mut stretches = section.stretches();
    let Some(first) = stretches.next() else { return Ok(stream::empty().boxed()) };
    let first = open(&store, &tenant, first).await?;
    let rest = stream::unfold((stretches, kept), move |(mut stretches, kept)| {
        let (store, tenant) = (store.clone(), tenant.clone());
        async move {
            let opened = open(&store, &tenant, stretches.next()?).await;
            Some((opened, (stretches, kept)))
        }
    });
    Ok(stream::once(async { Ok(first) }).chain(rest).boxed())
}

/// The MD5 of a whole file.
pub(crate) async fn md5(store: &Store, tenant: &Tenant, file: &FileRecord) -> Result<[u8; 16], StoreError> {
    let whole = Section::of(&file.content, 0..file.bytes);
    let mut chunks = read(store, tenant, whole, ()).await?.map_ok(Opened::into_chunks).try_flatten();
    let mut hash = Md5::new();
    while let Some(chunk) = chunks.next().await.transpose()? {
        // Half a millisecond of computing a chunk: too long for a thread that also serves connections.
        hash = blocking(move || Ok(hash.chain_update(chunk))).await?;
    }
    Ok(hash.finalize().into())
}

async fn open(store: &Store, tenant: &Tenant, stretch: Stretch) -> Result<Opened, StoreError> {
    let Stretch { blob, bytes, range } = stretch;
    let path = layout::blob(tenant, blob);
    let turn = store.read_turn().await?;
    let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
    let answer = match store.objects.get_opts(&path, options).await {
        // A range that a blob does not have is no failure that passes.
        Err(error @ object_store::Error::Generic { .. }) if !store.is_exact() => {
            return Err(match store.objects.head(&path).await {
                Ok(found) if found.size != bytes => {
                    StoreError::Damaged { path, expected: bytes, found: found.size }
                }
                _ => error.into(),
            });
        }
        answer => answer?,
    };
    if answer.meta.size != bytes {
        return Err(StoreError::Damaged { path, expected: bytes, found: answer.meta.size });
    }
    Ok(match answer.payload {
        GetResultPayload::File(file, _) => Opened::File(file, answer.range),
        GetResultPayload::Stream(stream) => {
            let chunks = stream.map_err(StoreError::from);
            Opened::Chunks(chunks.inspect(move |_| _ = &turn).boxed())
        }
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
