//! Objects that are written in parts.

use object_store::{ObjectStoreExt as _, PutPayload, path::Path};
use partwise_testkit::{
    cloud::{Dialect, Kind},
    content::noise,
};

use crate::{get, put, stores};

const MIB: usize = 1024 * 1024;

fn payload(bytes: &[u8]) -> PutPayload {
    PutPayload::from(bytes.to_vec())
}

#[tokio::test]
async fn an_object_of_parts_is_not_there_before_it_is_complete() {
    for (dialect, cloud, store) in stores() {
        let (content, path) = (noise(12 * MIB + 1), Path::from("large"));
        let mut upload = store.put_multipart(&path).await.unwrap();
        for part in content.chunks(5 * MIB) {
            upload.put_part(payload(part)).await.unwrap();
        }
        assert_eq!((cloud.object("large"), cloud.unfinished()), (None, 1), "{dialect:?}");
        upload.complete().await.unwrap();
        assert_eq!(get(&*store, "large").await.unwrap(), content, "{dialect:?}");
        assert_eq!((cloud.count(Kind::Part), cloud.unfinished()), (3, 0), "{dialect:?}");
        let sizes: Vec<usize> =
            cloud.seen().iter().filter(|seen| seen.kind == Kind::Part).map(|seen| seen.bytes).collect();
        assert_eq!(sizes, [5 * MIB, 5 * MIB, 2 * MIB + 1]);
    }
}

#[tokio::test]
async fn small_parts_are_refused_but_the_last() {
    for (dialect, cloud, store) in stores() {
        let path = Path::from("small");
        let mut upload = store.put_multipart(&path).await.unwrap();
        for part in [&b"small"[..], b"last"] {
            upload.put_part(payload(part)).await.unwrap();
        }
        match (dialect, upload.complete().await) {
            (Dialect::Azure, complete) => {
                complete.unwrap();
                assert_eq!(cloud.object("small").unwrap(), "smalllast");
            }
            (_, complete) => {
                let error = complete.unwrap_err();
                assert!(
                    std::error::Error::source(&error).unwrap().to_string().contains("EntityTooSmall"),
                    "{error}"
                );
                assert_eq!(cloud.object("small"), None);
                upload.abort().await.unwrap();
            }
        }
        assert_eq!(cloud.unfinished(), 0, "{dialect:?}");
        let mut upload = store.put_multipart(&path).await.unwrap();
        upload.put_part(payload(b"only")).await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(cloud.object("small").unwrap(), "only");
    }
}

#[tokio::test]
async fn parts_are_not_there_after_an_abort_or_a_completion() {
    for (dialect, cloud, store) in stores() {
        let path = Path::from("a");
        let mut upload = store.put_multipart(&path).await.unwrap();
        upload.put_part(payload(b"x")).await.unwrap();
        if dialect == Dialect::Azure {
            // Azure drops the blocks of an object that is written otherwise.
            put(&*store, "a", "whole").await;
        } else {
            upload.abort().await.unwrap();
        }
        upload.complete().await.unwrap_err();
        assert_eq!(cloud.unfinished(), 0, "{dialect:?}");
    }
}
