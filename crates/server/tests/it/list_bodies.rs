//! Lists that are written as they are read.

use std::{future::poll_fn, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use object_store::{ObjectStoreExt, memory::InMemory};
use partwise_models::FileList;
use partwise_protocol::{
    Operation,
    operations::{ListFiles, RetrieveFile},
};
use partwise_server::ResponseBody;
use tower_service::Service;

use crate::{
    records::{put_record, put_text, record, record_path},
    spied_store::{Counts, SpiedStore},
    world::{World, azure, azure_v1, openai, told},
};

/// The most that a list without a reader has read ahead, in records of 100 bytes: what fills the first answer, and one
/// step more.
const READ_AHEAD: u64 = 64 * 1024 / 100 + 64;

async fn spied() -> (World, Arc<Counts>) {
    let (objects, counts) = SpiedStore::over(Arc::new(InMemory::new()));
    (World::over(objects).await, counts)
}

/// A list whose body nobody has read yet.
async fn unread(world: &World) -> Response<ResponseBody> {
    let request = world.caller().request(&ListFiles::new()).map(Full::new);
    world.server.clone().call(request).await.unwrap()
}

async fn frame(body: &mut ResponseBody) -> Option<Result<Bytes, partwise_server::BrokenContent>> {
    let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap()))
}

fn names(list: &FileList) -> Vec<&str> {
    list.data.iter().filter_map(|file| file.filename.as_deref()).collect()
}

#[tokio::test]
async fn a_short_list_is_answered_whole_and_a_long_one_piece_by_piece() {
    let world = World::new().await;
    for index in 0..100 {
        put_record(&world, index, "short").await;
    }
    let short = unread(&world).await;
    let length: u64 = short.headers()[header::CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
    assert_eq!(short.body().size_hint().exact(), Some(length));
    for index in 100..1000 {
        put_record(&world, index, "long").await;
    }
    let long = unread(&world).await;
    assert_eq!(long.status(), StatusCode::OK);
    assert_eq!(long.headers()[header::CONTENT_TYPE], "application/json");
    assert!(!long.headers().contains_key(header::CONTENT_LENGTH));
    assert_eq!((long.body().size_hint().exact(), long.body().is_end_stream()), (None, false));
    let text = long.into_body().collect().await.unwrap().to_bytes();
    let list: FileList = serde_json::from_slice(&text).unwrap();
    assert_eq!(list.data.len(), 1000);
    assert_eq!(list.first_id.as_ref(), list.data.first().map(|file| &file.id));
    assert_eq!(list.last_id.as_ref(), list.data.last().map(|file| &file.id));
    assert_eq!(list.has_more, Some(false));
}

#[tokio::test]
async fn a_list_that_nobody_reads_reads_nothing() {
    let (world, counts) = spied().await;
    for index in 0..10_000 {
        put_record(&world, index, "name").await;
    }
    let mut list = unread(&world).await.into_body();
    let begun = counts.records();
    assert!(begun <= READ_AHEAD, "{begun} records were read for nobody");
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(counts.records(), begun);
    // What was read for the head, and then a step for each piece.
    let (mut before, mut length) = (begun, frame(&mut list).await.unwrap().unwrap().len());
    while let Some(piece) = frame(&mut list).await {
        let (piece, read) = (piece.unwrap(), counts.records() - before);
        assert!(read <= READ_AHEAD && piece.len() <= 17 * 1024, "{read} records for {} bytes", piece.len());
        before += read;
        length += piece.len();
    }
    assert_eq!(counts.records(), 10_000);
    assert!(length > 10_000 * 100);
}

#[tokio::test]
async fn lists_that_are_held_while_they_read_a_whole_record_keep_no_other_from_reading() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await;
    for index in 0..10 {
        put_record(&world, index, &"n".repeat(70_000)).await;
    }
    let lists = async {
        let mut held = Vec::new();
        // More than there are records open at once.
        for _ in 0..40 {
            let mut list = unread(&world).await.into_body();
            frame(&mut list).await.unwrap().unwrap();
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            while Pin::new(&mut list).poll_frame(&mut context).is_ready() {}
            held.push(list);
        }
        let text = unread(&world).await.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(serde_json::from_slice::<FileList>(&text).unwrap().data.len(), 10);
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), lists).await.unwrap();
}

#[tokio::test]
async fn lists_that_are_held_while_they_read_keep_no_other_from_reading() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await;
    for index in 0..1_000 {
        put_record(&world, index, "name").await;
    }
    let mut held = Vec::new();
    for _ in 0..10 {
        let mut list = unread(&world).await.into_body();
        frame(&mut list).await.unwrap().unwrap();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut list).poll_frame(&mut context).is_pending());
        held.push(list);
    }
    let text = unread(&world).await.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(serde_json::from_slice::<FileList>(&text).unwrap().data.len(), 1_000);
    for list in held {
        list.collect().await.unwrap();
    }
}

#[tokio::test]
async fn a_list_reads_of_a_record_what_it_shows() {
    let (world, counts) = spied().await;
    let manifest = record("large", 100_000);
    assert!(manifest.len() > 8_000_000);
    for index in 0..20 {
        put_text(&world, index, &manifest).await;
    }
    let list = world.caller().call(&ListFiles::new()).await.unwrap();
    assert_eq!(names(&list), ["large"; 20]);
    assert!(list.data.iter().all(|file| file.bytes == Some(700_000)));
    assert!(counts.bytes() < 20 * 10_000, "{} bytes", counts.bytes());
}

