//! Whole files to a target: in parallel ranges from the real server, and from peers that are not so kind.

use std::{
    fs::{self, File},
    io,
    sync::{Arc, Condvar, Mutex},
    thread::{self, ThreadId},
    time::Duration,
};

use partwise_models::Purpose;
use partwise_protocol::{DownloadCheckpoint, DownloadError, Plan};
use partwise_transport_hyper::{CheckpointStore, Client, Error, FileTarget, Target, Writing};
use tokio::{io::AsyncWriteExt, sync::mpsc};

use crate::{
    peer::{MIB, Peer, drain, line, options, read_request},
    range_peer::{ETAG, Folder, Reply, noise, part, peer, plan, sum, whole, within},
    service_side::{Content, KEY, client, embedded, openai, serve},
};

async fn stored(client: &Client, content: &Content) -> String {
    let plan = Plan::new("a.jsonl", "application/jsonl", Purpose::Batch);
    client.upload(content.source(), plan).await.unwrap().id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_in_parallel_make_the_same_file_however_it_is_written() {
    let running = serve().await;
    let content = Content::of(9 * MIB + 17);
    for writing in [Writing::Blocking, Writing::Inline] {
        let client = client(openai(running.address), KEY).writing(writing);
        let id = stored(&client, &content).await;
        // One range, several, odd ones, and more than are needed.
        for (parallel, range_size) in [(1, 16 * MIB), (4, MIB), (3, 700_001), (64, 100_000)] {
            let folder = Folder::new();
            let mut plan = plan(&id, range_size);
            plan.parallel = parallel;
            let download = client.prepare_download(folder.target(), plan).unwrap();
            let progress = download.progress();
            let length = download.run().await.unwrap_or_else(|error| panic!("{}", line(&error)));
            assert_eq!(length, 9 * MIB + 17);
            assert!(folder.bytes() == content.bytes, "{writing:?}, {parallel} by {range_size}");
            let end = *progress.borrow();
            assert_eq!((end.bytes_written, end.bytes_total, end.retries), (length, Some(length), 0));
        }
    }
}

#[tokio::test]
async fn past_the_cache_or_not_the_bytes_are_the_same() {
    let client = embedded().await;
    let content = Content::of(5 * MIB + 17);
    let id = stored(&client, &content).await;
    for range_size in [16 * MIB, MIB, 700_001] {
        let folder = Folder::new();
        client.download_to(folder.target().past_the_cache(), plan(&id, range_size)).await.unwrap();
        assert!(folder.bytes() == content.bytes, "in ranges of {range_size}");
    }
}

#[tokio::test]
async fn a_server_inside_the_process_serves_ranges_too() {
    let client = embedded().await;
    let content = Content::of(3 * MIB + 1);
    let id = stored(&client, &content).await;
    let folder = Folder::new();
    client.download_to(folder.target(), plan(&id, MIB)).await.unwrap();
    assert!(folder.bytes() == content.bytes);
}

#[tokio::test]
async fn a_longer_file_that_stood_there_leaves_nothing_behind_the_end() {
    let content = noise(1000);
    let served = content.clone();
    for has_length in [true, false] {
        let served = served.clone();
        let (peer, _) = peer(move |_, _| match has_length {
            true => whole(&served, ""),
            false => Reply {
                head: "HTTP/1.1 200 Whole\r\nConnection: close\r\n\r\n".into(),
                body: served.clone(),
                then_close: true,
            },
        })
        .await;
        let folder = Folder::new();
        fs::write(folder.path(), noise(2000)).unwrap();
        let client = peer.client(options());
        assert_eq!(client.download_to(folder.target(), plan("file-1", 100)).await.unwrap(), 1000);
        assert!(folder.bytes() == content, "length told: {has_length}");
    }
}

/// A store for a download that has nothing to be resumed from.
struct NothingToSave;

impl CheckpointStore<DownloadCheckpoint> for NothingToSave {
    type Error = &'static str;

    async fn save(&self, _: DownloadCheckpoint) -> Result<(), &'static str> {
        Err("a checkpoint is saved")
    }

    async fn remove(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

#[tokio::test]
async fn a_service_that_serves_no_ranges_is_asked_once_and_again_from_the_beginning_when_it_breaks_off() {
    let content = noise(2 * MIB);
    let served = content.clone();
    let (peer, asked) = peer(move |number, _| match number {
        0 => whole(&served, ETAG).cut(1_500_000),
        _ => whole(&served, ETAG),
    })
    .await;
    let folder = Folder::new();
    let download = peer.client(options()).prepare_download(folder.target(), plan("file-1", MIB)).unwrap();
    download.save_to(NothingToSave).run().await.unwrap();
    assert!(folder.bytes() == content);
    assert_eq!(*asked.lock().unwrap(), [Some(0..MIB as usize), None]);
}

#[tokio::test]
async fn a_part_that_is_not_the_one_that_was_asked_for_is_not_used() {
    let content = noise(300_000);
    for unusable in [
        "Content-Range: bytes 5-100004/300000",
        "Content-Range: bytes 0-99999/*",
        "Content-Range: lines 1-2",
        "X: Y",
    ] {
        let served = content.clone();
        let (peer, asked) = peer(move |_, range| match range {
            Some(_) => Reply {
                head: format!("HTTP/1.1 206 Part\r\nContent-Length: 100000\r\n{unusable}\r\n\r\n"),
                body: vec![0; 100_000],
                then_close: false,
            },
            None => whole(&served, ""),
        })
        .await;
        let folder = Folder::new();
        peer.client(options()).download_to(folder.target(), plan("file-1", 100_000)).await.unwrap();
        assert!(folder.bytes() == content, "{unusable}");
        assert_eq!(*asked.lock().unwrap(), [Some(0..100_000), None], "{unusable}");
    }
}

#[tokio::test]
async fn a_range_that_breaks_off_is_gone_on_with_from_where_it_broke() {
    let content = noise(4 * MIB);
    let served = content.clone();
    let (peer, asked) = peer(move |number, range| {
        let reply = part(&served, within(range, &served), ETAG);
        if number % 2 == 0 { reply.cut(300_000) } else { reply }
    })
    .await;
    let folder = Folder::new();
    peer.client(options()).download_to(folder.target(), plan("file-1", MIB)).await.unwrap();
    assert!(folder.bytes() == content);
    let asked = asked.lock().unwrap();
    let mut covered = vec![0_u8; content.len()];
    for (number, range) in asked.iter().enumerate() {
        let mut range = range.clone().unwrap();
        if number % 2 == 0 {
            range.end = range.end.min(range.start + 300_000);
        }
        covered[range].iter_mut().for_each(|times| *times += 1);
    }
    assert!(covered.iter().all(|times| *times == 1), "what had come came again: {asked:?}");
}

#[tokio::test]
async fn a_file_that_changes_between_two_ranges_is_an_error() {
    let content = noise(4 * MIB);
    let served = content.clone();
    let (tagged, _) = peer(move |number, range| {
        let etag = if number < 2 { ETAG } else { "ETag: \"2\"\r\n" };
        part(&served, within(range, &served), etag)
    })
    .await;
    let served = content.clone();
    let (dated, _) = peer(move |number, range| {
        part(
            &served,
            within(range, &served),
            &format!("Last-Modified: Sun, 06 Nov 1994 08:49:3{number} GMT\r\n"),
        )
    })
    .await;
    let (longer, _) = peer(move |number, range| {
        let length = content.len() - usize::from(number == 0);
        part(&content[..length], within(range, &content[..length]), "")
    })
    .await;
    for (peer, difference) in [
        (tagged, "its ETag is another"),
        (dated, "it was modified"),
        (longer, "it had 4194303 bytes and has 4194304"),
    ] {
        let folder = Folder::new();
        let error =
            peer.client(options()).download_to(folder.target(), plan("file-1", MIB)).await.unwrap_err();
        assert_eq!(line(&error), format!("the file changed while it was downloaded: {difference}"));
    }
}

#[tokio::test]
async fn an_empty_file_of_which_no_range_can_be_had_is_a_file() {
    let (peer, asked) = peer(|_, range| match range {
        Some(_) => Reply {
            head: "HTTP/1.1 416 No\r\nContent-Range: bytes */0\r\nContent-Length: 0\r\n\r\n".into(),
            body: Vec::new(),
            then_close: false,
        },
        None => whole(b"", ""),
    })
    .await;
    let folder = Folder::new();
    assert_eq!(peer.client(options()).download_to(folder.target(), plan("file-1", 100)).await.unwrap(), 0);
    assert_eq!((folder.bytes().len(), asked.lock().unwrap().len()), (0, 2));
}

#[tokio::test]
async fn a_stopped_download_is_gone_on_with_and_only_what_is_missing_is_asked_for() {
    let content = noise(8 * MIB);
    let served = content.clone();
    let (enough, mut was_enough) = mpsc::unbounded_channel();
    // The sixth request gets its head, and no byte more.
    let (stalled, _) = peer(move |number, range| {
        let mut reply = part(&served, within(range, &served), ETAG);
        if number >= 5 {
            reply.body.clear();
            enough.send(()).unwrap();
        }
        reply
    })
    .await;
    let folder = Folder::new();
    let mut plan = plan("file-1", MIB);
    plan.parallel = 1;
    let download = stalled
        .client(options())
        .prepare_download(folder.target(), plan.clone())
        .unwrap()
        .save_to(folder.store())
        .stop_when(async move {
            was_enough.recv().await.unwrap();
        });
    let error = download.run().await.unwrap_err();
    assert!(
        matches!(&error, Error::Download(error) if matches!(**error, DownloadError::Stopped { .. })),
        "{error}"
    );
    let saved = folder.last_checkpoint().unwrap();
    assert_eq!(saved.written(), (5 * MIB, 8 * MIB));

    // What a crash may leave behind the last whole line.
    for torn in ["{\"ver", "\0\0\n"] {
        let mut journal = File::options().append(true).open(folder.0.path().join("journal")).unwrap();
        io::Write::write_all(&mut journal, torn.as_bytes()).unwrap();
        let last = folder.last_checkpoint();
        assert_eq!(last.as_ref(), Some(&saved), "{torn:?}");
    }
    let served = content.clone();
    let (peer, asked) = peer(move |_, range| part(&served, within(range, &served), ETAG)).await;
    let moved = peer.api().with_identity(stalled.api().identity());
    let client = crate::peer::client(moved, options());
    let download =
        client.resume_download(folder.target(), plan, saved).await.unwrap().save_to(folder.store());
    assert_eq!(download.progress().borrow().bytes_written, 5 * MIB);
    assert_eq!(download.run().await.unwrap(), 8 * MIB);
    assert!(folder.bytes() == content);
    assert_eq!(sum(&asked, content.len()) as u64, 3 * MIB);
    assert_eq!(folder.last_checkpoint(), None, "nothing is left to be resumed");
}

/// A target and a store that note what is asked of them, in one log.
#[derive(Clone)]
struct Logged {
    log: Arc<Mutex<Vec<&'static str>>>,
    target: Arc<FileTarget>,
    fails: bool,
}

impl Logged {
    fn note(&self, what: &'static str) {
        self.log.lock().unwrap().push(what);
    }
}

impl Target for Logged {
    fn length(&self) -> io::Result<u64> {
        self.target.length()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.target.set_length(length)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.note("write");
        self.target.write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.note("sync");
        if self.fails { Err(io::ErrorKind::StorageFull.into()) } else { self.target.sync() }
    }
}

impl CheckpointStore<DownloadCheckpoint> for Logged {
    type Error = io::Error;

    async fn save(&self, _: DownloadCheckpoint) -> io::Result<()> {
        self.note("save");
        Ok(())
    }

    async fn remove(&self) -> io::Result<()> {
        self.note("remove");
        Ok(())
    }
}

/// A download of which half has come when it is stopped, and what it came to.
async fn stopped_half_way(folder: &Folder, fails: bool) -> (Error, Vec<&'static str>) {
    let content = noise(4 * MIB);
    let (half, was_half) = tokio::sync::oneshot::channel();
    let half = Mutex::new(Some(half));
    let (peer, _) = peer(move |number, range| {
        let mut reply = part(&content, within(range, &content), ETAG);
        if number >= 2 {
            reply.body.clear();
            half.lock().unwrap().take().map(|half| half.send(()));
        }
        reply
    })
    .await;
    let mut plan = plan("file-1", MIB);
    plan.parallel = 1;
    let logged = Logged { log: Arc::default(), target: Arc::new(folder.target()), fails };
    let download = peer.client(options()).prepare_download(logged.clone(), plan).unwrap();
    let download = download.save_to(logged.clone()).stop_when(async move { was_half.await.unwrap() });
    let error = download.run().await.unwrap_err();
    let log = logged.log.lock().unwrap().clone();
    (error, log)
}

#[tokio::test]
async fn a_checkpoint_is_saved_behind_a_sync_of_what_it_speaks_of() {
    let (error, log) = stopped_half_way(&Folder::new(), false).await;
    assert!(
        matches!(&error, Error::Download(error) if matches!(**error, DownloadError::Stopped { .. })),
        "{error}"
    );
    let last_write = log.iter().rposition(|what| *what == "write").unwrap();
    let behind: Vec<_> = log[last_write + 1..].to_vec();
    assert!(behind.ends_with(&["sync", "save"]), "{log:?}");
    for (at, _) in log.iter().enumerate().filter(|(_, what)| **what == "save") {
        assert_eq!(log[at - 1], "sync", "{log:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_synced_is_not_spoken_of_by_a_checkpoint() {
    let (error, log) = stopped_half_way(&Folder::new(), true).await;
    assert!(log.contains(&"sync") && !log.contains(&"save"), "{log:?}");
    assert!(
        matches!(&error, Error::Download(error) if matches!(**error, DownloadError::Save(_))),
        "{}",
        line(&error)
    );
    assert!(line(&error).contains("no storage space"), "{}", line(&error));
}

#[tokio::test]
async fn what_came_whole_and_cannot_be_made_durable_can_be_resumed() {
    let content = noise(MIB);
    let (peer, _) = peer(move |_, range| part(&content, within(range, &content), ETAG)).await;
    let folder = Folder::new();
    let logged = Logged { log: Arc::default(), target: Arc::new(folder.target()), fails: true };
    let download = peer.client(options()).prepare_download(logged.clone(), plan("file-1", MIB)).unwrap();
    let error = download.save_to(logged.clone()).run().await.unwrap_err();
    assert!(matches!(&error, Error::Target(cause) if cause.kind() == io::ErrorKind::StorageFull), "{error}");
    assert!(!logged.log.lock().unwrap().contains(&"remove"));
}

/// Takes half of everything, and then nothing more.
struct Full(FileTarget);

impl Target for Full {
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_length(length)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        match offset {
            0..1_000_000 => self.0.write_at(offset, &bytes[..bytes.len().div_ceil(2)]),
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

#[tokio::test]
async fn a_target_that_takes_no_more_ends_the_download() {
    let content = noise(4 * MIB);
    let (peer, _) = peer(move |_, range| part(&content, within(range, &content), "")).await;
    for writing in [Writing::Blocking, Writing::Inline] {
        let folder = Folder::new();
        let client = peer.client(options()).writing(writing);
        let error = client.download_to(Full(folder.target()), plan("file-1", MIB)).await.unwrap_err();
        assert!(
            matches!(&error, Error::Target(cause) if cause.kind() == io::ErrorKind::StorageFull),
            "{error}"
        );
    }
}

/// Remembers who gave it which length.
struct Noted(FileTarget, Arc<Mutex<Vec<(u64, ThreadId)>>>);

impl Target for Noted {
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.1.lock().unwrap().push((length, thread::current().id()));
        self.0.set_length(length)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        assert!(!self.1.lock().unwrap().is_empty(), "it has its length before it is written");
        self.0.write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

#[tokio::test]
async fn a_target_gets_its_length_first_and_last_and_where_it_is_written() {
    let content = noise(2 * MIB);
    let (peer, _) = peer(move |_, range| part(&content, within(range, &content), "")).await;
    for writing in [Writing::Blocking, Writing::Inline] {
        let (folder, noted) = (Folder::new(), Arc::<Mutex<Vec<_>>>::default());
        let target = Noted(folder.target(), noted.clone());
        peer.client(options()).writing(writing).download_to(target, plan("file-1", MIB)).await.unwrap();
        let noted = noted.lock().unwrap();
        assert!(matches!(noted[..], [(first, _), (last, _)] if first == 2 * MIB && last == 2 * MIB));
        assert_eq!(noted[0].1 == thread::current().id(), writing == Writing::Inline, "{writing:?}");
    }
}

/// One write fails while another is under way.
#[derive(Clone, Default)]
struct Failing(Arc<(Mutex<u32>, Condvar)>);

impl Target for Failing {
    fn length(&self) -> io::Result<u64> {
        Ok(0)
    }

    fn set_length(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let (writing, changed) = &*self.0;
        let mut writing = writing.lock().unwrap();
        if offset < MIB {
            return Ok(bytes.len());
        }
        if offset < 2 * MIB {
            while *writing == 0 {
                writing = changed.wait(writing).unwrap();
            }
            return Err(io::ErrorKind::StorageFull.into());
        }
        *writing += 1;
        changed.notify_all();
        drop(writing);
        // Long enough for the failure of the other one to be told.
        thread::sleep(Duration::from_millis(100));
        *self.0.0.lock().unwrap() -= 1;
        Ok(bytes.len())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_writes_any_more_once_it_has_failed() {
    let content = noise(3 * MIB);
    let (peer, _) = peer(move |_, range| part(&content, within(range, &content), "")).await;
    let target = Failing::default();
    peer.client(options()).download_to(target.clone(), plan("file-1", MIB)).await.unwrap_err();
    assert_eq!(*target.0.0.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_content_in_a_coding_that_is_not_decoded_is_refused() {
    let (peer, _) = peer(|_, _| whole(b"abc", "Content-Encoding: br\r\n")).await;
    let folder = Folder::new();
    let error = peer.client(options()).download_to(folder.target(), plan("file-1", 100)).await.unwrap_err();
    assert!(
        line(&error).ends_with("it was asked for as it is (Accept-Encoding: identity)"),
        "{}",
        line(&error)
    );
}

#[tokio::test]
async fn dropping_a_download_closes_all_its_connections() {
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let peer = Peer::start(move |mut stream, number| {
        let closed = closed.clone();
        async move {
            let (head, _) = read_request(&mut stream).await.unwrap();
            let first = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("range: bytes=")?.split('-').next()?.parse().ok()
            });
            let first: u64 = first.unwrap();
            let head = format!(
                "HTTP/1.1 206 Part\r\nContent-Length: 1000\r\nContent-Range: bytes {first}-{}/9000\r\n\r\n0",
                first + 999
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            drain(&mut stream, &mut 0).await;
            closed.send(number).unwrap();
        }
    })
    .await;
    let folder = Folder::new();
    let download = peer.client(options()).prepare_download(folder.target(), plan("file-1", 1000)).unwrap();
    let mut progress = download.progress();
    let running = tokio::spawn(download.run());
    progress.wait_for(|now| now.requests == 4).await.unwrap();
    while peer.accepted() < 4 {
        tokio::task::yield_now().await;
    }
    running.abort();
    for _ in 0..4 {
        was_closed.recv().await.unwrap();
    }
}
