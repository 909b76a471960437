//! The objects that the sweeper takes away, and when.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

use http_body_util::{BodyExt, Full};
use object_store::{ObjectStoreExt, path::Path};
use partwise_models::Upload;
use partwise_protocol::operations::{CancelUpload, DeleteFile, DownloadFile, ListFiles};
use partwise_server::Swept;
use tower_service::Service;

use crate::{
    faulty::Faulty,
    world::{Caller, HOUR, START, World},
};

/// The store's clock is the real one, and the sweeper goes by what comes later of it and the server's.
pub(crate) fn set_to_today(world: &World) {
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
    let file = caller.create_file_of_parts("a.txt", &[b"a", b"b"]).await;
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
        (folder.path().join("reserve/room#3#1"), true),
        (folder.path().join("reserve/room#3"), true),
        (folder.path().join("mine#1"), true),
    ] {
        let file = fs::File::create(path).unwrap();
        if is_old {
            file.set_modified(day_ago).unwrap();
        }
    }
    set_to_today(&world);
    assert_eq!(world.server.sweep().await.unwrap().unfinished, 2);
    assert!(!blobs.join("00#1").exists() && !folder.path().join("reserve/room#3#1").exists());
    assert_eq!(fs::read_dir(folder.path().join("reserve")).unwrap().count(), 32);
    assert!(
        blobs.join("00#2").exists()
            && blobs.join("notes#x").exists()
            && folder.path().join("mine#1").exists()
    );
    assert_eq!(caller.download(&file.id).await.unwrap(), "a");
}

/// A file that was made of one part, and what the caller knows of it.
async fn completed(caller: &Caller, content: &[u8]) -> (Upload, Vec<String>, String) {
    let upload = caller.create_upload("a.txt", content.len() as u64).await;
    let parts = vec![caller.add_part(&upload, content).await];
    let file = caller.complete(&upload, &parts).await;
    (upload, parts, file.id)
}

/// Sweeps until nothing is left to do.
async fn sweep_for_hours(world: &World, hours: u64) -> (usize, usize) {
    let (mut blobs, mut records) = (0, 0);
    for _ in 0..hours {
        world.advance(HOUR);
        let swept = world.server.sweep().await.unwrap();
        assert_eq!(swept.skipped, 0);
        blobs += swept.blobs;
        records += swept.records;
    }
    (blobs, records)
}

#[tokio::test]
async fn the_records_of_what_is_gone_go_an_hour_after_its_bytes() {
    let world = World::new().await;
    let caller = world.caller();
    let file = caller.create_file("a.txt", b"a").await;
    caller.call(&DeleteFile::new(&file.id)).await.unwrap();
    world.advance(HOUR);
    let swept = world.server.sweep().await.unwrap();
    assert_eq!((swept.blobs, swept.records), (1, 0));
    world.advance(HOUR - 1);
    assert_eq!(world.server.sweep().await.unwrap().records, 0);
    assert_eq!(world.objects_in("/files/").await.len(), 2);
    world.advance(1);
    assert_eq!(world.server.sweep().await.unwrap().records, 2);
    assert!(world.objects().await.is_empty());
}

#[tokio::test]
async fn nothing_is_left_of_what_was_deleted_cancelled_or_expired() {
    let world = World::new().await;
    let caller = world.caller();
    let file = caller.create_file("a.txt", b"a").await;
    let of_parts = caller.create_file_of_parts("a.txt", &[b"ab"]).await.id;
    let cancelled = caller.create_upload("a.txt", 1).await;
    caller.add_part(&cancelled, b"a").await;
    let mut brief = crate::world::new_upload("a.txt", 1);
    let expiry = partwise_models::ExpiresAfter::new(partwise_models::ExpiryAnchor::CreatedAt, HOUR);
    brief.request.expires_after = Some(expiry);
    let brief = caller.call(&brief).await.unwrap();
    let part = caller.add_part(&brief, b"a").await;
    caller.complete(&brief, &[part]).await;
    let expired = caller.create_upload("a.txt", 1).await;
    caller.add_part(&expired, b"a").await;
    caller.create_upload("never.txt", 1).await;
    for id in [&file.id, &of_parts] {
        caller.call(&DeleteFile::new(id)).await.unwrap();
    }
    caller.call(&CancelUpload::new(&cancelled.id)).await.unwrap();
    assert_eq!(sweep_for_hours(&world, 6).await.0, 5);
    assert_eq!(world.objects().await, Vec::<String>::new());
    assert_eq!(caller.call(&CancelUpload::new(&cancelled.id)).await.unwrap_err().status, 404);
}

