//! Several servers on one store.

use http::StatusCode;
use partwise_models::UploadStatus;
use partwise_protocol::operations::{CancelUpload, DeleteFile, RetrieveFile};
use partwise_testkit::cloud::{Dialect, FakeCloud};

use crate::world::{World, complete};

const ROUNDS: usize = 50;

/// Where the servers of a race have their files.
#[derive(Clone, Copy, Debug)]
enum Place {
    Memory,
    Folder,
    Cloud(Dialect),
}

impl Place {
    const ALL: [Self; 5] = [
        Self::Memory,
        Self::Folder,
        Self::Cloud(Dialect::S3),
        Self::Cloud(Dialect::Azure),
        Self::Cloud(Dialect::Gcs),
    ];

    /// Two servers, whose store is in this folder if it is in one.
    async fn worlds(self, folder: &std::path::Path) -> (World, World) {
        let world = match self {
            Self::Memory => World::new().await,
            Self::Folder => World::in_folder(folder).await,
            Self::Cloud(dialect) => World::over(FakeCloud::new().store(dialect)).await,
        };
        let second = world.second_server().await;
        (world, second)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_complete_and_cancel_exactly_one_wins() {
    for place in Place::ALL {
        println!("{place:?}");
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = place.worlds(folder.path()).await;
        complete_against_cancel(&first, &second).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_completes_with_other_parts_exactly_one_wins() {
    for place in Place::ALL {
        println!("{place:?}");
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = place.worlds(folder.path()).await;
        complete_with_other_parts(&first, &second).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_completes_with_the_same_parts_both_get_the_file() {
    for place in Place::ALL {
        println!("{place:?}");
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = place.worlds(folder.path()).await;
        complete_with_the_same_parts(&first, &second).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_deletes_exactly_one_is_told_that_it_did() {
    for place in Place::ALL {
        println!("{place:?}");
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = place.worlds(folder.path()).await;
        delete_twice(&first, &second).await;
    }
}

pub(crate) async fn complete_against_cancel<O>(first: &World<O>, second: &World<O>) {
    let (mut completed, mut cancelled) = (0, 0);
    for _ in 0..ROUNDS {
        let upload = first.caller().create_upload("a.txt", 1).await;
        let part = first.caller().add_part(&upload, b"a").await;
        let (caller, other) = (first.caller(), second.caller());
        let (request, cancel) = (complete(&upload, &[part]), CancelUpload::new(&upload.id));
        let completing = tokio::spawn(async move { caller.call(&request).await });
        let cancelling = tokio::spawn(async move { other.call(&cancel).await });
        match (completing.await.unwrap(), cancelling.await.unwrap()) {
            (Ok(upload), Err(refusal)) => {
                assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
                assert_eq!(second.caller().download(&upload.file.unwrap().id).await.unwrap(), "a");
                completed += 1;
            }
            (Err(refusal), Ok(upload)) => {
                assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
                assert_eq!(upload.status, Some(UploadStatus::Cancelled));
                cancelled += 1;
            }
            both => panic!("one must win: {both:?}"),
        }
    }
    assert_eq!(completed + cancelled, ROUNDS);
}

pub(crate) async fn complete_with_other_parts<O>(first: &World<O>, second: &World<O>) {
    for _ in 0..ROUNDS {
        let upload = first.caller().create_upload("a.txt", 2).await;
        let a = first.caller().add_part(&upload, b"a").await;
        let b = first.caller().add_part(&upload, b"b").await;
        let requests = [complete(&upload, &[a.clone(), b.clone()]), complete(&upload, &[b, a])];
        let tasks = [first.caller(), second.caller()].into_iter().zip(requests);
        let mut contents = Vec::new();
        for task in tasks
            .map(|(caller, request)| tokio::spawn(async move { caller.call(&request).await }))
            .collect::<Vec<_>>()
        {
            if let Ok(upload) = task.await.unwrap() {
                contents.push(first.caller().download(&upload.file.unwrap().id).await.unwrap());
            }
        }
        assert_eq!(contents.len(), 1);
        assert!(contents[0] == "ab" || contents[0] == "ba");
    }
}

pub(crate) async fn complete_with_the_same_parts<O>(first: &World<O>, second: &World<O>) {
    for _ in 0..ROUNDS {
        let upload = first.caller().create_upload("a.txt", 1).await;
        let part = first.caller().add_part(&upload, b"a").await;
        let request = complete(&upload, &[part]);
        let (caller, again) = (second.caller(), request.clone());
        let other = tokio::spawn(async move { caller.call(&again).await });
        let mine = first.caller().call(&request).await.unwrap();
        assert_eq!(other.await.unwrap().unwrap(), mine);
    }
}

pub(crate) async fn delete_twice<O>(first: &World<O>, second: &World<O>) {
    for _ in 0..ROUNDS {
        let file = first.caller().create_file("a.txt", b"a").await;
        let (caller, request) = (second.caller(), DeleteFile::new(&file.id));
        let again = request.clone();
        let other = tokio::spawn(async move { caller.call(&again).await });
        let mine = first.caller().call(&request).await;
        assert!(mine.is_ok() != other.await.unwrap().is_ok());
        assert!(first.caller().call(&RetrieveFile::new(&file.id)).await.is_err());
    }
}
