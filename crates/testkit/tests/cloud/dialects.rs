//! Objects, conditions and lists.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, future::join_all, stream};
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, UpdateVersion, path::Path};
use partwise_testkit::cloud::{Dialect, FakeCloud, KEY, Kind};

use crate::{create, get, put, stores};

#[tokio::test]
async fn an_object_is_written_read_and_removed() {
    for (dialect, cloud, store) in stores() {
        put(&*store, "a/b c+d.txt", "0123456789").await;
        let path = Path::from("a/b c+d.txt");
        assert_eq!(cloud.keys(), ["a/b c+d.txt"], "{dialect:?}");
        assert_eq!(get(&*store, "a/b c+d.txt").await.unwrap(), "0123456789");
        assert_eq!(store.get_range(&path, 2..5).await.unwrap(), "234");
        assert_eq!(store.get_range(&path, 8..50).await.unwrap(), "89");
        let head = store.head(&path).await.unwrap();
        assert_eq!(head.size, 10);
        put(&*store, "a/b c+d.txt", "").await;
        let next = store.get(&path).await.unwrap();
        assert!(next.meta.e_tag != head.e_tag && next.meta.last_modified >= head.last_modified);
        assert_eq!(next.bytes().await.unwrap(), "");
        store.delete(&path).await.unwrap();
        assert!(matches!(store.head(&path).await, Err(Error::NotFound { .. })), "{dialect:?}");
        assert!(matches!(get(&*store, "a/b c+d.txt").await, Err(Error::NotFound { .. })), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_range_behind_the_end_is_refused() {
    for (dialect, _, store) in stores() {
        put(&*store, "a", "0123").await;
        let error = store.get_range(&Path::from("a"), 4..5).await.unwrap_err();
        assert!(error.to_string().contains("416"), "{dialect:?}: {error}");
    }
}

#[tokio::test]
async fn an_object_is_created_once() {
    for (dialect, cloud, store) in stores() {
        create(&*store, "a", "first").await.unwrap();
        let again = create(&*store, "a", "second").await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{dialect:?}: {again:?}");
        assert_eq!(cloud.object("a").unwrap(), "first");
        assert_eq!((cloud.count(Kind::Create), cloud.count(Kind::Put)), (2, 0));
        let race = join_all((0..20).map(|_| create(&*store, "b", "x"))).await;
        assert_eq!(race.iter().filter(|created| created.is_ok()).count(), 1, "{dialect:?}");
    }
}

#[tokio::test]
async fn an_object_that_has_changed_is_not_replaced() {
    for (dialect, cloud, store) in stores() {
        let first = store.put(&Path::from("a"), "1".into()).await.unwrap();
        let replace = async |version: UpdateVersion| {
            let options = PutOptions { mode: PutMode::Update(version), ..PutOptions::default() };
            store.put_opts(&Path::from("a"), "2".into(), options).await
        };
        replace(first.clone().into()).await.unwrap();
        let again = replace(first.into()).await;
        assert!(matches!(again, Err(Error::Precondition { .. })), "{dialect:?}: {again:?}");
        assert_eq!(cloud.object("a").unwrap(), "2");
    }
}

#[tokio::test]
async fn what_is_listed_comes_in_pages_and_in_order() {
    for (dialect, cloud, store) in stores() {
        let mut keys: Vec<String> = (0..25).map(|number| format!("list/{number:03}")).collect();
        for key in keys.iter().rev().chain(&["lis".to_owned(), "list-".to_owned(), "m".to_owned()]) {
            put(&*store, key, "x").await;
        }
        let list = async |prefix: &str| {
            let listed = store.list(Some(&Path::from(prefix))).map_ok(|meta| meta.location.to_string());
            listed.try_collect::<Vec<_>>().await.unwrap()
        };
        for (limit, requests) in [(usize::MAX, 1), (10, 3), (25, 1), (1, 25)] {
            cloud.limit_pages(limit);
            cloud.forget();
            assert_eq!(list("list").await, keys, "{dialect:?}");
            assert_eq!(cloud.count(Kind::List), requests, "{dialect:?}, {limit} a page");
        }
        assert_eq!(list("nothing").await, [""; 0]);
        cloud.limit_pages(4);
        let listed = store.list_with_offset(Some(&Path::from("list")), &Path::from("list/016"));
        let listed: Vec<_> = listed.map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
        assert_eq!(listed, keys.split_off(17), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_page_has_as_many_entries_as_the_dialect_allows() {
    for (dialect, cloud, store) in stores() {
        let limit = if dialect == Dialect::Azure { 5000 } else { 1000 };
        for number in 0..=limit {
            put(&*store, &format!("{number:05}"), "").await;
        }
        cloud.forget();
        assert_eq!(store.list(None).count().await, limit + 1);
        assert_eq!(cloud.count(Kind::List), 2, "{dialect:?}");
    }
}

#[tokio::test]
async fn folders_are_listed_once_each() {
    for (dialect, cloud, store) in stores() {
        for key in ["a/1", "a/2", "a/b/3", "b", "c/4", "c/5", "c!"] {
            put(&*store, key, "x").await;
        }
        for limit in [usize::MAX, 3, 2, 1] {
            cloud.limit_pages(limit);
            let root = store.list_with_delimiter(None).await.unwrap();
            let objects: Vec<_> = root.objects.iter().map(|meta| meta.location.as_ref()).collect();
            assert_eq!(objects, ["b", "c!"], "{dialect:?}, {limit} a page");
            assert_eq!(
                root.common_prefixes,
                [Path::from("a"), Path::from("c")],
                "{dialect:?}, {limit} a page"
            );
            let below = store.list_with_delimiter(Some(&Path::from("a"))).await.unwrap();
            assert_eq!((below.objects.len(), below.common_prefixes), (2, vec![Path::from("a/b")]));
        }
    }
}

#[tokio::test]
async fn many_objects_are_removed_at_once_and_one_that_is_not_there_is_told_as_the_dialect_does() {
    for (dialect, cloud, store) in stores() {
        let mut paths: Vec<Path> = (0..300).map(|number| Path::from(format!("many/{number}&<>"))).collect();
        for path in &paths {
            store.put(path, "x".into()).await.unwrap();
        }
        paths.push(Path::from("absent"));
        cloud.forget();
        let removals = store.delete_stream(stream::iter(paths.into_iter().map(Ok)).boxed());
        let removals: Vec<_> = removals.collect().await;
        let absent = removals.iter().filter(|removal| matches!(removal, Err(Error::NotFound { .. }))).count();
        assert_eq!(absent, usize::from(dialect != Dialect::S3), "{dialect:?}");
        assert_eq!(removals.iter().filter(|removal| removal.is_ok()).count(), 301 - absent);
        assert!(cloud.keys().is_empty());
        let requests = (cloud.count(Kind::DeleteMany), cloud.count(Kind::Delete));
        let expected = match dialect {
            Dialect::S3 => (1, 0),
            Dialect::Azure => (2, 0),
            Dialect::Gcs => (0, 301),
        };
        assert_eq!(requests, expected, "{dialect:?}");
    }
}

#[tokio::test]
async fn a_missing_bucket_and_wrong_credentials_are_told() {
    for dialect in Dialect::ALL {
        let cloud = FakeCloud::new();
        let nowhere = cloud.store_of(dialect, "nowhere", KEY);
        let error = create(&*nowhere, "a", "x").await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{dialect:?}: {error}");
        let stranger = cloud.store_of(dialect, "bucket", "stranger");
        for error in
            [create(&*stranger, "a", "x").await.unwrap_err(), get(&*stranger, "a").await.unwrap_err()]
        {
            let is_told = match dialect {
                Dialect::Gcs => matches!(error, Error::Unauthenticated { .. }),
                _ => matches!(error, Error::PermissionDenied { .. }),
            };
            assert!(is_told, "{dialect:?}: {error}");
        }
        assert!(cloud.keys().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn lists_are_late_by_their_number_or_by_a_time() {
    async fn count(store: &dyn ObjectStore) -> usize {
        store.list(None).count().await
    }
    for (dialect, cloud, store) in stores() {
        put(&*store, "old", "x").await;
        assert_eq!([count(&*store).await, count(&*store).await], [1, 1]);
        cloud.list_late(2);
        put(&*store, "old", "y").await;
        put(&*store, "new", "x").await;
        assert_eq!(get(&*store, "new").await.unwrap(), "x", "{dialect:?}: only lists are late");
        assert_eq!(
            [count(&*store).await, count(&*store).await, count(&*store).await],
            [1, 1, 2],
            "{dialect:?}"
        );
        cloud.list_late(0);
        cloud.list_late_by(Duration::from_secs(3));
        tokio::time::sleep(Duration::from_secs(3)).await;
        put(&*store, "newer", "x").await;
        assert_eq!(count(&*store).await, 2);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(count(&*store).await, 3);
    }
}
