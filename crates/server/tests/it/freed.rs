//! Sweeps of a store whose disk turns out to be full: they come at once, and give back all that is gone.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use partwise_protocol::operations::{CancelUpload, DeleteFile, ListFiles};

use crate::{
    faulty::Faulty,
    world::{Caller, HOUR, World, new_upload, settle},
};

/// A server that sweeps by itself, and has swept once.
async fn world() -> (World, Faulty) {
    let store = Faulty::default();
    let world = World::over(Arc::new(store.clone())).await;
    tokio::spawn(world.server.clone().sweep_regularly());
    eventually(async || store.sweeps() == 1).await;
    settle().await;
    (world, store)
}

/// Asks for something new, for which there is no room.
async fn is_refused(caller: &Caller) {
    let refusal = caller.call(&new_upload("b.txt", 1)).await.unwrap_err();
    assert_eq!(refusal.status, StatusCode::INSUFFICIENT_STORAGE);
}

/// Waits until this holds; other tests may take the turns of a task that is to make it so. A clock that is paused stays so.
async fn eventually(holds: impl AsyncFn() -> bool) {
    let begun = std::time::Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "it came to nothing");
        std::thread::sleep(Duration::from_millis(2));
        settle().await;
    }
}

#[tokio::test]
async fn bytes_that_were_deleted_before_the_disk_was_full_go_when_it_is() {
    let (world, store) = world().await;
    let caller = world.caller();
    let file = caller.create_file("a.txt", b"a").await.id;
    let upload = caller.create_upload("a.txt", 2).await;
    let parts = [caller.add_part(&upload, b"a").await, caller.add_part(&upload, b"b").await];
    let unnamed = caller.add_part(&upload, b"x").await;
    let of_parts = caller.complete(&upload, &parts).await.id;
    let cancelled = caller.create_upload("a.txt", 1).await;
    caller.add_part(&cancelled, b"a").await;
    let kept = caller.create_file("kept", b"k").await.id;
    for id in [&file, &of_parts] {
        caller.call(&DeleteFile::new(id)).await.unwrap();
    }
    caller.call(&CancelUpload::new(&cancelled.id)).await.unwrap();
    assert_eq!(world.server.sweep().await.unwrap().blobs, 0);
    assert_eq!(world.objects_in("/blobs/").await.len(), 6, "{unnamed}");

    store.set_room(0);
    is_refused(&caller).await;
    eventually(async || world.objects_in("/blobs/").await.len() == 1).await;
    caller.call(&new_upload("b.txt", 1)).await.unwrap();
    assert_eq!(caller.download(&kept).await.unwrap(), "k");
    assert_eq!(caller.call(&CancelUpload::new(&cancelled.id)).await.unwrap().id, cancelled.id);
    for id in [&file, &of_parts] {
        assert_eq!(caller.download(id).await.unwrap_err().status, StatusCode::NOT_FOUND);
    }
    // The next sweep takes the records that their tombstones make needless.
    world.server.sweep().await.unwrap();
    world.server.sweep().await.unwrap();
    assert_eq!(world.objects_in("/files/").await.len(), 3, "two tombstones, and the one that is kept");
    world.advance(2 * HOUR);
    for _ in 0..3 {
        assert_eq!(world.server.sweep().await.unwrap().skipped, 0);
        world.advance(HOUR);
    }
    assert_eq!(world.objects().await.len(), 2, "{:?}", world.objects().await);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_swept_once_a_minute_and_not_without_a_reason() {
    let (world, store) = world().await;
    let caller = world.caller();
    store.set_room(0);
    for _ in 0..5 {
        is_refused(&caller).await;
        settle().await;
    }
    assert_eq!(store.sweeps(), 2, "at once");
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(store.sweeps(), 2);
    tokio::time::sleep(Duration::from_secs(2)).await;
    settle().await;
    assert_eq!(store.sweeps(), 3, "for those that were refused after the last began");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(store.sweeps(), 3, "nobody was refused since");
    is_refused(&caller).await;
    settle().await;
    assert_eq!(store.sweeps(), 4);
}

#[tokio::test(start_paused = true)]
async fn sweeps_that_take_long_do_not_pile_up() {
    let (world, store) = world().await;
    let caller = world.caller();
    caller.create_file("a.txt", b"a").await;
    store.slow_listings(Duration::from_secs(600));
    store.set_room(0);
    for _ in 0..1200 {
        is_refused(&caller).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    let of_the_hour = store.sweeps();
    // The one that was asked for meanwhile, that of the hour, and then no more.
    tokio::time::sleep(Duration::from_secs(50 * 60)).await;
    settle().await;
    assert!(store.sweeps() <= of_the_hour + 2, "{} after {of_the_hour}", store.sweeps());
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_finds_no_room_itself_is_no_reason_for_the_next() {
    let (world, store) = world().await;
    let caller = world.caller();
    caller.create_upload("a.txt", 1).await;
    world.advance(HOUR);
    store.set_room(0);
    world.server.sweep().await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(store.sweeps(), 2, "the first one, and this");
}

#[tokio::test(start_paused = true)]
async fn sweeps_of_one_server_take_turns() {
    let (world, store) = world().await;
    let caller = world.caller();
    for _ in 0..3 {
        caller.create_file("a.txt", b"a").await;
    }
    store.slow_listings(Duration::from_secs(5));
    let (first, second) = (world.server.clone(), world.server.clone());
    let (first, second) = tokio::join!(first.sweep(), second.sweep());
    assert_eq!((first.unwrap().skipped, second.unwrap().skipped), (0, 0));
    assert_eq!((store.sweeps(), store.most_sweeps_at_once()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_found_no_room_for_its_record_is_listed_a_minute_after_a_deletion_made_room() {
    let (world, store) = world().await;
    let caller = world.caller();
    let gone = caller.create_file("gone", b"a").await.id;
    let upload = caller.create_upload("a.txt", 1).await;
    let part = caller.add_part(&upload, b"a").await;
    store.set_room(1);
    let file = caller.complete(&upload, &[part]).await.id;
    settle().await;
    let listed = async || -> Vec<String> {
        let list = caller.call(&ListFiles::new()).await.unwrap();
        list.data.into_iter().map(|file| file.id).collect()
    };
    assert_eq!(listed().await, std::slice::from_ref(&gone));
    caller.call(&DeleteFile::new(&gone)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(61)).await;
    eventually(async || listed().await == [file.clone()]).await;
}

#[tokio::test]
async fn records_of_what_is_gone_leave_a_full_disk_ten_minutes_later() {
    let (world, store) = world().await;
    let caller = world.caller();
    let file = caller.create_file("a.txt", b"a").await.id;
    let of_parts = caller.create_file_of_parts("a.txt", &[b"a"]).await.id;
    let cancelled = caller.create_upload("a.txt", 1).await;
    for id in [&file, &of_parts] {
        caller.call(&DeleteFile::new(id)).await.unwrap();
    }
    caller.call(&CancelUpload::new(&cancelled.id)).await.unwrap();
    store.set_room(0);
    is_refused(&caller).await;
    eventually(async || world.objects_in("/blobs/").await.is_empty()).await;
    world.advance(10 * 60 - 1);
    for _ in 0..3 {
        world.server.sweep().await.unwrap();
    }
    assert_eq!(world.objects().await.len(), 4, "{:?}", world.objects().await);
    world.advance(1);
    world.server.sweep().await.unwrap();
    assert_eq!(world.objects().await, Vec::<String>::new());
    for id in [&file, &of_parts] {
        assert_eq!(caller.download(id).await.unwrap_err().status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn the_records_of_parts_stay_for_an_hour_on_a_full_disk_too() {
    let (world, store) = world().await;
    let caller = world.caller();
    caller.create_file_of_parts("a.txt", &[b"a"]).await;
    store.set_room(0);
    is_refused(&caller).await;
    let parts = async || {
        world.server.sweep().await.unwrap();
        world.objects().await.iter().filter(|path| path.contains("/part-")).count()
    };
    assert_eq!(parts().await, 1, "a completion that looked before may still read it");
    world.advance(HOUR);
    assert_eq!(parts().await, 0);
}
