//! Targets that are written asynchronously: slow ones, ones that fail, and ones that need their bytes in order.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use partwise::{AnyTarget, AsyncTarget, Error, ErrorKind};
use partwise_testkit::content::noise;
use tokio::sync::Notify;

use crate::{
    peer::{MIB, options},
    range_peer::{ETAG, Folder, part, peer, plan, whole, within},
};

/// Calls of a target, and what it has.
#[derive(Clone, Default)]
struct Memory(Arc<State>);

#[derive(Default)]
struct State {
    content: Mutex<Vec<u8>>,
    /// The offset and the length of each piece, in the order in which they came.
    pieces: Mutex<Vec<(u64, usize)>>,
    writing: AtomicUsize,
    most_writing: AtomicUsize,
    synced: AtomicUsize,
    finished: Mutex<Option<u64>>,
    aborted: AtomicUsize,
    /// Writes wait for this long.
    delay: Mutex<Duration>,
    /// Writes from this offset on fail.
    full_from: Mutex<Option<u64>>,
    /// Writes wait for ever, and tell that they do.
    hangs: AtomicBool,
    hanging: Notify,
    is_sequential: AtomicBool,
}

/// Counts a write as long as its future is there.
struct Counted<'s>(&'s State);

impl<'s> Counted<'s> {
    fn begin(state: &'s State) -> Self {
        let now = state.writing.fetch_add(1, SeqCst) + 1;
        state.most_writing.fetch_max(now, SeqCst);
        Self(state)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.writing.fetch_sub(1, SeqCst);
    }
}

impl AsyncTarget for Memory {
    async fn length(&self) -> io::Result<u64> {
        Ok(self.0.content.lock().unwrap().len() as u64)
    }

    async fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.content.lock().unwrap().resize(usize::try_from(length).unwrap(), 0);
        Ok(())
    }

    async fn write(&self, offset: u64, bytes: Bytes) -> io::Result<()> {
        let counted = Counted::begin(&self.0);
        let delay = *self.0.delay.lock().unwrap();
        tokio::time::sleep(delay).await;
        if self.0.hangs.load(SeqCst) {
            self.0.hanging.notify_one();
            std::future::pending::<()>().await;
        }
        if self.0.full_from.lock().unwrap().is_some_and(|from| offset >= from) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.pieces.lock().unwrap().push((offset, bytes.len()));
        let offset = usize::try_from(offset).unwrap();
        self.0.content.lock().unwrap()[offset..][..bytes.len()].copy_from_slice(&bytes);
        drop(counted);
        Ok(())
    }

    async fn sync(&self) -> io::Result<()> {
        self.0.synced.fetch_add(1, SeqCst);
        Ok(())
    }

    async fn finish(&self, length: u64) -> io::Result<()> {
        assert_eq!(self.0.writing.load(SeqCst), 0, "everything was written");
        *self.0.finished.lock().unwrap() = Some(length);
        Ok(())
    }

    async fn abort(&self) -> io::Result<()> {
        assert_eq!(self.0.writing.load(SeqCst), 0, "nothing is written any more");
        self.0.aborted.fetch_add(1, SeqCst);
        Ok(())
    }

    fn is_sequential(&self) -> bool {
        self.0.is_sequential.load(SeqCst)
    }
}

impl Memory {
    fn target(&self) -> AnyTarget {
        AnyTarget::from_async(self.clone())
    }

    fn has(&self, content: &[u8]) -> bool {
        *self.0.content.lock().unwrap() == content
    }
}

#[tokio::test]
async fn a_slow_target_gets_every_range_one_piece_of_each_at_a_time() {
    let content = noise(8 * MIB + 17);
    let served = content.clone();
    let (peer, _) = peer(move |_, range| part(&served, within(range, &served), ETAG)).await;
    let memory = Memory::default();
    *memory.0.delay.lock().unwrap() = Duration::from_millis(20);
    let length = peer.client(options()).download_to(plan("file-1", MIB), memory.target()).await.unwrap();
    assert_eq!(length, content.len() as u64);
    assert!(memory.has(&content));
    let most = memory.0.most_writing.load(SeqCst);
    assert!((2..=4).contains(&most), "{most} writes at once, by four ranges");
    assert!(memory.0.pieces.lock().unwrap().iter().all(|(_, length)| *length <= 512 << 10));
    assert_eq!(*memory.0.finished.lock().unwrap(), Some(length));
    assert_eq!((memory.0.synced.load(SeqCst), memory.0.aborted.load(SeqCst)), (0, 0));
}

