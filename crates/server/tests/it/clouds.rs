//! Servers over stores whose answers may not be what they did, in the dialects of three clouds.

use http::StatusCode;
use partwise_models::{Purpose, Upload, UploadStatus};
use partwise_protocol::{
    error::ApiError,
    operations::{CancelUpload, DeleteFile, ListFiles, RetrieveFile},
};
use partwise_testkit::cloud::{Dialect, FakeCloud, Fault, Kind};

use crate::world::{Caller, HOUR, World, complete, new_file, new_upload};

/// The faults that a request survives: the write was carried out or not, and the answer does not say which.
const SURVIVED: [Fault; 7] = [
    Fault::Reject(409),
    Fault::Reject(503),
    Fault::RejectFor { status: 429, seconds: 1 },
    Fault::FailAfterwards(503),
    Fault::FailAfterwards(409),
    Fault::LoseRequest,
    Fault::LoseAnswer,
];

/// A server in each dialect, over a cloud that is well until a test says otherwise.
async fn in_each_dialect(test: impl AsyncFn(Dialect, FakeCloud, World)) {
    for dialect in Dialect::ALL {
        let cloud = FakeCloud::new();
        let world = World::over(cloud.store(dialect)).await;
        cloud.forget();
        test(dialect, cloud, world).await;
    }
}

/// An upload of one part, `xy`, that is not complete.
async fn upload_of_a_part(caller: &Caller) -> (Upload, Vec<String>) {
    let upload = caller.create_upload("xy.txt", 2).await;
    let part = caller.add_part(&upload, b"xy").await;
    (upload, vec![part])
}

async fn delete(caller: &Caller, file_id: &str) -> Result<Option<bool>, ApiError> {
    caller.call(&DeleteFile::new(file_id)).await.map(|deleted| deleted.unwrap().deleted)
}

async fn cancel(caller: &Caller, upload: &Upload) -> Result<Option<UploadStatus>, ApiError> {
    caller.call(&CancelUpload::new(&upload.id)).await.map(|cancelled| cancelled.status)
}

