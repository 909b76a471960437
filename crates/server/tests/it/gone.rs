//! Content of a file that goes away while others read it.

use std::sync::Arc;

use http::StatusCode;
use http_body_util::Full;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use partwise_protocol::operations::{DeleteFile, DownloadFile, RetrieveFile};
use tower_service::Service;

use crate::{
    spied_store::SpiedStore,
    sweep::set_to_today,
    world::{HOUR, World, complete, settle},
};

#[tokio::test]
async fn a_file_that_was_swept_is_not_found_although_somebody_still_reads_it() {
    let world = World::new().await;
    set_to_today(&world);
    let caller = world.caller();
    let file = caller.create_file("a.txt", b"a").await.id;
    let request = caller.request(&DownloadFile::new(&file)).map(Full::new);
    let reader = world.server.clone().call(request).await.unwrap();
    assert_eq!(reader.status(), StatusCode::OK);
    caller.call(&DeleteFile::new(&file)).await.unwrap();
    for _ in 0..5 {
        world.advance(HOUR);
        world.server.sweep().await.unwrap();
    }
    assert_eq!(world.objects().await, Vec::<String>::new());
    for refusal in [
        caller.download(&file).await.unwrap_err(),
        caller.call(&RetrieveFile::new(&file)).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(refusal.status, StatusCode::NOT_FOUND);
    }
    drop(reader);
}

#[tokio::test]
async fn a_file_that_lost_its_record_is_not_found_although_its_bytes_are_there_and_somebody_reads_it() {
    let world = World::new().await;
    let caller = world.caller();
    let file = caller.create_file("a.txt", b"a").await.id;
    let request = caller.request(&DownloadFile::new(&file)).map(Full::new);
    let reader = world.server.clone().call(request).await.unwrap();
    let [record] = &world.objects_in("/files/").await[..] else { panic!("one record") };
    world.objects.delete(&Path::from(record.as_str())).await.unwrap();
    assert_eq!(caller.download(&file).await.unwrap_err().status, StatusCode::NOT_FOUND);
    drop(reader);
}

#[tokio::test]
async fn a_file_whose_upload_alone_has_its_record_is_read_although_somebody_reads_it() {
    let world = World::new().await;
    let caller = world.caller();
    let file = caller.create_file_of_parts("a.txt", &[b"a"]).await.id;
    let request = caller.request(&DownloadFile::new(&file)).map(Full::new);
    let reader = world.server.clone().call(request).await.unwrap();
    let [record] = &world.objects_in("/files/").await[..] else { panic!("one record") };
    world.objects.delete(&Path::from(record.as_str())).await.unwrap();
    assert_eq!(caller.download(&file).await.unwrap(), "a");
    drop(reader);
}

#[tokio::test]
async fn a_file_that_is_deleted_while_it_is_opened_is_not_found() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (objects, counts) = SpiedStore::over(inner.clone());
    let world = World::over(objects).await;
    let caller = world.caller();
    let file = caller.create_file("a.txt", b"a").await.id;
    // The record goes as soon as it was read, and so do the bytes.
    let [blob] = &world.objects_in("/blobs/").await[..] else { panic!("one blob") };
    inner.delete(&Path::from(blob.as_str())).await.unwrap();
    assert_eq!(caller.download(&file).await.unwrap_err().status, StatusCode::INTERNAL_SERVER_ERROR);
    counts.let_records_vanish();
    assert_eq!(caller.download(&file).await.unwrap_err().status, StatusCode::NOT_FOUND);
}

/// A completion that is to compare content, and whose upload ends otherwise before it has read any.
async fn ends_while_it_is_completed(end: &str) -> StatusCode {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (objects, counts) = SpiedStore::over(inner.clone());
    let world = World::over(objects).await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 1).await;
    let part = caller.add_part(&upload, b"a").await;
    let mut request = complete(&upload, &[part]);
    request.request.md5 = Some("0cc175b9c0f1b6a831c399e269772661".to_owned());
    counts.pause();
    let completing = tokio::spawn(async move { caller.call(&request).await.map(drop).map_err(|e| e.status) });
    settle().await;
    // As on a full disk, the bytes go at once.
    let [blob] = &world.objects_in("/blobs/").await[..] else { panic!("one blob") };
    inner.delete(&Path::from(blob.as_str())).await.unwrap();
    let [beginning] = &world.objects_in("/created.json").await[..] else { panic!("one upload") };
    match end {
        "" => {}
        "gone" => inner.delete(&Path::from(beginning.as_str())).await.unwrap(),
        end => {
            let path = beginning.replace("created", "final");
            inner.put(&path.into(), end.to_owned().into()).await.unwrap();
        }
    }
    counts.resume();
    completing.await.unwrap().unwrap_err()
}

#[tokio::test]
async fn a_completion_whose_upload_ends_while_content_is_compared_is_told_so() {
    let cancelled = r#"{"at":7,"status":"cancelled"}"#;
    assert_eq!(ends_while_it_is_completed(cancelled).await, StatusCode::BAD_REQUEST);
    assert_eq!(ends_while_it_is_completed("gone").await, StatusCode::NOT_FOUND);
    assert_eq!(ends_while_it_is_completed("").await, StatusCode::INTERNAL_SERVER_ERROR, "its bytes are lost");
}
