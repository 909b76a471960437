//! A store without room: read, emptied and swept all the same, and wherever that is cut off, nothing is half there.

use std::sync::Arc;

use http::StatusCode;
use partwise_models::{Purpose, Upload, UploadStatus};
use partwise_protocol::{
    error::ApiError,
    operations::{CancelUpload, DeleteFile, ListFiles, RetrieveFile},
};

use crate::{
    faulty::Faulty,
    sweep::set_to_today,
    world::{Caller, HOUR, World, new_file, told},
};

/// A world whose store is full as soon as `fill` is called.
async fn world() -> (World, Faulty) {
    let store = Faulty::default();
    (World::over(Arc::new(store.clone())).await, store)
}

async fn upload_of_two_parts(caller: &Caller) -> (Upload, Vec<String>) {
    let upload = caller.create_upload("ab.txt", 2).await;
    let parts = vec![caller.add_part(&upload, b"a").await, caller.add_part(&upload, b"b").await];
    (upload, parts)
}

async fn file_of_two_parts(caller: &Caller) -> String {
    caller.create_file_of_parts("ab.txt", &[b"a", b"b"]).await.id
}

async fn listed(caller: &Caller) -> Vec<String> {
    let list = caller.call(&ListFiles::new()).await.unwrap();
    list.data.into_iter().map(|file| file.id).collect()
}

#[tokio::test]
async fn on_a_full_disk_files_are_read_and_deleted_and_nothing_is_made() {
    let (world, store) = world().await;
    let caller = world.caller();
    let files = [caller.create_file("a.txt", b"ab").await.id, file_of_two_parts(&caller).await];
    store.set_room(0);
    let refusal = caller.call(&crate::world::new_upload("b.txt", 1)).await.unwrap_err();
    insta::assert_snapshot!(told(&refusal), @"507: the server's disk is full");
    assert_eq!(listed(&caller).await.len(), 2);
    for id in files {
        assert_eq!(caller.download(&id).await.unwrap(), "ab");
        store.set_room(0);
        caller.call(&DeleteFile::new(&id)).await.unwrap();
        assert_eq!(caller.call(&RetrieveFile::new(&id)).await.unwrap_err().status, StatusCode::NOT_FOUND);
        assert!(store.room() > Some(0), "the bytes are gone at once: {:?}", world.objects().await);
        let again = caller.call(&DeleteFile::new(&id)).await.unwrap_err();
        assert_eq!(again.status, StatusCode::NOT_FOUND);
    }
    assert!(listed(&caller).await.is_empty());
    assert!(world.objects_in("/blobs/").await.is_empty());
    caller.create_file("a.txt", b"a").await;
}

#[tokio::test]
async fn on_a_full_disk_uploads_are_cancelled_and_their_bytes_go_at_once() {
    let (world, store) = world().await;
    let caller = world.caller();
    let empty = caller.create_upload("a.txt", 1).await;
    let (upload, parts) = upload_of_two_parts(&caller).await;
    for upload in [&upload, &empty] {
        store.set_room(0);
        let cancelled = caller.call(&CancelUpload::new(&upload.id)).await.unwrap();
        assert_eq!(cancelled.status, Some(UploadStatus::Cancelled));
    }
    assert!(world.objects_in("/blobs/").await.is_empty());
    assert!(caller.try_complete(&upload, &parts).await.is_err());
}

#[tokio::test]
async fn on_a_full_disk_what_was_completed_is_not_cancelled() {
    let (world, store) = world().await;
    let caller = world.caller();
    let (upload, parts) = upload_of_two_parts(&caller).await;
    let file = caller.complete(&upload, &parts).await;
    store.set_room(0);
    let refusal = caller.call(&CancelUpload::new(&upload.id)).await.unwrap_err();
    assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
    assert_eq!(caller.download(&file.id).await.unwrap(), "ab");
    assert_eq!(caller.complete(&upload, &parts).await.id, file.id);
}

#[tokio::test]
async fn on_a_full_disk_an_upload_whose_time_is_over_is_over() {
    let (world, store) = world().await;
    let caller = world.caller();
    let (upload, parts) = upload_of_two_parts(&caller).await;
    world.advance(HOUR);
    store.set_room(0);
    for refusal in [
        caller.try_add_part(&upload, b"a").await.unwrap_err(),
        caller.try_complete(&upload, &parts).await.unwrap_err(),
        caller.call(&CancelUpload::new(&upload.id)).await.unwrap_err(),
    ] {
        assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{refusal:?}");
    }
}