/// Does everything that creates a record, each time with this fault for the `nth` that it creates.
async fn go_through(caller: &Caller, cloud: &FakeCloud, nth: u64, fault: Fault) {
    let arm = || {
        cloud.heal();
        cloud.on(Kind::Create).nth(nth, fault);
    };
    arm();
    let file = caller.create_file("a.txt", b"abc").await;
    arm();
    let upload = caller.create_upload("xy.txt", 2).await;
    arm();
    let parts = [caller.add_part(&upload, b"xy").await];
    arm();
    let completed = caller.complete(&upload, &parts).await;
    assert_eq!(caller.complete(&upload, &parts).await, completed);
    arm();
    assert_eq!(delete(caller, &file.id).await.unwrap(), Some(true));
    assert_eq!(delete(caller, &file.id).await.unwrap_err().status, StatusCode::NOT_FOUND);
    let (other, parts) = upload_of_a_part(caller).await;
    arm();
    assert_eq!(cancel(caller, &other).await.unwrap(), Some(UploadStatus::Cancelled));
    assert_eq!(caller.try_complete(&other, &parts).await.unwrap_err().status, StatusCode::BAD_REQUEST);

    cloud.heal();
    assert_eq!(caller.download(&completed.id).await.unwrap(), "xy");
    assert_eq!(caller.download(&file.id).await.unwrap_err().status, StatusCode::NOT_FOUND);
    let list = caller.call(&ListFiles::new()).await.unwrap();
    assert_eq!(list.data.iter().map(|file| &file.id).collect::<Vec<_>>(), [&completed.id]);
    assert_eq!(delete(caller, &completed.id).await.unwrap(), Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_not_what_it_did_is_answered_by_what_it_did() {
    in_each_dialect(async |dialect, cloud, world| {
        for fault in SURVIVED {
            for nth in [1, 2] {
                println!("{dialect:?}, {fault:?}, {nth}");
                go_through(&world.caller(), &cloud, nth, fault).await;
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_not_stored_is_never_answered() {
    in_each_dialect(async |dialect, cloud, world| {
        let caller = world.caller();
        let (upload, parts) = upload_of_a_part(&caller).await;
        let file = caller.create_file("a.txt", b"abc").await;
        for fault in [Fault::Reject(409), Fault::LoseRequest] {
            cloud.heal();
            cloud.on(Kind::Create).every(fault);
            for refusal in [
                caller.try_complete(&upload, &parts).await.unwrap_err(),
                cancel(&caller, &upload).await.unwrap_err(),
                delete(&caller, &file.id).await.unwrap_err(),
                caller.call(&new_file(Purpose::Assistants, "b", b"b")).await.unwrap_err(),
                caller.call(&new_upload("c", 1)).await.unwrap_err(),
                caller.try_add_part(&upload, b"x").await.unwrap_err(),
            ] {
                assert_eq!(
                    refusal.status,
                    StatusCode::SERVICE_UNAVAILABLE,
                    "{dialect:?}, {fault:?}: {refusal:?}"
                );
                assert!(refusal.retry.after.is_some(), "{dialect:?}, {fault:?}: {refusal:?}");
            }
        }
        cloud.heal();
        assert_eq!(caller.download(&file.id).await.unwrap(), "abc", "{dialect:?}");
        assert_eq!(world.objects_in("final.json").await, [""; 0], "{dialect:?}");
        let completed = caller.complete(&upload, &parts).await;
        assert_eq!(caller.download(&completed.id).await.unwrap(), "xy", "{dialect:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_large_end_whose_answer_is_lost_is_known_again() {
    in_each_dialect(async |dialect, cloud, world| {
        let caller = world.caller();
        for fault in [Fault::LoseAnswer, Fault::FailAfterwards(503), Fault::Reject(409)] {
            // So many that their record is a large one.
            let upload = caller.create_upload("many.txt", 1100).await;
            let mut parts = Vec::new();
            for _ in 0..1100 {
                parts.push(caller.add_part(&upload, b"x").await);
            }
            cloud.forget();
            cloud.on(Kind::Create).of("final.json").first(1, fault);
            cloud.on(Kind::Create).of("/files/").first(1, fault);
            let file = caller.complete(&upload, &parts).await;
            cloud.heal();
            let largest = cloud.seen().iter().map(|seen| seen.bytes).max();
            assert!(largest > Some(64 * 1024), "{dialect:?}: {largest:?}");
            assert_eq!(caller.download(&file.id).await.unwrap(), "x".repeat(1100), "{dialect:?}, {fault:?}");
        }
    })
    .await;
}

/// The faults that both requests of a race meet.
const RACED: [Fault; 3] = [Fault::LoseAnswer, Fault::FailAfterwards(503), Fault::FailAfterwards(409)];

#[tokio::test(start_paused = true)]
async fn of_two_deletes_one_wins_whatever_becomes_of_their_answers() {
    in_each_dialect(async |dialect, cloud, world| {
        let second = world.second_server().await;
        for fault in RACED {
            for _ in 0..5 {
                let file = world.caller().create_file("a.txt", b"a").await;
                cloud.on(Kind::Create).of(".deleted.json").every(fault);
                let (mine, other) = (world.caller(), second.caller());
                let answers = tokio::join!(delete(&mine, &file.id), delete(&other, &file.id));
                cloud.heal();
                match answers {
                    (Ok(Some(true)), Err(refusal)) | (Err(refusal), Ok(Some(true))) => {
                        assert_eq!(refusal.status, StatusCode::NOT_FOUND, "{dialect:?}, {fault:?}");
                    }
                    both => panic!("{dialect:?}, {fault:?}: one must win: {both:?}"),
                }
                assert!(world.caller().call(&RetrieveFile::new(&file.id)).await.is_err());
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn of_complete_and_cancel_one_wins_whatever_becomes_of_their_answers() {
    in_each_dialect(async |dialect, cloud, world| {
        let second = world.second_server().await;
        for fault in RACED {
            for round in 0..6 {
                let (upload, parts) = upload_of_a_part(&world.caller()).await;
                cloud.on(Kind::Create).of("final.json").every(fault);
                let (mine, other, request) = (world.caller(), second.caller(), complete(&upload, &parts));
                let (completed, cancelled) = if round % 2 == 0 {
                    tokio::join!(mine.call(&request), cancel(&other, &upload))
                } else {
                    let (cancelled, completed) = tokio::join!(cancel(&other, &upload), mine.call(&request));
                    (completed, cancelled)
                };
                cloud.heal();
                match (completed, cancelled) {
                    (Ok(upload), Err(refusal)) => {
                        assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{dialect:?}, {fault:?}");
                        let file = upload.file.unwrap();
                        assert_eq!(second.caller().download(&file.id).await.unwrap(), "xy");
                    }
                    (Err(refusal), Ok(status)) => {
                        assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{dialect:?}, {fault:?}");
                        assert_eq!(status, Some(UploadStatus::Cancelled));
                    }
                    both => panic!("{dialect:?}, {fault:?}: one must win: {both:?}"),
                }
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_busy_is_asked_again_and_then_the_caller_is_told_when_to_come_back() {
    in_each_dialect(async |dialect, cloud, world| {
        let caller = world.caller();
        let file = caller.create_file("a.txt", b"abc").await;
        for fault in
            [Fault::RejectFor { status: 503, seconds: 1 }, Fault::RejectFor { status: 429, seconds: 1 }]
        {
            cloud.heal();
            cloud.on_any().first(3, fault);
            assert_eq!(caller.download(&file.id).await.unwrap(), "abc", "{dialect:?}");
            cloud.heal();
            cloud.on_any().every(fault);
            for answer in [
                caller.send_operation(&RetrieveFile::new(&file.id)).await,
                caller.send_operation(&ListFiles::new()).await,
                caller.send_operation(&DeleteFile::new(&file.id)).await,
                caller.send_operation(&new_upload("b", 1)).await,
                caller.send_operation(&new_file(Purpose::Assistants, "b", b"b")).await,
            ] {
                assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{dialect:?}");
                assert_eq!(answer.headers()["retry-after"], "5", "{dialect:?}");
            }
        }
        cloud.heal();
        assert_eq!(caller.download(&file.id).await.unwrap(), "abc", "{dialect:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_lists_do_not_show_yet_can_be_read_and_deleted() {
    in_each_dialect(async |dialect, cloud, world| {
        cloud.list_late(1_000_000);
        let caller = world.caller();
        let file = caller.create_file_of_parts("ab.txt", &[b"a", b"b"]).await;
        assert!(caller.call(&ListFiles::new()).await.unwrap().data.is_empty(), "{dialect:?}");
        world.server.sweep().await.unwrap();
        assert_eq!(caller.download(&file.id).await.unwrap(), "ab", "{dialect:?}");
        assert_eq!(delete(&caller, &file.id).await.unwrap(), Some(true), "{dialect:?}");
        cloud.list_late(0);
        assert!(caller.call(&ListFiles::new()).await.unwrap().data.is_empty(), "{dialect:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_is_swept_from_a_cloud() {
    in_each_dialect(async |dialect, cloud, world| {
        let caller = world.caller();
        let file = caller.create_file("a.txt", b"abc").await;
        let (upload, _) = upload_of_a_part(&caller).await;
        delete(&caller, &file.id).await.unwrap();
        cancel(&caller, &upload).await.unwrap();
        for fault in [Fault::LoseAnswer, Fault::Reject(500)] {
            cloud.heal();
            cloud.on(Kind::Delete).first(4, fault);
            cloud.on(Kind::DeleteMany).first(4, fault);
            world.advance(24 * HOUR);
            // Some may stay, until a sweep meets no fault.
            let _ = world.server.sweep().await;
        }
        cloud.heal();
        for _ in 0..3 {
            world.advance(24 * HOUR);
            world.server.sweep().await.unwrap();
        }
        assert_eq!(cloud.keys(), ["partwise.json"], "{dialect:?}");
    })
    .await;
}
