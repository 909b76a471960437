//! What most programs do, through the short names: against the server, in process.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::StatusCode;
use partwise::{
    Api, CheckpointDir, CheckpointDirError, Client, Credential, DownloadPathError, Error, ErrorKind, File,
    FileTarget, Purpose, RefreshingToken,
    protocol::{
        Dialect,
        download::DownloadProgress,
        error::ApiError,
        operations::{ListFiles, OperationId},
        retry::RetryPolicy,
    },
};
use partwise_server::{
    Keys, Server, Store, Tenant,
    testing::{Fault, Faults},
};
use tokio::io::AsyncReadExt as _;

pub(crate) async fn server() -> Server {
    Server::builder(Store::memory()).keys(Keys::any()).build().await.unwrap()
}

pub(crate) fn api() -> Api {
    Api::with_base("http://localhost/v1", Dialect::OpenAi).unwrap()
}

pub(crate) fn client_with(faults: &Faults, server: Server) -> Client {
    Client::builder(api(), Credential::key("key").unwrap()).transport(faults.around(server)).build()
}

async fn client() -> Client {
    client_with(&Faults::new(), server().await)
}

pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[tokio::test]
async fn a_file_goes_up_is_listed_waited_for_comes_down_and_is_deleted() {
    let (client, folder) = (client().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("notes.md");
    std::fs::write(&path, "# Notes").unwrap();

    let file = client.upload_file(&path, Purpose::Assistants).await.unwrap();
    assert_eq!((file.filename.as_deref(), file.bytes), (Some("notes.md"), Some(7)));
    let listed: Vec<File> = client.files().purpose(Purpose::Assistants).stream().try_collect().await.unwrap();
    assert_eq!(listed.iter().map(|file| &file.id).collect::<Vec<_>>(), [&file.id]);
    assert_eq!(client.wait_until_processed(&file.id).await.unwrap().id, file.id);
    let copy = folder.path().join("copy.md");
    assert_eq!(client.download_file(&file.id, &copy).await.unwrap(), 7);
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "# Notes");
    assert!(client.delete_file(&file.id).await.unwrap());
    let gone = client.file(&file.id).await.unwrap_err();
    assert_eq!((gone.kind(), gone.status()), (ErrorKind::NotFound, Some(StatusCode::NOT_FOUND)));
    assert!(gone.request_id().is_some());
}

#[tokio::test]
async fn bytes_and_strings_are_sources() {
    let client = client().await;
    for file in [
        client.upload("a.txt", "text", Purpose::Assistants).await,
        client.upload("a.txt", "text".to_owned(), Purpose::Assistants).await,
        client.upload("a.txt", b"text".to_vec(), Purpose::Assistants).await,
        client.upload("a.txt", Bytes::from_static(b"text"), Purpose::Assistants).await,
        client.upload("a.txt", Arc::new(Bytes::from_static(b"text")), Purpose::Assistants).await,
    ] {
        let id = file.unwrap().id;
        assert_eq!(client.download(&id).bytes(4).await.unwrap(), "text");
    }
}

