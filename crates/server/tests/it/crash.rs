//! The objects that are left when a server stops between two writes.

use http::StatusCode;
use object_store::{ObjectStoreExt, path::Path};
use partwise_models::{Purpose, Upload};
use partwise_protocol::operations::{DeleteFile, ListFiles, RetrieveFile};

use crate::world::{Caller, World, new_file};

async fn upload_of_two_parts(caller: &Caller) -> (Upload, Vec<String>) {
    let upload = caller.create_upload("ab.txt", 2).await;
    let parts = vec![caller.add_part(&upload, b"a").await, caller.add_part(&upload, b"b").await];
    (upload, parts)
}

/// A world in which an upload's end is written, but not the record of its file.
async fn stopped_after_the_commit() -> (World, Upload, Vec<String>, String) {
    let world = World::new().await;
    let caller = world.caller();
    let (upload, parts) = upload_of_two_parts(&caller).await;
    let file = caller.complete(&upload, &parts).await;
    let [record] = &world.objects_in("/files/").await[..] else { panic!("one record") };
    world.objects.delete(&Path::from(record.as_str())).await.unwrap();
    (world, upload, parts, file.id)
}

#[tokio::test]
async fn a_file_whose_record_is_missing_is_found_by_whoever_asks_for_it() {
    let (world, .., id) = stopped_after_the_commit().await;
    let caller = world.caller();
    assert_eq!(caller.call(&RetrieveFile::new(&id)).await.unwrap().id, id);
    assert_eq!(caller.download(&id).await.unwrap(), "ab");
    assert_eq!(caller.call(&ListFiles::new()).await.unwrap().data.len(), 1);
}

#[tokio::test]
async fn a_file_whose_record_is_missing_comes_back_when_its_upload_is_completed_again() {
    let (world, upload, parts, id) = stopped_after_the_commit().await;
    let caller = world.caller();
    assert_eq!(caller.complete(&upload, &parts).await.id, id);
    assert_eq!(caller.call(&ListFiles::new()).await.unwrap().data.len(), 1);
}

#[tokio::test]
async fn a_file_whose_record_is_missing_comes_back_with_the_sweeper() {
    let (world, .., id) = stopped_after_the_commit().await;
    world.server.sweep().await.unwrap();
    let list = world.caller().call(&ListFiles::new()).await.unwrap();
    assert_eq!(list.data.iter().map(|file| file.id.as_str()).collect::<Vec<_>>(), [id]);
}

#[tokio::test]
async fn a_file_whose_record_is_missing_can_be_deleted_and_stays_deleted() {
    let (world, upload, parts, id) = stopped_after_the_commit().await;
    let caller = world.caller();
    caller.call(&DeleteFile::new(&id)).await.unwrap();
    caller.complete(&upload, &parts).await;
    world.server.sweep().await.unwrap();
    assert_eq!(caller.call(&RetrieveFile::new(&id)).await.unwrap_err().status, StatusCode::NOT_FOUND);
    assert!(caller.call(&ListFiles::new()).await.unwrap().data.is_empty());
}

#[tokio::test]
async fn bytes_without_a_record_are_not_to_be_seen() {
    let world = World::new().await;
    let caller = world.caller();
    let file = caller.call(&new_file(Purpose::Assistants, "a.txt", b"a")).await.unwrap();
    let (upload, parts) = upload_of_two_parts(&caller).await;
    for record in world.objects_in("/files/").await.iter().chain(&world.objects_in("/part-").await) {
        world.objects.delete(&Path::from(record.as_str())).await.unwrap();
    }
    assert_eq!(caller.call(&RetrieveFile::new(&file.id)).await.unwrap_err().status, StatusCode::NOT_FOUND);
    assert!(caller.call(&ListFiles::new()).await.unwrap().data.is_empty());
    assert_eq!(caller.try_complete(&upload, &parts).await.unwrap_err().status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_file_whose_bytes_are_gone_or_short_is_refused_before_it_is_sent() {
    let world = World::new().await;
    let caller = world.caller();
    let file = caller.create_file("a.txt", b"abc").await;
    let [blob] = &world.objects_in("/blobs/").await[..] else { panic!("one blob") };
    let blob = Path::from(blob.as_str());
    world.objects.put(&blob, "ab".into()).await.unwrap();
    assert_eq!(caller.download(&file.id).await.unwrap_err().status, StatusCode::INTERNAL_SERVER_ERROR);
    world.objects.delete(&blob).await.unwrap();
    assert_eq!(caller.download(&file.id).await.unwrap_err().status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_damaged_record_is_an_error_and_not_a_missing_file() {
    let world = World::new().await;
    let caller = world.caller();
    let file = caller.create_file("a.txt", b"abc").await;
    let [record] = &world.objects_in("/files/").await[..] else { panic!("one record") };
    world.objects.put(&Path::from(record.as_str()), "{".into()).await.unwrap();
    let refusal = caller.call(&RetrieveFile::new(&file.id)).await.unwrap_err();
    insta::assert_snapshot!(
        crate::world::told(&refusal),
        @"500: a record of this file or upload is damaged: it can only be deleted or cancelled"
    );
}