#[tokio::test]
async fn a_full_disk_is_swept_without_writing() {
    let (world, store) = world().await;
    let caller = world.caller();
    let (upload, parts) = upload_of_two_parts(&caller).await;
    store.set_room(0);
    let mut freed = 0;
    for _ in 0..5 {
        world.advance(HOUR);
        store.set_room(0);
        freed += world.server.sweep().await.unwrap().blobs;
    }
    assert_eq!(freed, 2);
    assert!(caller.try_complete(&upload, &parts).await.is_err());
    assert_eq!(world.objects().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_part_that_was_swept_without_a_record_of_the_end_makes_no_file() {
    let (world, store) = world().await;
    let caller = world.caller();
    let (upload, parts) = upload_of_two_parts(&caller).await;
    world.advance(3 * HOUR);
    store.set_room(0);
    assert_eq!(world.server.sweep().await.unwrap().blobs, 2);
    store.set_room(9);
    assert_eq!(caller.try_complete(&upload, &parts).await.unwrap_err().status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn on_a_full_disk_a_file_whose_record_is_missing_is_read() {
    let (world, store) = world().await;
    let caller = world.caller();
    let id = file_of_two_parts(&caller).await;
    let [record] = &world.objects_in("/files/").await[..] else { panic!("one record") };
    object_store::ObjectStoreExt::delete(&*world.objects, &record.as_str().into()).await.unwrap();
    store.set_room(0);
    assert_eq!(caller.download(&id).await.unwrap(), "ab");
    assert_eq!(world.server.sweep().await.unwrap().skipped, 0, "there is no room for the record");
    caller.call(&DeleteFile::new(&id)).await.unwrap();
    assert_eq!(caller.download(&id).await.unwrap_err().status, StatusCode::NOT_FOUND);
    store.set_room(9);
    world.server.sweep().await.unwrap();
    assert!(listed(&caller).await.is_empty());
}

#[tokio::test]
async fn a_server_starts_on_a_full_disk() {
    let (world, store) = world().await;
    let id = world.caller().create_file("a.txt", b"a").await.id;
    store.set_room(0);
    let restarted = World::over(Arc::new(store.clone())).await;
    assert_eq!(restarted.caller().download(&id).await.unwrap(), "a");
    // Not even one whose marker a power cut has torn needs room.
    object_store::ObjectStoreExt::put(&store.sound(), &"partwise.json".into(), "".into()).await.unwrap();
    let restarted = World::over(Arc::new(store)).await;
    assert_eq!(restarted.caller().download(&id).await.unwrap(), "a");
}

/// An operation that may be cut off.
#[derive(Clone, Copy, Debug)]
enum Cut {
    DeleteOfFileSentAtOnce,
    DeleteOfFileOfParts,
    Cancel,
}

/// Runs `cut` on a full disk in a process that is killed after so many changes; says whether it was cut off. Then the
/// disk has room again, another process looks at what is there, and at last all is deleted.
async fn is_cut_off(cut: Cut, changes: usize, is_backwards: bool) -> bool {
    let (world, store) = world().await;
    if is_backwards {
        store.remove_backwards();
    }
    set_to_today(&world);
    let caller = world.caller();
    let (upload, parts) = upload_of_two_parts(&caller).await;
    let file = match cut {
        Cut::DeleteOfFileSentAtOnce => Some(caller.create_file("a.txt", b"ab").await.id),
        Cut::DeleteOfFileOfParts => Some(caller.complete(&upload, &parts).await.id),
        Cut::Cancel => None,
    };
    store.set_room(0);
    store.stop_after(changes);
    let answer = match &file {
        Some(id) => caller.call(&DeleteFile::new(id)).await.map(drop),
        None => caller.call(&CancelUpload::new(&upload.id)).await.map(drop),
    };
    let was_cut_off = store.stopped();

    let sound = Arc::new(store.sound());
    let next = world.restarted_over(sound).await;
    let caller = next.caller();
    match &file {
        Some(id) => {
            whole_or_gone(&caller, id, &answer).await;
            if matches!(cut, Cut::DeleteOfFileOfParts) {
                assert!(
                    caller.try_add_part(&upload, b"c").await.is_err(),
                    "after {changes}: it is open again"
                );
            }
        }
        None => cancelled_or_open(&caller, &upload, &parts, &answer).await,
    }
    // Whatever was left is taken back in the end.
    for id in listed(&caller).await {
        caller.call(&DeleteFile::new(&id)).await.unwrap();
    }
    for _ in 0..40 {
        next.advance(HOUR);
        assert_eq!(next.server.sweep().await.unwrap().skipped, 0);
    }
    assert_eq!(next.objects().await, Vec::<String>::new(), "{cut:?} after {changes}");
    was_cut_off
}

async fn whole_or_gone(caller: &Caller, id: &str, answer: &Result<(), ApiError>) {
    match caller.download(id).await {
        Ok(content) => {
            assert_eq!(content, "ab");
            assert!(answer.is_err(), "a deleted file is there");
            assert_eq!(caller.call(&RetrieveFile::new(id)).await.unwrap().id, id);
            assert_eq!(listed(caller).await, [id]);
        }
        Err(refusal) => {
            assert_eq!(refusal.status, StatusCode::NOT_FOUND);
            assert!(listed(caller).await.is_empty());
        }
    }
}

async fn cancelled_or_open(
    caller: &Caller,
    upload: &Upload,
    parts: &[String],
    answer: &Result<(), ApiError>,
) {
    let completed = caller.try_complete(upload, parts).await;
    if let Ok(completed) = completed {
        assert!(answer.is_err(), "a cancelled upload was completed");
        assert_eq!(caller.download(&completed.file.unwrap().id).await.unwrap(), "ab");
        return;
    }
    match caller.call(&CancelUpload::new(&upload.id)).await {
        Ok(cancelled) => assert_eq!(cancelled.status, Some(UploadStatus::Cancelled)),
        Err(refusal) => assert_eq!(refusal.status, StatusCode::NOT_FOUND),
    }
}

#[tokio::test]
async fn whatever_is_cut_off_on_a_full_disk_is_done_or_not_done() {
    for cut in [Cut::DeleteOfFileSentAtOnce, Cut::DeleteOfFileOfParts, Cut::Cancel] {
        for is_backwards in [false, true] {
            let mut changes = 0;
            while is_cut_off(cut, changes, is_backwards).await {
                changes += 1;
            }
            assert!(changes > 1, "{cut:?} has {changes} changes");
        }
    }
}

#[tokio::test]
async fn a_write_that_is_refused_for_want_of_room_leaves_no_bytes() {
    let (world, store) = world().await;
    let caller = world.caller();
    caller.create_file("kept", b"a").await;
    let upload = caller.create_upload("b.txt", 1).await;
    // Room for the bytes, but not for the record that names them.
    store.set_room(1);
    let file = caller.call(&new_file(Purpose::Assistants, "b", b"b")).await.unwrap_err();
    let part = caller.try_add_part(&upload, b"b").await.unwrap_err();
    assert_eq!([file.status, part.status], [StatusCode::INSUFFICIENT_STORAGE; 2]);
    assert_eq!(world.objects_in("/blobs/").await.len(), 1);
    assert_eq!(store.room(), Some(1));
}

#[tokio::test]
async fn bytes_that_belong_to_nothing_go_after_an_hour_when_the_disk_was_full() {
    let (world, store) = world().await;
    set_to_today(&world);
    world.caller().create_file("kept", b"a").await;
    // The server ends between the bytes and their record.
    store.stop_after(1);
    world.caller().call(&new_file(Purpose::Assistants, "b", b"b")).await.unwrap_err();
    let sound = Arc::new(store.sound());
    let next = world.restarted_over(sound.clone()).await;
    sound.set_room(0);
    let refusal = next.caller().call(&crate::world::new_upload("b.txt", 1)).await.unwrap_err();
    assert_eq!(refusal.status, StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!(next.objects_in("/blobs/").await.len(), 2);
    next.advance(HOUR - 120);
    assert_eq!(next.server.sweep().await.unwrap().blobs, 0);
    next.advance(120);
    assert_eq!(next.server.sweep().await.unwrap().blobs, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_exactly_one_of_complete_and_cancel_wins() {
    let (world, store) = world().await;
    let (mut completed, mut cancelled) = (0, 0);
    for round in 0..300 {
        store.set_room(9);
        let (upload, parts) = upload_of_two_parts(&world.caller()).await;
        store.set_room(round % 3);
        let (completing, cancelling) = (world.caller(), world.caller());
        let (request, cancel) = (crate::world::complete(&upload, &parts), CancelUpload::new(&upload.id));
        let completing = tokio::spawn(async move { completing.call(&request).await });
        let cancelling = tokio::spawn(async move { cancelling.call(&cancel).await });
        let (complete, cancel) = (completing.await.unwrap(), cancelling.await.unwrap());
        store.set_room(9);
        match cancel {
            Ok(_) => {
                assert!(complete.is_err());
                assert!(world.caller().try_complete(&upload, &parts).await.is_err());
                cancelled += 1;
            }
            Err(refusal) => {
                assert_eq!(
                    refusal.status,
                    StatusCode::BAD_REQUEST,
                    "only what is completed is not cancelled"
                );
                let file = world.caller().complete(&upload, &parts).await;
                assert_eq!(world.caller().download(&file.id).await.unwrap(), "ab");
                completed += 1;
            }
        }
    }
    assert!(completed > 0 && cancelled > 0, "{completed} and {cancelled}");
}

#[tokio::test]
async fn what_is_deleted_after_something_was_refused_for_want_of_room_gives_room_at_once() {
    let (world, store) = world().await;
    let caller = world.caller();
    let files = [caller.create_file("a.txt", b"ab").await.id, file_of_two_parts(&caller).await];
    let (upload, _) = upload_of_two_parts(&caller).await;
    let blobs = async || world.objects_in("/blobs/").await.len();
    store.set_room(1);
    assert_eq!(caller.call(&new_file(Purpose::Assistants, "b", b"b")).await.unwrap_err().status, 507);
    store.set_room(9);
    for (id, left) in files.iter().zip([4, 2]) {
        caller.call(&DeleteFile::new(id)).await.unwrap();
        assert_eq!(blobs().await, left);
    }
    assert_eq!(world.objects_in("/files/").await.len(), 2, "their tombstones");
    caller.call(&CancelUpload::new(&upload.id)).await.unwrap();
    assert_eq!(blobs().await, 0);
    assert_eq!(
        world.objects_in("/uploads/").await.len(),
        2,
        "the beginning and the end of the cancelled one"
    );
    for _ in 0..2 {
        world.advance(HOUR);
        assert_eq!(world.server.sweep().await.unwrap().skipped, 0);
    }
    assert_eq!(world.objects().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_completion_for_whose_file_there_is_no_room_is_answered() {
    let (world, store) = world().await;
    let caller = world.caller();
    let (upload, parts) = upload_of_two_parts(&caller).await;
    // Room for the end, which is the commit, but not for the file's own record.
    store.set_room(1);
    let file = caller.complete(&upload, &parts).await;
    assert_eq!(caller.complete(&upload, &parts).await.id, file.id);
    assert_eq!(caller.download(&file.id).await.unwrap(), "ab");
    assert!(listed(&caller).await.is_empty());
    store.set_room(9);
    world.server.sweep().await.unwrap();
    assert_eq!(listed(&caller).await, [file.id]);
}

#[tokio::test]
async fn an_upload_is_cancelled_although_others_take_all_room() {
    let (world, store) = world().await;
    set_to_today(&world);
    let caller = world.caller();
    let (upload, parts) = upload_of_two_parts(&caller).await;
    store.set_room(0);
    store.set_contended(true);
    let cancelled = caller.call(&CancelUpload::new(&upload.id)).await.unwrap();
    assert_eq!(cancelled.status, Some(UploadStatus::Cancelled));
    for refusal in [
        caller.call(&CancelUpload::new(&upload.id)).await.unwrap_err(),
        caller.try_complete(&upload, &parts).await.unwrap_err(),
    ] {
        assert_eq!(refusal.status, StatusCode::NOT_FOUND);
    }
    world.advance(HOUR);
    assert_eq!(world.server.sweep().await.unwrap().blobs, 2);
    assert_eq!(world.objects().await, Vec::<String>::new());
}
