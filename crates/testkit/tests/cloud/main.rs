//! The fake clouds, through the client that the server has.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod dialects;
mod faults;
mod parts;
mod socket;

use std::sync::Arc;

use bytes::Bytes;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, path::Path};
use partwise_testkit::cloud::{Dialect, FakeCloud};

/// A cloud for each dialect, and a store in it.
fn stores() -> impl Iterator<Item = (Dialect, FakeCloud, Arc<dyn ObjectStore>)> {
    Dialect::ALL.into_iter().map(|dialect| {
        let cloud = FakeCloud::new();
        let store = cloud.store(dialect);
        (dialect, cloud, store)
    })
}

async fn put(store: &dyn ObjectStore, key: &str, content: &'static str) {
    store.put(&Path::from(key), content.into()).await.unwrap();
}

async fn create(store: &dyn ObjectStore, key: &str, content: &'static str) -> Result<(), Error> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    store.put_opts(&Path::from(key), content.into(), options).await.map(drop)
}

async fn get(store: &dyn ObjectStore, key: &str) -> Result<Bytes, Error> {
    store.get(&Path::from(key)).await?.bytes().await
}
