//! Objects of other stores, up to the server and back.

use std::{
    fmt, io,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use futures_util::{TryStreamExt as _, future::BoxFuture, stream::BoxStream};
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result as StoreResult, UploadPart, local::LocalFileSystem, memory::InMemory, path::Path,
};
use partwise::{
    AnySource, AsyncTarget as _, CheckpointDir, Client, Error, ErrorKind, IntoSource as _, ObjectSource,
    ObjectTarget, Purpose,
    protocol::{retry::RetryPolicy, upload::RouteChoice},
};
use partwise_testkit::content::noise;

use crate::{
    peer::{MIB, options},
    range_peer::{ETAG, Folder, part, peer, plan, whole, within},
    service_side::embedded,
};

fn data() -> Path {
    Path::from("data/train.jsonl")
}

/// A store that notes what is asked of it, and fails where it is told to.
#[derive(Debug, Default)]
struct Noted {
    inner: InMemory,
    log: Arc<Log>,
}

#[derive(Debug, Default)]
struct Log {
    read: Mutex<Vec<Range<u64>>>,
    parts: Mutex<Vec<usize>>,
    parts_in_flight: AtomicUsize,
    most_parts_in_flight: AtomicUsize,
    puts: AtomicUsize,
    aborted: AtomicUsize,
    fails: AtomicBool,
}

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Noted")
    }
}

#[derive(Debug)]
struct NotedUpload(Box<dyn MultipartUpload>, Arc<Log>);

#[async_trait::async_trait]
impl MultipartUpload for NotedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let log = self.1.clone();
        log.parts.lock().unwrap().push(data.content_length());
        let now = log.parts_in_flight.fetch_add(1, SeqCst) + 1;
        log.most_parts_in_flight.fetch_max(now, SeqCst);
        let putting: BoxFuture<'static, _> = self.0.put_part(data);
        Box::pin(async move {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            log.parts_in_flight.fetch_sub(1, SeqCst);
            if log.fails.load(SeqCst) {
                return Err(StoreError::Generic { store: "Noted", source: "the bucket is full".into() });
            }
            putting.await
        })
    }

    async fn complete(&mut self) -> StoreResult<PutResult> {
        self.0.complete().await
    }

    async fn abort(&mut self) -> StoreResult<()> {
        self.1.aborted.fetch_add(1, SeqCst);
        self.0.abort().await
    }
}

