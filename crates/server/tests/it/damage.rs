//! Records that a power cut has torn: an error for each alone, and a way to be rid of it.

use std::sync::Arc;

use http::StatusCode;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use partwise_models::UploadStatus;
use partwise_protocol::operations::{CancelUpload, DeleteFile, ListFiles, RetrieveFile};

use crate::{
    sweep::set_to_today,
    world::{HOUR, World, told},
};

/// Records as a power cut leaves them.
const TORN: [&[u8]; 4] = [b"", b"{", &[0; 64], b"{\"at\":"];

async fn tear(world: &World, part: &str, content: &'static [u8]) {
    let [record] = &world.objects_in(part).await[..] else { panic!("one record") };
    world.objects.put(&Path::from(record.as_str()), content.into()).await.unwrap();
}

#[tokio::test]
async fn a_file_with_a_damaged_record_is_an_error_alone_and_can_be_deleted() {
    for torn in TORN {
        let world = World::new().await;
        let caller = world.caller();
        let broken = caller.create_file("a.txt", b"a").await;
        tear(&world, "/files/", torn).await;
        let whole = caller.create_file("b.txt", b"b").await;
        for refusal in [
            caller.call(&RetrieveFile::new(&broken.id)).await.unwrap_err(),
            caller.download(&broken.id).await.unwrap_err(),
        ] {
            assert_eq!(refusal.status, StatusCode::INTERNAL_SERVER_ERROR);
        }
        assert_eq!(caller.download(&whole.id).await.unwrap(), "b");
        let list = caller.call(&ListFiles::new()).await.unwrap();
        assert_eq!(list.data.iter().map(|file| &file.id).collect::<Vec<_>>(), [&whole.id]);
        assert_eq!(world.server.sweep().await.unwrap().skipped, 0);

        caller.call(&DeleteFile::new(&broken.id)).await.unwrap();
        for refusal in [
            caller.call(&RetrieveFile::new(&broken.id)).await.unwrap_err(),
            caller.call(&DeleteFile::new(&broken.id)).await.unwrap_err(),
        ] {
            assert_eq!(refusal.status, StatusCode::NOT_FOUND);
        }
        assert_eq!(caller.call(&ListFiles::new()).await.unwrap().data.len(), 1);
        for _ in 0..3 {
            world.advance(HOUR);
            assert_eq!(world.server.sweep().await.unwrap().skipped, 0);
        }
        assert_eq!(world.objects().await.len(), 2, "the whole one's");
    }
}

