//! Stores that a server does not start over, and why; and those that it does.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, path::Path};
use partwise_server::{OpenError, Server, Store};
use partwise_testkit::{
    cloud::{BUCKET, Dialect, FakeCloud, Fault, KEY, Kind},
    errors::line,
};

async fn open(objects: Arc<dyn ObjectStore>) -> Result<Server, OpenError> {
    Server::builder(objects).build().await
}

/// The problem of a store that cannot be used.
fn problem(opened: Result<Server, OpenError>) -> &'static str {
    match opened {
        Err(OpenError::Unsuited { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_sound_store_is_found_out_by_about_twenty_requests_and_left_clean() {
    for dialect in Dialect::ALL {
        let cloud = FakeCloud::new();
        open(cloud.store(dialect)).await.unwrap();
        assert_eq!(cloud.keys(), ["partwise.json"], "{dialect:?}");
        assert!((15..30).contains(&cloud.seen().len()), "{dialect:?}: {:?}", cloud.seen());
        assert!(cloud.count(Kind::List) <= 1, "{dialect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_overwrites_is_refused_and_left_clean() {
    for dialect in Dialect::ALL {
        let cloud = FakeCloud::new();
        cloud.on(Kind::Create).every(Fault::Overwrite);
        let problem = problem(open(cloud.store(dialect)).await);
        assert_eq!(
            problem, "overwrites objects that are to be created only if they are not there",
            "{dialect:?}"
        );
        assert_eq!(cloud.keys(), [""; 0], "{dialect:?}");
        let store = Store::from(cloud.store(dialect)).without_probe();
        Server::builder(store).build().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_looks_and_writes_one_after_the_other_is_refused_and_left_clean() {
    for dialect in Dialect::ALL {
        let cloud = FakeCloud::new();
        cloud.on(Kind::Create).every(Fault::LookThenWrite);
        let problem = problem(open(cloud.store(dialect)).await);
        assert_eq!(problem, "lets several writers create the same object at the same time", "{dialect:?}");
        assert_eq!(cloud.keys(), [""; 0], "{dialect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_bucket_and_wrong_keys_are_told_in_words() {
    for dialect in Dialect::ALL {
        let cloud = FakeCloud::new();
        let error = open(cloud.store_of(dialect, "nowhere", KEY)).await.unwrap_err();
        assert!(matches!(error, OpenError::NoBucket { .. }), "{dialect:?}: {}", line(&error));
        assert!(error.to_string().starts_with("there is no bucket or container `"), "{error}");
        let error = open(cloud.store_of(dialect, BUCKET, "stranger")).await.unwrap_err();
        assert!(matches!(error, OpenError::NoAccess { .. }), "{dialect:?}: {}", line(&error));
        assert!(error.to_string().contains("rejects the credentials"), "{error}");
        assert_eq!(cloud.keys(), [""; 0], "{dialect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_may_not_write_or_not_delete_are_told() {
    for dialect in Dialect::ALL {
        let cloud = FakeCloud::new();
        cloud.on(Kind::Create).every(Fault::Reject(403));
        let error = open(cloud.store(dialect)).await.unwrap_err();
        assert!(matches!(error, OpenError::NoAccess { .. }), "{dialect:?}: {}", line(&error));
        cloud.heal();
        cloud.on(Kind::Delete).every(Fault::Reject(403));
        cloud.on(Kind::DeleteMany).every(Fault::Reject(403));
        let problem = problem(open(cloud.store(dialect)).await);
        assert_eq!(
            problem, "does not let these credentials delete objects, or does not delete them",
            "{dialect:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_told_from_one_that_cannot_be_used() {
    for dialect in Dialect::ALL {
        for kind in [Kind::Create, Kind::Get, Kind::List, Kind::Delete, Kind::DeleteMany] {
            let cloud = FakeCloud::new();
            cloud.on(kind).every(Fault::Reject(503));
            match open(cloud.store(dialect)).await {
                // No dialect has both.
                Ok(_) => assert!(matches!(kind, Kind::Delete | Kind::DeleteMany) && cloud.count(kind) == 0),
                Err(OpenError::Unreachable { .. }) => {}
                // Why an object is not deleted is often told in a text alone.
                Err(OpenError::Unsuited { problem, .. }) => {
                    assert!(problem.ends_with("or does not delete them"));
                }
                Err(error) => panic!("{dialect:?}, {kind:?}: {}", line(&error)),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn late_lists_are_waited_for_and_missing_ones_are_not() {
    for dialect in Dialect::ALL {
        let cloud = FakeCloud::new();
        cloud.list_late(3);
        open(cloud.store(dialect)).await.unwrap();
        cloud.list_late_by(Duration::from_secs(3600));
        let problem = problem(open(cloud.store(dialect)).await);
        assert_eq!(problem, "does not list what was written to it", "{dialect:?}");
    }
}

/// What a sound store may answer to writers who meet, and what the way to it may do to a few answers.
#[tokio::test(start_paused = true)]
async fn a_sound_store_is_not_refused_for_what_passes() {
    for dialect in Dialect::ALL {
        for fault in [
            Fault::Reject(409),
            Fault::Reject(503),
            Fault::FailAfterwards(503),
            Fault::LoseRequest,
            Fault::LoseAnswer,
            Fault::Truncate(1),
        ] {
            for nth in 1..=25 {
                let cloud = FakeCloud::new();
                match fault {
                    Fault::Reject(409) => cloud.on(Kind::Create).nth(nth, fault),
                    _ => cloud.on_any().nth(nth, fault),
                }
                if let Err(error) = open(cloud.store(dialect)).await {
                    panic!("{dialect:?}, {fault:?} for the {nth}th: {}", line(&error));
                }
                assert_eq!(cloud.keys(), ["partwise.json"], "{dialect:?}, {fault:?} for the {nth}th");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn servers_that_start_at_once_have_one_store() {
    for dialect in Dialect::ALL {
        let cloud = FakeCloud::new();
        for opened in join_all((0..5).map(|_| open(cloud.store(dialect)))).await {
            opened.unwrap();
        }
        assert_eq!(cloud.keys(), ["partwise.json"], "{dialect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_writers_who_meet_all_may_be_rejected_once() {
    for dialect in Dialect::ALL {
        let cloud = FakeCloud::new();
        cloud.on(Kind::Create).of("raced-1").first(4, Fault::Reject(409));
        open(cloud.store(dialect)).await.unwrap();
        assert_eq!(cloud.keys(), ["partwise.json"], "{dialect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_probe_is_swept_and_a_store_that_must_exist_is_not_made() {
    for dialect in Dialect::ALL {
        let cloud = FakeCloud::new();
        let store = cloud.store(dialect);
        let existing = Store::from(store.clone()).existing();
        let error = Server::builder(existing.clone()).build().await.unwrap_err();
        assert!(matches!(error, OpenError::NoMarkerYet { .. }), "{dialect:?}: {}", line(&error));
        assert_eq!(cloud.keys(), [""; 0], "{dialect:?}");

        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let left = Path::from("probe/0123/single");
        store.put_opts(&left, "left".into(), options).await.unwrap();
        open(store.clone()).await.unwrap();
        let now = store.head(&left).await.unwrap().last_modified.timestamp() as u64;
        for (hours, keys) in [(23, &["partwise.json", "probe/0123/single"][..]), (25, &["partwise.json"])] {
            let clock = move || partwise_models::UnixSeconds(now + hours * 3600);
            Server::builder(existing.clone()).clock(clock).build().await.unwrap().sweep().await.unwrap();
            assert_eq!(cloud.keys(), keys, "{dialect:?}");
        }
    }
}