#[tokio::test]
async fn names_of_any_length_that_the_store_has_are_listed() {
    let world = World::new().await;
    let long: Vec<String> =
        [510, 512, 8_000, 8_100, 8_192, 1 << 20].map(|length| "ü\"".repeat(length / 2)).to_vec();
    for (index, name) in (0..).zip(&long) {
        put_text(&world, index, &record(name, 300)).await;
    }
    let mut list = world.caller().call(&ListFiles::new()).await.unwrap();
    list.data.reverse();
    assert_eq!(names(&list), long);
}

#[tokio::test]
async fn a_damaged_record_is_left_out_and_the_others_are_listed() {
    let whole = record("damaged", 300);
    let large = record("damaged", 3);
    let damages = [
        String::new(),
        "\0".repeat(200),
        "{".to_owned(),
        "[]".to_owned(),
        "{\"filename\":\"x\",\"bytes\":1}".to_owned(),
        "{\"filename\":7,\"bytes\":1,\"content\":[]}".to_owned(),
        large[..large.len() - 1].to_owned(),
        whole[..whole.len() - 1].to_owned(),
        whole[..4096 * 4].to_owned(),
        format!("{}{}", &whole[..4096], "\0".repeat(whole.len() - 4096)),
        "\0".repeat(100_000),
    ];
    for on_disk in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let world = if on_disk { World::in_folder(folder.path()).await } else { World::new().await };
        put_record(&world, 0, "first").await;
        for (index, damage) in (1..).zip(&damages) {
            put_text(&world, index, damage).await;
        }
        put_record(&world, 99, "last").await;
        for (query, expected) in
            [("limit=100", vec!["last", "first"]), ("limit=2&order=asc", vec!["first", "last"])]
        {
            let request = world.caller().plain("GET", &format!("/files?{query}")).body(Bytes::new()).unwrap();
            let list: FileList = serde_json::from_slice(world.caller().send(request).await.body()).unwrap();
            assert_eq!(names(&list), expected, "{query}");
            assert_eq!(list.first_id.as_ref(), list.data.first().map(|file| &file.id));
            assert_eq!(list.last_id.as_ref(), list.data.last().map(|file| &file.id));
        }
    }
}

#[tokio::test]
async fn a_store_that_fails_before_the_answer_began_is_a_failure() {
    let (world, counts) = spied().await;
    put_record(&world, 1, "a").await;
    counts.fail_after(0);
    let refusal = world.caller().call(&ListFiles::new()).await.unwrap_err();
    assert_eq!(told(&refusal), "503: the server's store failed: try again");
}

#[tokio::test]
async fn a_store_that_fails_within_a_list_interrupts_the_answer() {
    let (world, counts) = spied().await;
    for index in 0..5_000 {
        put_record(&world, index, "name").await;
    }
    counts.fail_after(3_000);
    let response = unread(&world).await;
    assert_eq!(response.status(), StatusCode::OK);
    let (mut body, mut text) = (response.into_body(), Vec::new());
    let error = loop {
        match frame(&mut body).await.expect("a list that is cut looks whole") {
            Ok(piece) => text.extend_from_slice(&piece),
            Err(error) => break error,
        }
    };
    assert!(serde_json::from_slice::<FileList>(&text).is_err());
    assert_eq!(error.to_string(), "the content cannot be read to its end");
    assert!(frame(&mut body).await.is_none_or(|after| after.is_err()));
}

#[tokio::test]
async fn a_store_that_went_away_within_a_list_interrupts_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await;
    for index in 0..2_000 {
        put_record(&world, index, "name").await;
    }
    let mut body = unread(&world).await.into_body();
    // As when the disk is unmounted: an empty folder is there instead.
    let gone = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::rename(entry.path(), gone.path().join(entry.file_name())).unwrap();
    }
    while frame(&mut body).await.expect("a list that is cut looks whole").is_ok() {}
    assert!(world.caller().call(&ListFiles::new()).await.is_err());
}

#[tokio::test]
async fn a_record_that_is_swept_while_a_list_is_written_is_left_out() {
    let world = World::new().await;
    for index in 0..2_000 {
        put_record(&world, index, "name").await;
    }
    let list = unread(&world).await;
    for index in 0..10 {
        world.objects.delete(&record_path(index)).await.unwrap();
    }
    let text = list.into_body().collect().await.unwrap().to_bytes();
    let list: FileList = serde_json::from_slice(&text).unwrap();
    assert_eq!(list.data.len(), 1_990);
    assert_eq!(list.last_id.as_ref(), list.data.last().map(|file| &file.id));
}

#[tokio::test]
async fn a_long_list_is_the_same_as_a_short_one() {
    let world = World::new().await;
    for index in 0..1_500 {
        put_record(&world, index, &format!("\"{index}\" ü")).await;
    }
    for api in [openai(), azure("2024-10-21"), azure("2025-04-01-preview"), azure_v1()] {
        let caller = world.caller_of(api);
        let response = caller.send_operation(&ListFiles::new()).await;
        let list: FileList = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(list.data.len(), 1_500);
        let whole = ListFiles::encode_response(&list, &caller.api).unwrap().into_body().into_bytes().unwrap();
        assert_eq!(response.body(), &whole, "{}", caller.api.dialect());
        for file in [&list.data[0], &list.data[1_499]] {
            assert_eq!(caller.call(&RetrieveFile::new(&file.id)).await.unwrap(), *file);
        }
    }
}
