//! The log where only errors are logged, as of `partwise serve` by default.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::Response;
use http_body_util::{BodyExt, Full};
use object_store::{ObjectStoreExt, memory::InMemory};
use partwise_models::Purpose;
use partwise_protocol::{
    Operation,
    operations::{DownloadFile, ListFiles},
};
use partwise_server::ResponseBody;
use tower_service::Service;
use tracing::{Level, subscriber::DefaultGuard};

use crate::{
    download::file_of_parts,
    faulty::Faulty,
    records::put_record,
    spied_store::SpiedStore,
    world::{World, new_file, told},
};

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn of_errors() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::ERROR)
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn said(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// An answer whose body is still to be read.
async fn unread<O: Operation>(world: &World, operation: &O) -> Response<ResponseBody> {
    let request = world.caller().request(operation).map(Full::new);
    world.server.clone().call(request).await.unwrap()
}

#[tokio::test]
async fn a_list_that_breaks_off_is_logged_with_its_request() {
    let (objects, counts) = SpiedStore::over(Arc::new(InMemory::new()));
    let world = World::over(objects).await;
    for index in 0..3_000 {
        put_record(&world, index, "name").await;
    }
    let (log, _guard) = Log::of_errors();
    counts.fail_after(2_000);
    let response = unread(&world, &ListFiles::new()).await;
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert!(response.into_body().collect().await.is_err());
    let said = log.said();
    let lines: Vec<_> = said.lines().filter(|line| line.contains("list")).collect();
    assert!(lines.iter().any(|line| line.contains(&id) && line.contains("listFiles")), "{id} is in {said}");
}

#[tokio::test]
async fn a_download_that_breaks_off_is_logged_with_its_request() {
    let world = World::new().await;
    let caller = world.caller();
    let (id, _) = file_of_parts(&caller, &[100_000, 100_000]).await;
    let (log, _guard) = Log::of_errors();
    let response = unread(&world, &DownloadFile::new(&id)).await;
    assert_eq!(response.status(), 200);
    for object in world.objects().await {
        if object.contains("blobs") {
            world.objects.delete(&object.into()).await.unwrap();
        }
    }
    let request = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert!(response.into_body().collect().await.is_err());
    let said = log.said();
    assert!(said.contains(&request) && said.contains("downloadFile"), "{request} is in {said}");
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_has_a_line_a_second_that_counts_the_requests() {
    let objects = Faulty::default();
    let world = World::over(Arc::new(objects.clone())).await;
    let (log, _guard) = Log::of_errors();
    objects.set_room(0);
    let caller = world.caller();
    for _ in 0..5 {
        let refusal = caller.call(&new_file(Purpose::Assistants, "a.txt", b"abc")).await.unwrap_err();
        assert_eq!(refusal.status, 507);
    }
    let lines = || log.said().lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines().len(), 1, "{}", log.said());
    assert!(lines()[0].contains("count=1") && lines()[0].contains("createFile"), "{}", log.said());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(lines().len(), 2, "{}", log.said());
    assert!(lines()[1].contains("count=4") && lines()[1].contains("disk is full"), "{}", log.said());
}

#[tokio::test(start_paused = true)]
#[cfg(unix)]
async fn a_folder_that_is_missing_has_a_line_a_second_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await;
    let (log, _guard) = Log::of_errors();
    let tenants = folder.path().join("tenants");
    std::fs::create_dir(&tenants).unwrap();
    std::os::unix::fs::symlink(folder.path().join("nowhere"), tenants.join("team-a")).unwrap();
    for _ in 0..3 {
        let refusal = world.caller().call(&new_file(Purpose::Assistants, "a.txt", b"abc")).await.unwrap_err();
        assert_eq!(
            told(&refusal),
            "503: the disk with the files of this key is not there: try again when it is mounted"
        );
    }
    let lines = || log.said().lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines().len(), 1, "{}", log.said());
    assert!(lines()[0].contains("createFile") && lines()[0].contains("tenants/team-a"), "{}", log.said());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(lines()[1..].iter().any(|line| line.contains("count=2")), "{}", log.said());
}