#[tokio::test]
async fn of_a_completed_upload_whose_file_lives_the_beginning_and_the_end_stay() {
    let world = World::new().await;
    let caller = world.caller();
    let (upload, parts, id) = completed(&caller, b"ab").await;
    assert_eq!(sweep_for_hours(&world, 30).await, (0, 1), "the record of the part");
    let mut kept = world.objects_in("/uploads/").await;
    kept.iter_mut().for_each(|path| *path = path.rsplit('/').next().unwrap().to_owned());
    assert_eq!(kept, ["created.json", "final.json"]);
    assert_eq!(caller.complete(&upload, &parts).await.id, id);
    assert_eq!(caller.download(&id).await.unwrap(), "ab");
}

#[tokio::test]
async fn completing_again_while_the_records_go_brings_no_file_back() {
    let world = World::new().await;
    let caller = world.caller();
    let (upload, parts, id) = completed(&caller, b"ab").await;
    caller.call(&DeleteFile::new(&id)).await.unwrap();
    for _ in 0..6 {
        world.advance(HOUR);
        world.server.sweep().await.unwrap();
        let _ = caller.try_complete(&upload, &parts).await;
        assert_eq!(caller.download(&id).await.unwrap_err().status, 404);
        assert!(caller.call(&ListFiles::new()).await.unwrap().data.is_empty());
    }
    assert_eq!(world.objects().await, Vec::<String>::new());
}

#[tokio::test]
async fn no_folder_of_an_upload_stays_on_a_disk() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await;
    let upload = world.caller().create_upload("a.txt", 1).await;
    world.caller().call(&CancelUpload::new(&upload.id)).await.unwrap();
    let uploads = folder.path().join("tenants/team-a/uploads");
    assert_eq!(fs::read_dir(&uploads).unwrap().count(), 1);
    sweep_for_hours(&world, 2).await;
    assert_eq!(fs::read_dir(&uploads).unwrap().count(), 0);
}

#[tokio::test]
async fn a_sweep_that_is_cut_off_leaves_nothing_half_gone() {
    for changes in 0.. {
        let store = Faulty::default();
        let world = World::over(Arc::new(store.clone())).await;
        let caller = world.caller();
        let kept = caller.create_file_of_parts("a.txt", &[b"kept"]).await.id;
        let of_parts = caller.create_file_of_parts("a.txt", &[b"ab"]).await;
        let gone = [caller.create_file("a.txt", b"a").await.id, of_parts.id];
        for id in &gone {
            caller.call(&DeleteFile::new(id)).await.unwrap();
        }
        let open = caller.create_upload("a.txt", 1).await;
        caller.add_part(&open, b"a").await;
        store.stop_after(changes);
        for _ in 0..6 {
            world.advance(HOUR);
            let _ = world.server.sweep().await;
        }
        let was_cut_off = store.stopped();

        let next = world.restarted_over(Arc::new(store.sound())).await;
        let caller = next.caller();
        for _ in 0..6 {
            assert_eq!(caller.download(&kept).await.unwrap(), "kept");
            let list = caller.call(&ListFiles::new()).await.unwrap();
            assert_eq!(list.data.iter().map(|file| &file.id).collect::<Vec<_>>(), [&kept]);
            for id in &gone {
                assert_eq!(caller.download(id).await.unwrap_err().status, 404);
            }
            next.advance(HOUR);
            assert_eq!(next.server.sweep().await.unwrap().skipped, 0);
        }
        assert_eq!(next.objects().await.len(), 4, "{:?} after {changes}", next.objects().await);
        if !was_cut_off {
            assert!(changes > 9, "a sweep has more than {changes} changes");
            return;
        }
    }
}