#[tokio::test]
async fn an_asynchronous_target_that_fails_ends_the_download_and_is_aborted() {
    let content = noise(4 * MIB);
    let (peer, _) = peer(move |_, range| part(&content, within(range, &content), "")).await;
    let memory = Memory::default();
    *memory.0.full_from.lock().unwrap() = Some(2 * MIB);
    let error = peer.client(options()).download_to(plan("file-1", MIB), memory.target()).await.unwrap_err();
    assert!(matches!(&error, Error::Target(cause) if cause.kind() == io::ErrorKind::StorageFull), "{error}");
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert_eq!(memory.0.aborted.load(SeqCst), 1);
    assert_eq!(*memory.0.finished.lock().unwrap(), None);
}

#[tokio::test]
async fn an_asynchronous_target_is_aborted_when_the_service_ends_the_download() {
    let (peer, _) = peer(|_, _| {
        let body = r#"{"error":{"message":"No such File object: file-1","type":"invalid_request_error"}}"#;
        let mut reply = whole(body.as_bytes(), "Content-Type: application/json\r\n");
        reply.head = reply.head.replace("200 Whole", "404 Missing");
        reply
    })
    .await;
    let memory = Memory::default();
    let error = peer.client(options()).download_to(plan("file-1", MIB), memory.target()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(memory.0.aborted.load(SeqCst), 1);
}

#[tokio::test]
async fn dropping_a_download_drops_the_writes_of_an_asynchronous_target() {
    let content = noise(4 * MIB);
    let (peer, _) = peer(move |_, range| part(&content, within(range, &content), "")).await;
    let memory = Memory::default();
    memory.0.hangs.store(true, SeqCst);
    let (client, target) = (peer.client(options()), memory.target());
    let download = tokio::spawn(async move { client.download_to(plan("file-1", MIB), target).await });
    memory.0.hanging.notified().await;
    assert!(memory.0.writing.load(SeqCst) > 0);
    download.abort();
    download.await.unwrap_err();
    while memory.0.writing.load(SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    assert!(memory.0.pieces.lock().unwrap().is_empty());
    assert_eq!((memory.0.aborted.load(SeqCst), *memory.0.finished.lock().unwrap()), (0, None));
}

#[tokio::test]
async fn a_sequential_target_gets_its_bytes_in_order_whatever_is_interrupted() {
    let content = noise(4 * MIB);
    let served = content.clone();
    let (peer, asked) = peer(move |number, range| {
        let reply = part(&served, within(range, &served), ETAG);
        if number % 2 == 0 { reply.cut(700_000) } else { reply }
    })
    .await;
    let memory = Memory::default();
    memory.0.is_sequential.store(true, SeqCst);
    let mut plan = plan("file-1", MIB);
    plan.parallel = 4;
    peer.client(options()).download_to(plan, memory.target()).await.unwrap();
    assert!(memory.has(&content));
    assert!(asked.lock().unwrap().len() > 4, "ranges were interrupted");
    let mut next = 0;
    for (offset, length) in &*memory.0.pieces.lock().unwrap() {
        assert_eq!(*offset, next);
        next += *length as u64;
    }
    assert_eq!(memory.0.most_writing.load(SeqCst), 1);
}

#[tokio::test]
async fn an_asynchronous_target_is_synced_before_a_checkpoint_and_can_be_resumed() {
    let content = noise(3 * MIB);
    let (served, is_back) = (content.clone(), Arc::new(AtomicBool::new(false)));
    let back = is_back.clone();
    let (peer, asked) = peer(move |number, range| {
        let reply = part(&served, within(range, &served), ETAG);
        if number == 0 || back.load(SeqCst) { reply } else { reply.cut(0) }
    })
    .await;
    let (client, memory, folder) = (peer.client(options()), Memory::default(), Folder::new());
    let mut plan = plan("file-1", MIB);
    plan.parallel = 1;
    let download = client.download_to(plan.clone(), memory.target()).prepare().await.unwrap();
    let error = download.save_to(folder.store()).run().await.unwrap_err();
    assert!(error.is_resumable(), "{error}");
    assert!(memory.0.synced.load(SeqCst) > 0);
    let saved = folder.last_checkpoint().unwrap();
    assert_eq!(saved.written(), (MIB, 3 * MIB));

    is_back.store(true, SeqCst);
    let before = asked.lock().unwrap().len();
    let download = client.download_to(plan, memory.target()).resume(saved).prepare().await.unwrap();
    assert_eq!(download.run().await.unwrap(), 3 * MIB);
    assert!(memory.has(&content));
    assert_eq!(asked.lock().unwrap().len() - before, 2, "what was there is not asked for again");
}