#[async_trait::async_trait]
impl ObjectStore for Noted {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> StoreResult<PutResult> {
        self.log.puts.fetch_add(1, SeqCst);
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        let upload = self.inner.put_multipart_opts(path, options).await?;
        Ok(Box::new(NotedUpload(upload, self.log.clone())))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> StoreResult<GetResult> {
        let (is_head, result) = (options.head, self.inner.get_opts(path, options).await?);
        if !is_head {
            self.log.read.lock().unwrap().push(result.range.clone());
        }
        Ok(result)
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl Noted {
    fn store() -> (Arc<dyn ObjectStore>, Arc<Log>) {
        let store = Self::default();
        let log = store.log.clone();
        (Arc::new(store), log)
    }
}

async fn content_of(store: &Arc<dyn ObjectStore>, path: &Path) -> Bytes {
    store.get(path).await.unwrap().bytes().await.unwrap()
}

#[tokio::test]
async fn an_object_goes_up_in_parts_and_comes_down_as_an_object_in_every_store() {
    let (client, folder) = (embedded().await, tempfile::tempdir().unwrap());
    let content = noise(9 * MIB + 17);
    let on_disk = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let stores: [Arc<dyn ObjectStore>; 2] = [Arc::new(InMemory::new()), Arc::new(on_disk)];
    for store in stores {
        store.put(&data(), content.clone().into()).await.unwrap();
        let source = ObjectSource::new(store.clone(), data());
        let file = client.upload("train.jsonl", source, Purpose::FineTune).part_size(MIB).await.unwrap();
        assert_eq!(file.bytes, Some(9 * MIB + 17));

        let copy = Path::from("results/copy.jsonl");
        let target = ObjectTarget::new(store.clone(), copy.clone()).part_size(2 * MIB);
        let length = client.download_to(plan(&file.id, MIB), target).await.unwrap();
        assert_eq!(length, 9 * MIB + 17);
        assert!(content_of(&store, &copy).await == content, "{store}");
    }
}

#[tokio::test]
async fn only_the_ranges_that_are_sent_are_read_of_an_object() {
    let (client, (store, log)) = (embedded().await, Noted::store());
    store.put(&data(), noise(4 * MIB).into()).await.unwrap();
    let source = ObjectSource::new(store, data());
    client.upload("train.jsonl", source, Purpose::FineTune).part_size(MIB).await.unwrap();
    let mut read = log.read.lock().unwrap().clone();
    read.sort_by_key(|range| range.start);
    assert_eq!(read, [0..MIB, MIB..2 * MIB, 2 * MIB..3 * MIB, 3 * MIB..4 * MIB]);
}

#[tokio::test]
async fn an_object_that_is_replaced_while_it_goes_up_makes_no_file() {
    for route in [RouteChoice::Parts, RouteChoice::Single] {
        let (client, (store, _)) = (embedded().await, Noted::store());
        store.put(&data(), noise(4 * MIB).into()).await.unwrap();
        let source = ObjectSource::new(store.clone(), data());
        let upload = client.upload("train.jsonl", source, Purpose::FineTune).part_size(MIB).parallel(1);
        let upload = upload.route(route).prepare().await.unwrap();
        // Of the same length, so that nothing but the store can tell.
        store.put(&data(), vec![0; 4 << 20].into()).await.unwrap();
        let error = upload.run().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceChanged, "{error}");
        assert!(!error.is_resumable());
        let files: Vec<_> = client.files().stream().try_collect().await.unwrap();
        assert!(files.is_empty(), "{files:?}");
    }
}

#[tokio::test]
async fn a_source_whose_object_changed_can_be_uploaded_again() {
    let (client, (store, _)) = (embedded().await, Noted::store());
    let content = noise(4 * MIB);
    store.put(&data(), vec![0; 4 << 20].into()).await.unwrap();
    let source = ObjectSource::new(store.clone(), data());
    let erased = AnySource::from_async(source.clone());
    let upload = |source: AnySource| client.upload("train.jsonl", source, Purpose::FineTune).part_size(MIB);
    for source in [source.clone().into_source(), erased.clone()] {
        let upload = upload(source).prepare().await.unwrap();
        store.put(&data(), content.clone().into()).await.unwrap();
        assert_eq!(upload.run().await.unwrap_err().kind(), ErrorKind::SourceChanged);
    }
    for source in [source.clone().into_source(), source.into_source(), erased] {
        let file = upload(source).await.unwrap();
        assert_eq!(client.download(&file.id).bytes(4 * MIB).await.unwrap(), content);
    }
}

#[tokio::test]
async fn a_clone_of_a_source_reads_the_object_that_is_there_when_it_is_uploaded() {
    let (client, (store, _)) = (embedded().await, Noted::store());
    store.put(&data(), "one".into()).await.unwrap();
    let source = ObjectSource::new(store.clone(), data());
    let upload = |source| client.upload("train.jsonl", source, Purpose::FineTune).part_size(MIB);
    let first = upload(source.clone()).prepare().await.unwrap();
    store.put(&data(), "two".into()).await.unwrap();
    let second = upload(source).await.unwrap();
    assert_eq!(client.download(&second.id).bytes(3).await.unwrap(), "two");
    // The other upload has the object that it began with.
    assert_eq!(first.run().await.unwrap_err().kind(), ErrorKind::SourceChanged);
}

#[tokio::test]
async fn an_object_that_is_not_there_is_a_source_that_cannot_be_read() {
    let (client, (store, _)) = (embedded().await, Noted::store());
    let source = ObjectSource::new(store, data());
    let error = client.upload("train.jsonl", source, Purpose::FineTune).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
}

#[tokio::test]
async fn the_stamp_of_an_object_follows_its_content() {
    use partwise::AsyncSource as _;

    let (store, _) = Noted::store();
    store.put(&data(), "one".into()).await.unwrap();
    let stamp = || async { ObjectSource::new(store.clone(), data()).stamp().await.unwrap() };
    let before = stamp().await;
    assert_eq!((before.length, before.difference(&stamp().await)), (3, None));
    store.put(&data(), "two".into()).await.unwrap();
    assert!(before.difference(&stamp().await).is_some());
}

#[tokio::test]
async fn an_upload_of_an_object_is_resumed_by_the_next_run() {
    let (folder, (store, log)) = (tempfile::tempdir().unwrap(), Noted::store());
    let client = embedded().await.to_builder().retry(RetryPolicy::never()).build();
    store.put(&data(), noise(4 * MIB).into()).await.unwrap();
    let upload = |client: &Client| {
        let source = ObjectSource::new(store.clone(), data());
        let upload = client.upload("train.jsonl", source, Purpose::FineTune).part_size(MIB).parallel(1);
        upload.resume_in(CheckpointDir::at(folder.path()))
    };
    let watched = log.clone();
    let two_read = async move {
        while watched.read.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    let error = upload(&client).stop_when(two_read).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stopped);
    let before = log.read.lock().unwrap().len();
    let file = upload(&client).await.unwrap();
    assert_eq!(file.bytes, Some(4 * MIB));
    assert!(log.read.lock().unwrap().len() - before < 4, "what is stored is not read again");
}

#[tokio::test]
async fn the_parts_of_an_object_have_one_size_and_few_are_in_flight() {
    let content = noise(5 * MIB + 1);
    let served = content.clone();
    let (peer, _) = peer(move |number, range| {
        let reply = part(&served, within(range, &served), ETAG);
        if number % 2 == 0 { reply.cut(300_001) } else { reply }
    })
    .await;
    let (store, log) = Noted::store();
    let target = ObjectTarget::new(store.clone(), data()).part_size(MIB).parts_in_flight(2);
    peer.client(options()).download_to(plan("file-1", MIB), target).await.unwrap();
    assert!(content_of(&store, &data()).await == content);
    let mib = 1 << 20;
    assert_eq!(*log.parts.lock().unwrap(), [mib, mib, mib, mib, mib, 1]);
    assert!(log.most_parts_in_flight.load(SeqCst) <= 2);
    assert_eq!((log.puts.load(SeqCst), log.aborted.load(SeqCst)), (0, 0));
}

#[tokio::test]
async fn a_file_of_one_part_is_put_in_one_request_and_so_is_an_empty_one() {
    for content in [noise(700_000), Vec::new()] {
        let served = content.clone();
        let (peer, _) = peer(move |_, _| whole(&served, "")).await;
        let (store, log) = Noted::store();
        let target = ObjectTarget::new(store.clone(), data());
        peer.client(options()).download_to("file-1", target).await.unwrap();
        assert!(content_of(&store, &data()).await == content);
        assert_eq!((log.puts.load(SeqCst), log.parts.lock().unwrap().len()), (1, 0));
    }
}

#[tokio::test]
async fn an_answer_that_comes_whole_again_is_written_from_the_beginning() {
    let contents = [noise(3 * MIB), vec![7; 3 << 20]];
    let served = contents.clone();
    let (peer, _) = peer(move |number, _| match number {
        0 => whole(&served[0], "").cut(2_500_000),
        _ => whole(&served[1], ""),
    })
    .await;
    let (store, log) = Noted::store();
    let target = ObjectTarget::new(store.clone(), data()).part_size(MIB);
    peer.client(options()).download_to(plan("file-1", MIB), target).await.unwrap();
    assert!(content_of(&store, &data()).await == contents[1], "of one answer, and not of both");
    assert_eq!(log.aborted.load(SeqCst), 1);
}

#[tokio::test]
async fn a_download_that_fails_leaves_no_object_and_no_parts() {
    let content = noise(4 * MIB);
    let served = content.clone();
    let (peer, _) = peer(move |number, range| {
        let reply = part(&served, within(range, &served), ETAG);
        if number > 1 { reply.cut(0) } else { reply }
    })
    .await;
    let (store, log) = Noted::store();
    let target = ObjectTarget::new(store.clone(), data()).part_size(MIB);
    let error = peer.client(options()).download_to(plan("file-1", MIB), target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!((log.parts.lock().unwrap().len(), log.aborted.load(SeqCst)), (1, 1));
    assert!(matches!(store.head(&data()).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn a_store_that_takes_no_part_ends_the_download() {
    let content = noise(4 * MIB);
    let (peer, _) = peer(move |_, range| part(&content, within(range, &content), ETAG)).await;
    let (store, log) = Noted::store();
    log.fails.store(true, SeqCst);
    let target = ObjectTarget::new(store.clone(), data()).part_size(MIB);
    let error = peer.client(options()).download_to(plan("file-1", MIB), target).await.unwrap_err();
    let Error::Target(cause) = &error else { panic!("{error}") };
    assert!(cause.to_string().contains("the bucket is full"), "{cause}");
    assert_eq!(log.aborted.load(SeqCst), 1);
    assert!(matches!(store.head(&data()).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn a_download_to_an_object_that_is_to_be_resumed_is_an_error() {
    let content = noise(3 * MIB);
    let (peer, _) = peer(move |number, range| {
        let reply = part(&content, within(range, &content), ETAG);
        if number > 0 { reply.cut(0) } else { reply }
    })
    .await;
    let (folder, (store, _), mut plan) = (Folder::new(), Noted::store(), plan("file-1", MIB));
    plan.retry = Some(RetryPolicy::never());
    let download =
        peer.client(options()).download_to(plan, ObjectTarget::new(store, data())).prepare().await.unwrap();
    let error = download.save_to(folder.store()).run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    assert_eq!(folder.last_checkpoint(), None);
}

#[tokio::test]
async fn bytes_out_of_order_and_a_short_object_are_errors() {
    let (store, _) = Noted::store();
    let target = ObjectTarget::new(store.clone(), data());
    target.write(0, Bytes::from_static(b"0123")).await.unwrap();
    let ahead = target.write(5, Bytes::from_static(b"56")).await.unwrap_err();
    assert_eq!(ahead.kind(), io::ErrorKind::InvalidInput);
    target.write(2, Bytes::from_static(b"2345")).await.unwrap();
    let short = target.finish(7).await.unwrap_err();
    assert_eq!(short.to_string(), "6 bytes of 7 were written");
    target.finish(6).await.unwrap();
    assert_eq!(content_of(&store, &data()).await, "012345");
    assert_eq!(target.sync().await.unwrap_err().kind(), io::ErrorKind::Unsupported);
}