#[tokio::test]
async fn a_sweep_that_finds_nothing_to_do_writes_nothing() {
    let store = Faulty::default();
    let world = World::over(Arc::new(store.clone())).await;
    let caller = world.caller();
    caller.create_file_of_parts("a.txt", &[b"ab"]).await;
    caller.create_file("a.txt", b"a").await;
    let before = store.writes();
    assert_eq!(world.server.sweep().await.unwrap(), Swept::default());
    assert_eq!(store.writes(), before);
}

#[tokio::test]
async fn completing_again_writes_nothing() {
    let store = Faulty::default();
    let world = World::over(Arc::new(store.clone())).await;
    let (upload, parts, id) = completed(&world.caller(), b"ab").await;
    let before = store.writes();
    assert_eq!(world.caller().complete(&upload, &parts).await.id, id);
    assert_eq!(store.writes(), before);
}

#[tokio::test]
async fn a_tenant_that_cannot_be_listed_keeps_nobody_else_from_being_swept() {
    let store = Faulty::default();
    let world = World::over(Arc::new(store.clone())).await;
    for caller in [world.caller(), world.stranger()] {
        let file = caller.create_file("a.txt", b"a").await;
        caller.call(&DeleteFile::new(&file.id)).await.unwrap();
    }
    store.hide_from_listings("team-a");
    world.advance(HOUR);
    let swept = world.server.sweep().await.unwrap();
    assert_eq!((swept.blobs, swept.skipped), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_vanish_while_the_sweeper_looks_at_them_are_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await;
    let file = world.caller().create_file("a.txt", b"a").await;
    set_to_today(&world);
    let blobs = folder.path().join("tenants/team-a/blobs");
    let uploads = folder.path().join("tenants/team-a/uploads");
    let is_over = Arc::new(AtomicBool::new(false));
    let vanishing = is_over.clone();
    let others = std::thread::spawn(move || {
        while !vanishing.load(SeqCst) {
            for number in 0..50 {
                fs::write(blobs.join(format!("00#{number}")), "").unwrap();
                fs::create_dir_all(uploads.join(format!("folder{number}"))).unwrap();
            }
            for number in 0..50 {
                fs::remove_file(blobs.join(format!("00#{number}"))).unwrap();
                let _ = fs::remove_dir(uploads.join(format!("folder{number}")));
            }
        }
    });
    for _ in 0..200 {
        assert_eq!(world.server.sweep().await.unwrap(), Swept::default());
    }
    is_over.store(true, SeqCst);
    others.join().unwrap();
    assert_eq!(world.caller().download(&file.id).await.unwrap(), "a");
}

#[cfg(unix)]
#[tokio::test]
async fn a_clock_that_is_wrong_ends_no_sweep() {
    for now in [0, 1, START, u64::MAX - 1, u64::MAX] {
        let folder = tempfile::tempdir().unwrap();
        let world = World::in_folder(folder.path()).await;
        let caller = world.caller();
        let file = caller.create_file("a.txt", b"a").await;
        let upload = caller.create_upload("a.txt", 1).await;
        caller.add_part(&upload, b"a").await;
        // Written while the clock stood before 1970.
        for path in crate::folder::below(folder.path()).iter().filter(|path| path.is_file()) {
            let before = SystemTime::UNIX_EPOCH - Duration::from_secs(25 * HOUR);
            fs::File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
        }
        world.set_clock(now);
        world.server.sweep().await.unwrap();
        let _ = caller.call(&ListFiles::new()).await;
        let _ = caller.try_add_part(&upload, b"a").await;
        let _ = caller.call(&crate::world::new_upload("a.txt", 1)).await;
        let _ = caller.call(&crate::world::new_file(partwise_models::Purpose::Assistants, "a", b"a")).await;
        world.server.sweep().await.unwrap();
        world.set_clock(START);
        assert_eq!(caller.download(&file.id).await.unwrap(), "a", "{now}");
    }
}
