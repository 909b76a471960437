//! Objects that cannot be removed: they stay, and nothing else does.

use std::sync::Arc;

use object_store::ObjectStoreExt;
use partwise_protocol::operations::{CancelUpload, DeleteFile};

use crate::{
    faulty::Faulty,
    sweep::set_to_today,
    world::{HOUR, World},
};

async fn swept_for_hours(world: &World, hours: u64) -> usize {
    let mut skipped = 0;
    for _ in 0..hours {
        world.advance(HOUR);
        skipped += world.server.sweep().await.unwrap().skipped;
    }
    skipped
}

#[tokio::test]
async fn bytes_that_cannot_be_removed_keep_nothing_else_from_being_swept() {
    let store = Faulty::default();
    let world = World::over(Arc::new(store.clone())).await;
    set_to_today(&world);
    let blob = |number: u64| format!("tenants/team-a/blobs/{:010x}{number:015x}", 1_700_000_000u64);
    for number in 0..3 {
        world.objects.put(&blob(number).into(), "abandoned".into()).await.unwrap();
    }
    store.make_stuck(&blob(1));
    let caller = world.caller();
    let file = caller.create_file("a.txt", b"a").await;
    caller.call(&DeleteFile::new(&file.id)).await.unwrap();
    assert!(swept_for_hours(&world, 48).await > 0);
    assert_eq!(world.objects().await, [blob(1)]);
}

#[tokio::test]
async fn a_record_that_cannot_be_removed_keeps_nothing_else_from_being_swept_and_its_file_stays_deleted() {
    let store = Faulty::default();
    let world = World::over(Arc::new(store.clone())).await;
    let caller = world.caller();
    let mut files = Vec::new();
    for _ in 0..3 {
        files.push(caller.create_file("a.txt", b"a").await.id);
    }
    let upload = caller.create_upload("a.txt", 1).await;
    caller.add_part(&upload, b"a").await;
    caller.call(&CancelUpload::new(&upload.id)).await.unwrap();
    for id in &files {
        caller.call(&DeleteFile::new(id)).await.unwrap();
    }
    let digits = files[1].strip_prefix("file-").unwrap();
    store.make_stuck(&format!("{digits}.json"));
    assert!(swept_for_hours(&world, 5).await > 0);
    let left = [
        format!("tenants/team-a/files/{digits}.deleted.json"),
        format!("tenants/team-a/files/{digits}.json"),
    ];
    assert_eq!(world.objects().await, left);
    assert_eq!(caller.download(&files[1]).await.unwrap_err().status, 404);
}