#[tokio::test]
async fn a_file_with_a_damaged_tombstone_is_deleted_and_swept() {
    for torn in TORN {
        let world = World::new().await;
        set_to_today(&world);
        let file = world.caller().create_file("a.txt", b"a").await;
        world.caller().call(&DeleteFile::new(&file.id)).await.unwrap();
        tear(&world, ".deleted.json", torn).await;
        assert_eq!(world.caller().download(&file.id).await.unwrap_err().status, StatusCode::NOT_FOUND);
        for _ in 0..3 {
            world.advance(HOUR);
            world.server.sweep().await.unwrap();
        }
        assert_eq!(world.objects().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_upload_whose_beginning_is_damaged_can_be_cancelled() {
    for torn in TORN {
        let world = World::new().await;
        let caller = world.caller();
        let upload = caller.create_upload("a.txt", 1).await;
        let part = caller.add_part(&upload, b"a").await;
        tear(&world, "/created.json", torn).await;
        let refusal = caller.try_complete(&upload, &[part]).await.unwrap_err();
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&refusal), @"500: a record of this file or upload is damaged: it can only be deleted or cancelled");
        }
        for _ in 0..2 {
            let cancelled = caller.call(&CancelUpload::new(&upload.id)).await.unwrap();
            assert_eq!((cancelled.id, cancelled.status), (upload.id.clone(), Some(UploadStatus::Cancelled)));
        }
        for _ in 0..2 {
            world.advance(HOUR);
            assert_eq!(world.server.sweep().await.unwrap().skipped, 0);
        }
        assert_eq!(world.objects().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_upload_whose_beginning_is_damaged_ends_when_every_upload_has_ended() {
    let world = World::new().await;
    let upload = world.caller().create_upload("a.txt", 1).await;
    world.caller().add_part(&upload, b"a").await;
    tear(&world, "/created.json", b"").await;
    for _ in 0..5 {
        world.advance(HOUR);
        world.server.sweep().await.unwrap();
    }
    assert_eq!(world.objects().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_upload_whose_end_is_damaged_is_an_error_and_loses_nothing() {
    let world = World::new().await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 1).await;
    let part = caller.add_part(&upload, b"a").await;
    let file = caller.complete(&upload, &[part]).await;
    tear(&world, "/final.json", b"").await;
    let refusal = caller.call(&CancelUpload::new(&upload.id)).await.unwrap_err();
    assert_eq!(refusal.status, StatusCode::INTERNAL_SERVER_ERROR);
    world.advance(30 * HOUR);
    let swept = world.server.sweep().await.unwrap();
    assert_eq!((swept.blobs, swept.skipped), (0, 1));
    assert_eq!(caller.download(&file.id).await.unwrap(), "a");
    caller.call(&DeleteFile::new(&file.id)).await.unwrap();
    for _ in 0..4 {
        world.advance(HOUR);
        world.server.sweep().await.unwrap();
    }
    assert_eq!(world.objects().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_file_whose_end_is_damaged_and_whose_record_is_missing_can_be_deleted() {
    for torn in TORN {
        let world = World::new().await;
        let caller = world.caller();
        let file = caller.create_file_of_parts("a.txt", &[b"a"]).await;
        tear(&world, "/final.json", torn).await;
        let [record] = &world.objects_in("/files/").await[..] else { panic!("one record") };
        world.objects.delete(&Path::from(record.as_str())).await.unwrap();
        let refusal = caller.call(&RetrieveFile::new(&file.id)).await.unwrap_err();
        assert_eq!(refusal.status, StatusCode::INTERNAL_SERVER_ERROR);
        caller.call(&DeleteFile::new(&file.id)).await.unwrap();
        for refusal in [
            caller.call(&RetrieveFile::new(&file.id)).await.unwrap_err(),
            caller.call(&DeleteFile::new(&file.id)).await.unwrap_err(),
        ] {
            assert_eq!(refusal.status, StatusCode::NOT_FOUND);
        }
        for _ in 0..4 {
            world.advance(HOUR);
            assert_eq!(world.server.sweep().await.unwrap().skipped, 0);
        }
        assert_eq!(world.objects().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_file_of_parts_with_a_damaged_record_is_read_from_the_end_of_its_upload() {
    for torn in TORN {
        let world = World::new().await;
        let caller = world.caller();
        let file = caller.create_file_of_parts("a.txt", &[b"a"]).await;
        tear(&world, "/files/", torn).await;
        assert_eq!(caller.call(&RetrieveFile::new(&file.id)).await.unwrap(), file);
        assert_eq!(caller.download(&file.id).await.unwrap(), "a");
        caller.call(&DeleteFile::new(&file.id)).await.unwrap();
        assert_eq!(caller.download(&file.id).await.unwrap_err().status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_file_whose_upload_lost_its_records_keeps_its_bytes() {
    for lost in [&["/final.json"][..], &["/created.json"], &["/final.json", "/created.json"]] {
        let world = World::new().await;
        set_to_today(&world);
        let caller = world.caller();
        let file = caller.create_file_of_parts("a.txt", &[b"a"]).await;
        for part in lost {
            let [record] = &world.objects_in(part).await[..] else { panic!("one record") };
            world.objects.delete(&Path::from(record.as_str())).await.unwrap();
        }
        for _ in 0..30 {
            world.advance(HOUR);
            assert_eq!(world.server.sweep().await.unwrap().skipped, 0);
        }
        assert_eq!(caller.download(&file.id).await.unwrap(), "a", "{lost:?}");
        caller.call(&DeleteFile::new(&file.id)).await.unwrap();
        for _ in 0..4 {
            world.advance(HOUR);
            world.server.sweep().await.unwrap();
        }
        assert_eq!(world.objects().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_store_with_a_torn_marker_is_opened_and_marked_again() {
    for torn in [&b""[..], b"{\"for", &[0; 12]] {
        let world = World::new().await;
        let file = world.caller().create_file("a.txt", b"a").await;
        let marker = Path::from("partwise.json");
        world.objects.put(&marker, torn.into()).await.unwrap();
        let next = world.restarted_over(world.objects.clone()).await;
        assert_eq!(next.caller().download(&file.id).await.unwrap(), "a");
        let repaired = world.objects.get(&marker).await.unwrap().bytes().await.unwrap();
        assert!(repaired.starts_with(b"{\"format\":1,\"id\":\""), "{repaired:?}");
    }
}

#[tokio::test]
async fn a_store_that_lost_power_when_it_was_new_is_opened() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    objects.put(&Path::from("partwise.json"), "".into()).await.unwrap();
    World::over(objects).await.caller().create_file("a.txt", b"a").await;
}
