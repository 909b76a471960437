//! Lists over records that are damaged, cannot be opened or vanish, and the way to be rid of those.

use std::sync::{Arc, Mutex};

use http::StatusCode;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory};
use partwise_models::{File, FileList};
use partwise_protocol::operations::{DeleteFile, ListFiles, Order, RetrieveFile};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::{
    records::{put_record, put_text, record, record_path},
    spied_store::{Counts, SpiedStore, Unreadable},
    world::{HOUR, World, told},
};

async fn spied() -> (World, Arc<dyn ObjectStore>, Arc<Counts>) {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (objects, counts) = SpiedStore::over(inner.clone());
    (World::over(objects).await, inner, counts)
}

fn names(list: &FileList) -> Vec<&str> {
    list.data.iter().filter_map(|file| file.filename.as_deref()).collect()
}

fn record_of(file: &File) -> object_store::path::Path {
    format!("tenants/team-a/files/{}.json", file.id.strip_prefix("file-").unwrap()).into()
}

async fn page(world: &World, order: Order, limit: u32) -> FileList {
    let mut request = ListFiles::new();
    (request.order, request.limit) = (Some(order), Some(limit));
    world.caller().call(&request).await.unwrap()
}

#[tokio::test]
async fn a_record_that_cannot_be_opened_is_left_out_and_its_file_can_be_deleted() {
    for kind in Unreadable::ALL {
        let (world, inner, counts) = spied().await;
        let caller = world.caller();
        let first = caller.create_file("first", b"a").await;
        let shut = caller.create_file("shut", b"b").await;
        caller.create_file("last", b"c").await;
        counts.make_unreadable(&record_of(&shut), kind);
        assert_eq!(names(&page(&world, Order::Descending, 2).await), ["last", "first"], "{kind:?}");
        let refusal = caller.call(&RetrieveFile::new(&shut.id)).await.unwrap_err();
        assert_eq!(refusal.status, StatusCode::INTERNAL_SERVER_ERROR);

        caller.call(&DeleteFile::new(&shut.id)).await.unwrap();
        for refusal in [
            caller.call(&RetrieveFile::new(&shut.id)).await.unwrap_err(),
            caller.call(&DeleteFile::new(&shut.id)).await.unwrap_err(),
        ] {
            assert_eq!(refusal.status, StatusCode::NOT_FOUND, "{kind:?}");
        }
        world.advance(HOUR);
        assert_eq!(world.server.sweep().await.unwrap().skipped, 0);
        assert!(inner.head(&record_of(&first)).await.is_ok());
    }
}

#[tokio::test]
async fn a_store_whose_marker_cannot_be_read_fails_lists_and_deletes_nothing() {
    for kind in Unreadable::ALL {
        let (world, inner, counts) = spied().await;
        let file = world.caller().create_file("a", b"a").await;
        counts.make_unreadable(&record_of(&file), kind);
        counts.make_unreadable(&"partwise.json".into(), kind);
        for refusal in [
            world.caller().call(&ListFiles::new()).await.unwrap_err(),
            world.caller().call(&DeleteFile::new(&file.id)).await.unwrap_err(),
        ] {
            assert_eq!(told(&refusal), "500: the server's store failed: try again", "{kind:?}");
        }
        let tombstone = record_of(&file).to_string().replace(".json", ".deleted.json");
        assert!(inner.head(&tombstone.into()).await.is_err());
    }
}

#[tokio::test]
async fn a_page_is_full_however_many_records_are_damaged() {
    let world = World::new().await;
    put_record(&world, 0, "first").await;
    for index in 1..3_000 {
        put_text(&world, index, "{").await;
    }
    put_record(&world, 3_000, "last").await;
    for (order, limit, expected, has_more) in [
        (Order::Descending, 2, &["last", "first"][..], false),
        (Order::Ascending, 1, &["first"], true),
        (Order::Ascending, 2, &["first", "last"], false),
    ] {
        let list = page(&world, order, limit).await;
        assert_eq!((names(&list).as_slice(), list.has_more), (expected, Some(has_more)));
    }
    let mut request = ListFiles::new();
    (request.limit, request.after) = (Some(1), page(&world, Order::Descending, 1).await.last_id);
    let list = world.caller().call(&request).await.unwrap();
    assert_eq!((names(&list).as_slice(), list.has_more), (&["first"][..], Some(false)));
    // Behind the last file there is nothing to show, and a caller that asks for it comes to an end.
    (request.order, request.after) = (Some(Order::Ascending), list.last_id);
    world.objects.delete(&record_path(3_000)).await.unwrap();
    let list = world.caller().call(&request).await.unwrap();
    assert_eq!((list.data.len(), list.has_more, list.last_id), (0, Some(false), None));
}

#[tokio::test]
async fn a_large_record_that_vanishes_while_it_is_read_is_left_out() {
    for filename in ["large".to_owned(), "n".repeat(10_000)] {
        let (world, _, counts) = spied().await;
        put_text(&world, 1, &record(&filename, 300)).await;
        counts.let_records_vanish();
        let list = world.caller().call(&ListFiles::new()).await.unwrap();
        assert_eq!((list.data.len(), list.has_more), (0, Some(false)));
    }
}

/// Keeps the messages and fields of errors, one a line.
#[derive(Clone, Default)]
struct Errors(Arc<Mutex<Vec<String>>>);

impl Subscriber for Errors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

#[tokio::test]
async fn a_damaged_record_is_logged_once_and_beyond_a_number_of_them_a_line_sums_them_up() {
    let errors = Errors::default();
    let _logging = tracing::subscriber::set_default(errors.clone());
    let lines = || std::mem::take(&mut *errors.0.lock().unwrap());
    let world = World::new().await;
    for index in 0..3 {
        put_text(&world, index, "{").await;
    }
    world.caller().call(&ListFiles::new()).await.unwrap();
    let said = lines();
    assert_eq!(said.len(), 3, "{said:?}");
    for index in 0..3 {
        let path = record_path(index).to_string();
        assert_eq!(said.iter().filter(|line| line.contains(&path)).count(), 1, "{said:?}");
    }
    world.caller().call(&ListFiles::new()).await.unwrap();
    assert_eq!(lines(), Vec::<String>::new());
    for index in 3..2_000 {
        put_text(&world, index, "{").await;
    }
    world.caller().call(&ListFiles::new()).await.unwrap();
    let said = lines();
    assert!(said.len() < 1_000, "{}", said.len());
    insta::assert_snapshot!(said.last().unwrap(), @"message=more damaged records are left out of the list than are logged records=1744 logged=256");
    world.caller().call(&ListFiles::new()).await.unwrap();
    assert_eq!(lines(), [said.last().unwrap().clone()]);
}
