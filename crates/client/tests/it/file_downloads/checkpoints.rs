//! What is saved, when, and resumed.

use std::{
    fs::File,
    io,
    sync::{Arc, Mutex},
};

use partwise::{CheckpointStore, Error, FileTarget, Target};
use partwise_protocol::download::{DownloadCheckpoint, DownloadError};
use partwise_testkit::{content::noise, errors::line};
use tokio::sync::mpsc;

use crate::{
    peer::{MIB, options},
    range_peer::{ETAG, Folder, part, peer, plan, sum, within},
};

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
        .download_to(plan.clone(), folder.target())
        .prepare()
        .await
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
    let download = client
        .download_to(plan, folder.target())
        .resume(saved)
        .prepare()
        .await
        .unwrap()
        .save_to(folder.store());
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
    let download = peer.client(options()).download_to(plan, logged.clone()).prepare().await.unwrap();
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
    let download =
        peer.client(options()).download_to(plan("file-1", MIB), logged.clone()).prepare().await.unwrap();
    let error = download.save_to(logged.clone()).run().await.unwrap_err();
    assert!(matches!(&error, Error::Target(cause) if cause.kind() == io::ErrorKind::StorageFull), "{error}");
    assert!(!logged.log.lock().unwrap().contains(&"remove"));
}
