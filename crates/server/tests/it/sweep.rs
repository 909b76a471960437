//! What the sweeper takes away, and when.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use http_body_util::{BodyExt, Full};
use object_store::{ObjectStoreExt, path::Path};
use partwise_protocol::{CancelUpload, DeleteFile, DownloadFile};
use tower_service::Service;

use crate::world::{HOUR, START, World};

/// The store's clock is the real one, and the sweeper goes by what comes later of it and the server's.
fn set_to_today(world: &World) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    world.advance(now.saturating_sub(START) + 60);
}

#[tokio::test]
async fn the_bytes_of_a_deleted_file_stay_for_an_hour() {
    let world = World::new().await;
    let caller = world.caller();
    let file = caller.create_file("a.txt", b"a").await;
    let kept = caller.create_file("b.txt", b"b").await;
    caller.call(&DeleteFile::new(&file.id)).await.unwrap();
    world.advance(HOUR - 1);
    assert_eq!(world.server.sweep().await.unwrap().blobs, 0);
    world.advance(1);
    assert_eq!(world.server.sweep().await.unwrap().blobs, 1);
    assert_eq!(world.objects_in("/blobs/").await.len(), 1);
    assert_eq!(caller.download(&kept.id).await.unwrap(), "b");
    assert_eq!(world.server.sweep().await.unwrap().blobs, 0);
}

#[tokio::test]
async fn who_is_reading_a_file_when_it_is_deleted_gets_all_of_it() {
    let world = World::new().await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 2).await;
    let parts = [caller.add_part(&upload, b"a").await, caller.add_part(&upload, b"b").await];
    let file = caller.complete(&upload, &parts).await;
    let request = caller.request(&DownloadFile::new(&file.id)).map(Full::new);
    let mut body = world.server.clone().call(request).await.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    caller.call(&DeleteFile::new(&file.id)).await.unwrap();
    world.server.sweep().await.unwrap();
    assert_eq!((first, body.collect().await.unwrap().to_bytes()), ("a".into(), "b".into()));
}

#[tokio::test]
async fn the_bytes_of_an_expired_file_go() {
    let world = World::new().await;
    let caller = world.caller();
    let mut request = crate::world::new_upload("a.txt", 1);
    let expiry = partwise_models::ExpiresAfter::new(partwise_models::ExpiryAnchor::CreatedAt, HOUR);
    request.request.expires_after = Some(expiry);
    let upload = caller.call(&request).await.unwrap();
    let part = caller.add_part(&upload, b"a").await;
    caller.complete(&upload, &[part]).await;
    world.advance(2 * HOUR - 1);
    assert_eq!(world.server.sweep().await.unwrap().blobs, 0);
    world.advance(1);
    assert_eq!(world.server.sweep().await.unwrap().blobs, 1);
}

#[tokio::test]
async fn of_a_completed_upload_only_the_parts_that_were_not_named_go() {
    let world = World::new().await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 2).await;
    let mut parts = Vec::new();
    for content in [b"a", b"x", b"b"] {
        parts.push(caller.add_part(&upload, content).await);
    }
    parts.remove(1);
    let file = caller.complete(&upload, &parts).await;
    world.advance(HOUR);
    assert_eq!(world.server.sweep().await.unwrap().blobs, 1);
    assert_eq!(caller.download(&file.id).await.unwrap(), "ab");
    caller.call(&DeleteFile::new(&file.id)).await.unwrap();
    world.advance(HOUR);
    assert_eq!(world.server.sweep().await.unwrap().blobs, 2);
}

#[tokio::test]
async fn the_parts_of_a_cancelled_or_expired_upload_go_and_those_of_a_pending_one_stay() {
    let world = World::new().await;
    let caller = world.caller();
    let mut uploads = Vec::new();
    for _ in 0..2 {
        let upload = caller.create_upload("a.txt", 1).await;
        caller.add_part(&upload, b"a").await;
        uploads.push(upload);
    }
    caller.call(&CancelUpload::new(&uploads[0].id)).await.unwrap();
    world.advance(HOUR);
    let late = caller.create_upload("a.txt", 1).await;
    let part = caller.add_part(&late, b"c").await;
    assert_eq!(
        world.server.sweep().await.unwrap().blobs,
        1,
        "the cancelled one's; the other has expired just now"
    );
    world.advance(HOUR - 1);
    assert_eq!(world.server.sweep().await.unwrap().blobs, 0);
    caller.complete(&late, &[part]).await;
    world.advance(1);
    assert_eq!(world.server.sweep().await.unwrap().blobs, 1, "an hour after it was found expired");
    assert_eq!(world.objects_in("/blobs/").await.len(), 1);
}

#[tokio::test]
async fn bytes_that_belong_to_nothing_go_after_a_day() {
    let world = World::new().await;
    let caller = world.caller();
    set_to_today(&world);
    caller.create_file("a.txt", b"a").await;
    let [record] = &world.objects_in("/files/").await[..] else { panic!("one record") };
    world.objects.delete(&Path::from(record.as_str())).await.unwrap();
    world.advance(23 * HOUR);
    assert_eq!(world.server.sweep().await.unwrap().blobs, 0);
    world.advance(HOUR);
    assert_eq!(world.server.sweep().await.unwrap().blobs, 1);
    assert!(world.objects().await.is_empty());
}

#[tokio::test]
async fn what_unfinished_writes_left_on_a_disk_goes_after_a_day_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await;
    let caller = world.caller();
    let file = caller.create_file("a.txt", b"a").await;
    let blobs = folder.path().join("tenants/team-a/blobs");
    let day_ago = SystemTime::now() - Duration::from_secs(25 * HOUR);
    for (path, is_old) in [
        (blobs.join("00#1"), true),
        (blobs.join("00#2"), false),
        (blobs.join("notes#x"), true),
        (folder.path().join("mine#1"), true),
    ] {
        let file = fs::File::create(path).unwrap();
        if is_old {
            file.set_modified(day_ago).unwrap();
        }
    }
    set_to_today(&world);
    assert_eq!(world.server.sweep().await.unwrap().unfinished, 1);
    assert!(!blobs.join("00#1").exists());
    assert!(
        blobs.join("00#2").exists()
            && blobs.join("notes#x").exists()
            && folder.path().join("mine#1").exists()
    );
    assert_eq!(caller.download(&file.id).await.unwrap(), "a");
}
