//! Stores: opened, opened again, and refused.

use std::sync::Arc;

use insta::assert_snapshot;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use partwise_protocol::operations::ListFiles;
use partwise_server::{Keys, OpenError, Server, Store, Swept};

use crate::world::World;

#[tokio::test]
async fn a_folder_holds_its_files_for_the_next_server() {
    let folder = tempfile::tempdir().unwrap();
    let first = World::in_folder(folder.path()).await;
    let file = first.caller().create_file("a.txt", b"abc").await;
    drop(first);
    let second = World::in_folder(folder.path()).await;
    assert_eq!(second.caller().download(&file.id).await.unwrap(), "abc");
}

#[tokio::test]
async fn an_empty_folder_can_be_listed_and_swept() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await;
    let list = world.caller().call(&ListFiles::new()).await.unwrap();
    assert!(list.data.is_empty());
    assert_eq!(world.server.sweep().await.unwrap(), Swept::default());
}

#[tokio::test]
async fn a_store_of_a_later_format_is_refused() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    objects.put(&Path::from("partwise.json"), r#"{"format":2,"news":true}"#.into()).await.unwrap();
    let error = Server::builder(objects).build().await.unwrap_err();
    assert!(matches!(error, OpenError::Format { found: 2, known: 1, .. }), "{error}");
    assert_snapshot!(error, @"the store has format 2 (`partwise.json`), but this release knows only format 1: open it with the release that wrote it, or a newer one");
}

#[tokio::test]
async fn a_store_that_is_something_else_is_refused() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    objects.put(&Path::from("partwise.json"), r#"{"name":"site"}"#.into()).await.unwrap();
    let error = Server::builder(objects.clone()).keys(Keys::any()).build().await.unwrap_err();
    assert!(matches!(error, OpenError::NoMarker { .. }), "{error}");
    assert_snapshot!(error, @"`partwise.json` is not the marker of a store: if the rest is one, remove that file and start again; if not, name another folder");
    objects.put(&Path::from("partwise.json"), "what?".into()).await.unwrap();
    objects.put(&Path::from("index.html"), "a site".into()).await.unwrap();
    let error = Server::builder(objects).keys(Keys::any()).build().await.unwrap_err();
    assert!(matches!(error, OpenError::NoMarker { .. }), "{error}");
}

#[tokio::test]
async fn a_server_without_keys_takes_none() {
    use tower_service::Service;
    let mut server = Server::builder(Store::memory()).build().await.unwrap();
    let request = http::Request::get("/v1/files").header("api-key", "k");
    let response = server.call(request.body(http_body_util::Empty::new()).unwrap()).await.unwrap();
    assert_eq!(response.status(), http::StatusCode::UNAUTHORIZED);
}
