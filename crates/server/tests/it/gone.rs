//! Content of a file that goes away while others read it.

use std::sync::Arc;

use http::StatusCode;
use http_body_util::Full;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use partwise_protocol::{DeleteFile, DownloadFile, RetrieveFile};
use tower_service::Service;

use crate::{
    spied_store::SpiedStore,
    sweep::set_to_today,
    world::{HOUR, World},
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
    let upload = caller.create_upload("a.txt", 1).await;
    let part = caller.add_part(&upload, b"a").await;
    let file = caller.complete(&upload, &[part]).await.id;
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
