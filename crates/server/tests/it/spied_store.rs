//! A store that counts what is read of it, and fails when it is told to.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};
use tokio::sync::Semaphore;

const PARTS_AT_ONCE: usize = 64;

#[derive(Debug)]
pub(crate) struct SpiedStore {
    inner: Arc<dyn ObjectStore>,
    counts: Arc<Counts>,
}

/// Counts of the records of files and of the ends of uploads that were read, and the faults of the store.
#[derive(Debug)]
pub(crate) struct Counts {
    records: AtomicU64,
    bytes: AtomicU64,
    end_bytes: AtomicU64,
    /// Records of parts that may be read at once.
    parts: Semaphore,
    /// The number of records that can still be read before the store fails.
    left: AtomicU64,
    /// Objects that cannot be opened, and the error that opening them is.
    unreadable: Mutex<Vec<(Path, Unreadable)>>,
    /// Set when a record vanishes as soon as a first piece of it was read.
    vanishes: AtomicBool,
}

/// An error that one object of a store can have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unreadable {
    /// `EACCES`.
    Denied,
    /// `EIO`.
    Broken,
    /// The error that a remote store answers with a 403.
    Forbidden,
}

impl Unreadable {
    pub(crate) const ALL: [Self; 3] = [Self::Denied, Self::Broken, Self::Forbidden];

    fn error(self, path: &Path) -> object_store::Error {
        let source = match self {
            Self::Denied => io::Error::from(io::ErrorKind::PermissionDenied),
            Self::Broken => io::Error::from_raw_os_error(5),
            Self::Forbidden => {
                return object_store::Error::PermissionDenied {
                    path: path.to_string(),
                    source: "403".into(),
                };
            }
        };
        object_store::Error::Generic { store: "spied", source: Box::new(source) }
    }
}

impl Counts {
    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::SeqCst)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    /// Bytes of the ends of uploads.
    pub(crate) fn end_bytes(&self) -> u64 {
        self.end_bytes.load(Ordering::SeqCst)
    }

    /// Has readers of the records of parts wait until [`resume`](Self::resume).
    pub(crate) fn pause(&self) {
        assert_eq!(self.parts.forget_permits(PARTS_AT_ONCE), PARTS_AT_ONCE);
    }

    pub(crate) fn resume(&self) {
        self.parts.add_permits(PARTS_AT_ONCE);
    }

    pub(crate) fn fail_after(&self, records: u64) {
        self.left.store(records, Ordering::SeqCst);
    }

    pub(crate) fn make_unreadable(&self, path: &Path, kind: Unreadable) {
        self.unreadable.lock().unwrap().push((path.clone(), kind));
    }

    pub(crate) fn let_records_vanish(&self) {
        self.vanishes.store(true, Ordering::SeqCst);
    }
}

impl Counts {
    fn read_record(&self) -> Result<()> {
        self.records.fetch_add(1, Ordering::SeqCst);
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| {
            let source = io::Error::other("the disk is broken").into();
            object_store::Error::Generic { store: "spied", source }
        })
    }
}

impl SpiedStore {
    pub(crate) fn over(inner: Arc<dyn ObjectStore>) -> (Arc<dyn ObjectStore>, Arc<Counts>) {
        let counts = Arc::new(Counts {
            records: 0.into(),
            bytes: 0.into(),
            end_bytes: 0.into(),
            parts: Semaphore::new(PARTS_AT_ONCE),
            left: u64::MAX.into(),
            unreadable: Mutex::default(),
            vanishes: false.into(),
        });
        (Arc::new(Self { inner, counts: counts.clone() }), counts)
    }
}

impl fmt::Display for SpiedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a spied store")
    }
}

#[async_trait]
impl ObjectStore for SpiedStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        // Whatever is asked of an object, a local store opens it.
        if let Some((_, kind)) =
            self.counts.unreadable.lock().unwrap().iter().find(|(unreadable, _)| unreadable == path)
        {
            return Err(kind.error(path));
        }
        let (is_file, is_end) = (path.as_ref().contains("/files/"), path.as_ref().ends_with("/final.json"));
        let is_part = path.as_ref().contains("/part-");
        let _permit = if is_part { self.counts.parts.acquire().await.ok() } else { None };
        if options.head || !is_file && !is_end {
            return self.inner.get_opts(path, options).await;
        }
        if is_file {
            self.counts.read_record()?;
        }
        let mut result = self.inner.get_opts(path, options).await?;
        let counts = self.counts.clone();
        result.payload = match result.payload {
            GetResultPayload::Stream(stream) => {
                let stream = stream.inspect(move |piece| {
                    let bytes = piece.as_ref().map_or(0, bytes::Bytes::len);
                    let counter = if is_file { &counts.bytes } else { &counts.end_bytes };
                    counter.fetch_add(bytes as u64, Ordering::SeqCst);
                });
                GetResultPayload::Stream(stream.boxed())
            }
            file => file,
        };
        if self.counts.vanishes.load(Ordering::SeqCst) {
            let gone = stream::iter([Ok(path.clone())]).boxed();
            self.inner.delete_stream(gone).try_collect::<Vec<_>>().await?;
        }
        Ok(result)
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