#[tokio::test]
async fn content_is_read_whole_up_to_a_limit_or_through_a_reader() {
    let client = client().await;
    let content = content(300_000);
    let id = client.upload("a.bin", content.clone(), Purpose::UserData).await.unwrap().id;
    let error = client.download(&id).bytes(299_999).await.unwrap_err();
    assert!(matches!(error, Error::TooLong { limit: 299_999 }));
    assert_eq!(client.download(&id).bytes(300_000).await.unwrap(), content);
    let mut read = Vec::new();
    client.download(&id).into_async_read().read_to_end(&mut read).await.unwrap();
    assert!(read == content);
    let missing = client.download("file-missing").into_async_read().read_to_end(&mut read).await.unwrap_err();
    let missing = missing.get_ref().unwrap().downcast_ref::<Error>().unwrap();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn the_head_of_an_answer_can_be_had() {
    let answer = client().await.call_with_head(&ListFiles::new()).await.unwrap();
    assert_eq!((answer.status(), answer.body().data.len()), (StatusCode::OK, 0));
    assert!(answer.headers().contains_key("x-request-id"));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_the_service_wants_later_is_sent_later() {
    let (faults, server) = (Faults::new(), server().await);
    let slow_down = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "slow down");
    let slow_down = slow_down.with_retry_after(Duration::from_secs(2));
    faults.on(OperationId::AddUploadPart).nth(3, Fault::Answer(Box::new(slow_down)));
    let client = client_with(&faults, server);
    let content = content(10 << 20);
    let began = tokio::time::Instant::now();
    let file = client
        .upload("a.jsonl", content.clone(), Purpose::Batch)
        .part_size(1 << 20)
        .parallel(1)
        .await
        .unwrap();
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert_eq!(client.download(&file.id).bytes(10 << 20).await.unwrap(), content);
}

#[tokio::test]
async fn an_upload_that_was_stopped_is_resumed_in_its_directory_and_forgotten_at_its_end() {
    let (faults, server, folder) = (Faults::new(), server().await, tempfile::tempdir().unwrap());
    let client = client_with(&faults, server);
    let unfinished = CheckpointDir::at(folder.path().join("unfinished"));
    let path = folder.path().join("a.jsonl");
    std::fs::write(&path, content(9 << 20)).unwrap();
    let upload = || {
        let upload = client.upload_file(&path, Purpose::Batch).part_size(1 << 20).parallel(1);
        upload.retry(RetryPolicy::never()).resume_in(unfinished.clone())
    };

    let broken = ApiError::new(StatusCode::NOT_IMPLEMENTED, "not today");
    faults.on(OperationId::AddUploadPart).nth(4, Fault::Answer(Box::new(broken)));
    let error = upload().await.unwrap_err();
    assert!(error.is_resumable(), "{error}");
    let found = unfinished.list().unwrap();
    let saved = found[0].checkpoint.as_ref().unwrap();
    assert_eq!((found.len(), saved.acknowledged()), (1, (3 << 20, 9 << 20)));

    let sent = faults.executed();
    let file = upload().await.unwrap();
    // The other six parts, and what completes them.
    assert_eq!(faults.executed() - sent, 7);
    assert_eq!(client.download(&file.id).bytes(9 << 20).await.unwrap(), content(9 << 20));
    assert!(unfinished.list().unwrap().is_empty());
}

#[tokio::test]
async fn one_upload_at_a_time_works_in_a_directory() {
    let (client, folder) = (client().await, tempfile::tempdir().unwrap());
    let unfinished = CheckpointDir::at(folder.path());
    let upload = || client.upload("a.txt", "text", Purpose::Assistants).resume_in(unfinished.clone());
    let first = upload().prepare().await.unwrap();
    let error = upload().await.unwrap_err();
    assert!(matches!(&error, Error::CheckpointDir(CheckpointDirError::InUse { .. })), "{error}");
    assert_eq!(error.kind(), ErrorKind::InUse);
    first.run().await.unwrap();
    upload().await.unwrap();
}

#[tokio::test]
async fn a_download_replaces_a_file_only_when_it_is_told_to() {
    let (client, folder) = (client().await, tempfile::tempdir().unwrap());
    let id = client.upload("a.txt", "new", Purpose::Assistants).await.unwrap().id;
    let path = folder.path().join("a.txt");
    std::fs::write(&path, "old").unwrap();
    let error = client.download_file(&id, &path).await.unwrap_err();
    assert!(matches!(error, Error::DownloadPath(DownloadPathError::Exists { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(client.download_file(&id, &path).replace().await.unwrap(), 3);
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing stays beside it");
}

#[tokio::test]
async fn a_download_of_nothing_leaves_nothing() {
    let (client, folder) = (client().await, tempfile::tempdir().unwrap());
    let error = client.download_file("file-missing", folder.path().join("a.txt")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_token_that_the_service_rejects_is_refreshed_once() {
    let keys = Keys::new([("token-2", Tenant::new("team").unwrap())]);
    let server = Server::builder(Store::memory()).keys(keys).build().await.unwrap();
    let fetched = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = fetched.clone();
    let token = RefreshingToken::new(move || {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let expires = std::time::SystemTime::now() + Duration::from_secs(3600);
        async move { Ok::<_, std::io::Error>((format!("token-{number}"), expires)) }
    });
    let client = Client::builder(api(), token).transport(server).build();
    let file = client.upload("a.txt", "text", Purpose::Assistants).await.unwrap();
    assert_eq!(client.download(&file.id).bytes(4).await.unwrap(), "text");
    assert_eq!(fetched.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[tokio::test]
async fn progress_is_told_to_the_end() {
    let client = client().await;
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = told.clone();
    let upload = client.upload("a.jsonl", content(9 << 20), Purpose::Batch).part_size(1 << 20);
    upload.on_progress(move |now| log.lock().unwrap().push(now.bytes_acknowledged)).await.unwrap();
    let told = told.lock().unwrap();
    assert_eq!((told.first(), told.last()), (Some(&0), Some(&(9 << 20))));
    assert!(told.is_sorted());
}

#[tokio::test]
async fn the_progress_of_a_download_is_told_to_the_end_wherever_it_goes() {
    let (client, folder) = (client().await, tempfile::tempdir().unwrap());
    let length = 3 << 20;
    let id = client.upload("a.jsonl", content(3 << 20), Purpose::Batch).await.unwrap().id;
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = || {
        let told = told.clone();
        move |now: &DownloadProgress| told.lock().unwrap().push(now.bytes_written)
    };
    let ends = || std::mem::take(&mut *told.lock().unwrap());

    let target = FileTarget::open(folder.path().join("a.jsonl")).unwrap();
    client.download_to(&id, target).range_size(1 << 20).parallel(1).on_progress(log()).await.unwrap();
    let seen = ends();
    assert_eq!((seen.first(), seen.last()), (Some(&0), Some(&length)));
    assert!(seen.is_sorted());

    let path = folder.path().join("b.jsonl");
    client.download_file(&id, &path).range_size(1 << 20).on_progress(log()).await.unwrap();
    let seen = ends();
    assert_eq!((seen.first(), seen.last()), (Some(&0), Some(&length)));
    assert!(std::fs::read(&path).unwrap() == content(3 << 20));
}
