//! Faults, each where it is wanted.

use std::time::Duration;

use futures_util::{TryStreamExt as _, future::join_all};
use object_store::{Error, ObjectStore, ObjectStoreExt as _, path::Path};
use partwise_testkit::cloud::{Fault, Kind};
use tokio::time::Instant;

use crate::{create, get, put, stores};

#[tokio::test]
async fn a_conflict_says_that_something_is_there_and_stores_nothing() {
    for (dialect, cloud, store) in stores() {
        cloud.on(Kind::Create).of("final").first(1, Fault::Reject(409));
        create(&*store, "another", "x").await.unwrap();
        let refused = create(&*store, "a/final.json", "x").await;
        assert!(matches!(refused, Err(Error::AlreadyExists { .. })), "{dialect:?}: {refused:?}");
        assert_eq!(cloud.object("a/final.json"), None);
        create(&*store, "a/final.json", "x").await.unwrap();
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_was_done_and_one_that_is_lost_was_not() {
    for (dialect, cloud, store) in stores() {
        for (fault, is_there) in [(Fault::LoseAnswer, true), (Fault::LoseRequest, false)] {
            let key = format!("{fault:?}");
            cloud.on(Kind::Create).of(&key).every(fault);
            cloud.forget();
            let error = create(&*store, &key, "x").await.unwrap_err();
            assert!(matches!(error, Error::Generic { .. }), "{dialect:?}: {error}");
            assert_eq!(cloud.object(&key).is_some(), is_there, "{dialect:?}");
            assert_eq!(cloud.count(Kind::Create), 1, "{dialect:?}: not sent again");
            assert_eq!(cloud.seen()[0].status, None);
        }
        cloud.on(Kind::Put).first(1, Fault::LoseAnswer);
        put(&*store, "a", "x").await;
        assert_eq!(cloud.count(Kind::Put), 2, "{dialect:?}: sent again");
    }
}

#[tokio::test]
async fn a_failure_after_the_write_has_the_client_meet_its_own_object() {
    for (dialect, cloud, store) in stores() {
        cloud.on(Kind::Create).first(1, Fault::FailAfterwards(503));
        let error = create(&*store, "a", "x").await.unwrap_err();
        assert!(matches!(error, Error::AlreadyExists { .. }), "{dialect:?}: {error}");
        assert_eq!(cloud.object("a").unwrap(), "x");
    }
}

#[tokio::test]
async fn a_busy_store_is_asked_again_until_it_serves() {
    for (dialect, cloud, store) in stores() {
        put(&*store, "a", "x").await;
        for fault in [Fault::Reject(503), Fault::RejectFor { status: 429, seconds: 1 }] {
            cloud.heal();
            cloud.forget();
            cloud.on(Kind::Get).first(3, fault);
            assert_eq!(get(&*store, "a").await.unwrap(), "x", "{dialect:?}");
            assert_eq!(cloud.count(Kind::Get), 4);
            cloud.on(Kind::Get).every(fault);
            assert!(matches!(get(&*store, "a").await, Err(Error::Generic { .. })), "{dialect:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_answers_late() {
    for (dialect, cloud, store) in stores() {
        cloud.on_any().nth(2, Fault::Delay(Duration::from_secs(7)));
        let began = Instant::now();
        put(&*store, "a", "x").await;
        assert_eq!(began.elapsed(), Duration::ZERO, "{dialect:?}");
        put(&*store, "a", "x").await;
        assert_eq!(began.elapsed(), Duration::from_secs(7), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_truncated_body_is_resumed_and_fails_when_it_always_is() {
    for (dialect, cloud, store) in stores() {
        put(&*store, "a", "0123456789").await;
        cloud.on(Kind::Get).first(2, Fault::Truncate(4));
        assert_eq!(get(&*store, "a").await.unwrap(), "0123456789", "{dialect:?}");
        assert_eq!(cloud.count(Kind::Get), 3);
        cloud.on(Kind::Get).every(Fault::Truncate(0));
        get(&*store, "a").await.unwrap_err();
        cloud.on(Kind::List).every(Fault::Truncate(40));
        store.list(None).try_collect::<Vec<_>>().await.unwrap_err();
    }
}

#[tokio::test]
async fn a_store_that_overwrites_or_does_not_look_and_write_at_once_has_several_winners() {
    async fn winners(store: &dyn ObjectStore, key: &str) -> usize {
        let race = join_all(["a", "b", "c"].map(|content| create(store, key, content))).await;
        race.iter().filter(|created| created.is_ok()).count()
    }
    for (dialect, cloud, store) in stores() {
        cloud.on(Kind::Create).every(Fault::LookThenWrite);
        assert_eq!(winners(&*store, "raced").await, 3, "{dialect:?}");
        let one_by_one = create(&*store, "raced", "x").await;
        assert!(matches!(one_by_one, Err(Error::AlreadyExists { .. })), "{dialect:?}");
        cloud.heal();
        assert_eq!(winners(&*store, "sound").await, 1, "{dialect:?}");
        cloud.on(Kind::Create).every(Fault::Overwrite);
        create(&*store, "raced", "x").await.unwrap();
        assert_eq!(cloud.object("raced").unwrap(), "x");
    }
}

#[tokio::test]
async fn requests_are_counted_by_their_kinds() {
    for (dialect, cloud, store) in stores() {
        put(&*store, "a", "x").await;
        store.head(&Path::from("a")).await.unwrap();
        get(&*store, "a").await.unwrap();
        store.list_with_delimiter(None).await.unwrap();
        let seen: Vec<_> = cloud.seen().into_iter().map(|seen| (seen.kind, seen.key, seen.status)).collect();
        let written = if dialect == partwise_testkit::cloud::Dialect::Azure { 201 } else { 200 };
        assert_eq!(
            seen,
            [
                (Kind::Put, "a".to_owned(), Some(written)),
                (Kind::Head, "a".to_owned(), Some(200)),
                (Kind::Get, "a".to_owned(), Some(200)),
                (Kind::List, String::new(), Some(200)),
            ],
            "{dialect:?}"
        );
        cloud.forget();
        assert_eq!(cloud.count(Kind::Put), 0);
    }
}
