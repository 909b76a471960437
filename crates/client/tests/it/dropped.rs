//! Uploads and downloads whose future is dropped while it runs, and that are run again at once: against the server, on a socket.

use std::{
    future::IntoFuture as _,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::TryStreamExt as _;
use partwise::{CheckpointDir, Client, File, Purpose, UploadBuilder, protocol::operations::OperationId};
use partwise_server::testing::{Fault, Faults};
use partwise_testkit::content::noise;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    everyday::server,
    peer::MIB,
    service_side::{KEY, client, openai},
};

const LENGTH: u64 = 9 * MIB;

/// A server on a socket of this machine, until this is dropped, and what goes wrong with it.
struct Service {
    faults: Faults,
    client: Client,
    task: JoinHandle<()>,
}

impl Service {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client(openai(listener.local_addr().unwrap()), KEY);
        let (faults, server) = (Faults::new(), server().await);
        let serving = faults.clone();
        let task = tokio::spawn(async move { serving.serve(server, listener).await });
        Self { faults, client, task }
    }

    /// Asserts that the service has one file, which has this content.
    async fn assert_has_only(&self, file: &File, content: &[u8]) {
        let all: Vec<File> = self.client.files().stream().try_collect().await.unwrap();
        assert_eq!(all.iter().map(|file| &file.id).collect::<Vec<_>>(), [&file.id]);
        assert!(self.client.download(&file.id).bytes(LENGTH).await.unwrap() == content);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The size of the parts and ranges of a run that is dropped after a few of them.
const SMALL: u64 = MIB / 4;

/// Runs this until it is time, and drops it then. Returns `false` if it ended before.
async fn was_dropped<T>(running: impl Future<Output = T>, mut is_time: impl FnMut() -> bool) -> bool {
    let time = async {
        while !is_time() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = running => false,
        () = time => true,
    }
}

/// The number of bytes that the only checkpoint in a directory knows of.
fn stored(unfinished: &CheckpointDir) -> u64 {
    let found = unfinished.list().unwrap();
    found.first().and_then(|found| found.checkpoint.as_ref().ok()).map_or(0, |saved| saved.acknowledged().0)
}

#[tokio::test]
async fn an_upload_that_is_dropped_and_run_again_sends_what_the_checkpoint_does_not_know() {
    let (service, folder) = (Service::start().await, tempfile::tempdir().unwrap());
    let (path, content) = (folder.path().join("a.jsonl"), noise(LENGTH));
    std::fs::write(&path, &content).unwrap();
    let unfinished = CheckpointDir::at(folder.path().join("unfinished"));
    let upload = || {
        let upload = service.client.upload_file(&path, Purpose::Batch).part_size(MIB).parallel(1);
        upload.resume_in(unfinished.clone())
    };
    // Five parts are stored, and the sixth one is in flight for good.
    let parts = Arc::<AtomicU32>::default();
    let seen = parts.clone();
    let count = move |_: &http::request::Parts| {
        seen.fetch_add(1, Relaxed);
        true
    };
    service.faults.on(OperationId::AddUploadPart).when(count).nth(6, Fault::Stall);
    let is_time = || parts.load(Relaxed) == 6 && stored(&unfinished) == 5 * MIB;
    assert!(was_dropped(upload().into_future(), is_time).await);
    let sent = service.faults.executed();
    let file = upload().await.unwrap();
    // The other four parts, and what completes them.
    assert_eq!(service.faults.executed() - sent, 5);
    service.assert_has_only(&file, &content).await;
    assert!(unfinished.list().unwrap().is_empty());
    let again = upload().prepare().await;
    assert!(again.is_ok(), "the lock is free: {again:?}");
}

/// Drops uploads after one, two, three and four of their requests, each time without a moment to end what they write.
async fn assert_survives_drops(service: &Service, content: &[u8], upload: impl Fn() -> UploadBuilder) {
    for requests in 1..=4 {
        let before = service.faults.executed();
        let is_time = || service.faults.executed() - before >= requests;
        assert!(was_dropped(upload().into_future(), is_time).await, "{requests}");
    }
    service.assert_has_only(&upload().await.unwrap(), content).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_a_file_that_is_dropped_again_and_again_makes_one_file() {
    let (service, folder) = (Service::start().await, tempfile::tempdir().unwrap());
    let (path, content) = (folder.path().join("a.jsonl"), noise(LENGTH));
    std::fs::write(&path, &content).unwrap();
    let unfinished = CheckpointDir::at(folder.path().join("unfinished"));
    assert_survives_drops(&service, &content, || {
        let upload = service.client.upload_file(&path, Purpose::Batch).part_size(SMALL).parallel(1);
        upload.resume_in(unfinished.clone())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_bytes_that_is_dropped_again_and_again_makes_one_file() {
    let (service, folder) = (Service::start().await, tempfile::tempdir().unwrap());
    let content = noise(LENGTH);
    let unfinished = CheckpointDir::at(folder.path().join("unfinished"));
    assert_survives_drops(&service, &content, || {
        let upload = service.client.upload("a.jsonl", content.clone(), Purpose::Batch);
        upload.part_size(SMALL).parallel(1).resume_in(unfinished.clone())
    })
    .await;
}

/// The number of bytes that the journal of a download to this path knows of.
#[cfg(unix)]
fn written(path: &std::path::Path) -> u64 {
    let journal = std::fs::File::open(path.with_extension("jsonl.partwise-journal"));
    let last = journal.and_then(|mut journal| partwise::CheckpointJournal::last(&mut journal));
    last.ok().flatten().map_or(0, |saved| saved.written().0)
}

// Elsewhere a journal cannot be read while it is locked.
#[cfg(unix)]
#[tokio::test]
async fn a_download_that_is_dropped_and_run_again_asks_for_what_the_checkpoint_does_not_know() {
    use partwise::DownloadEvent;

    let (service, folder) = (Service::start().await, tempfile::tempdir().unwrap());
    let (path, content) = (folder.path().join("copy.jsonl"), noise(LENGTH));
    let id = service.client.upload("a.jsonl", content.clone(), Purpose::Batch).await.unwrap().id;
    let download = || service.client.download_file(&id, &path).range_size(MIB).parallel(1);
    // Three ranges come, and the fourth one does not: a checkpoint is due after two seconds.
    service.faults.on(OperationId::DownloadFile).nth(4, Fault::Stall);
    assert!(was_dropped(download().into_future(), || written(&path) == 3 * MIB).await);
    service.faults.clear();
    assert!(!path.exists());
    let (told, resumed) = std::sync::mpsc::channel();
    let again = download().on_event(move |event| match event {
        DownloadEvent::Resuming { written, length } => told.send((*written, *length)).unwrap(),
        other => panic!("{other:?}"),
    });
    assert_eq!(again.await.unwrap(), LENGTH);
    assert_eq!(resumed.into_iter().collect::<Vec<_>>(), [(3 * MIB, LENGTH)]);
    assert!(std::fs::read(&path).unwrap() == content);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing stays beside it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_is_dropped_again_and_again_is_completed() {
    let (service, folder) = (Service::start().await, tempfile::tempdir().unwrap());
    let (path, content) = (folder.path().join("copy.jsonl"), noise(LENGTH));
    let id = service.client.upload("a.jsonl", content.clone(), Purpose::Batch).await.unwrap().id;
    let download = || service.client.download_file(&id, &path).range_size(SMALL).parallel(2);
    for requests in 1..=4 {
        let before = service.faults.executed();
        let is_time = || service.faults.executed() - before >= requests;
        assert!(was_dropped(download().into_future(), is_time).await, "{requests}");
    }
    assert_eq!(download().await.unwrap(), LENGTH);
    assert!(std::fs::read(&path).unwrap() == content);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing stays beside it");
}
