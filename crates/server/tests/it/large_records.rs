//! Files and uploads of many parts, whose records are large.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use object_store::{ObjectStoreExt, memory::InMemory, path::Path};
use partwise_models::{Upload, UploadStatus};
use partwise_protocol::{
    Operation,
    operations::{ByteRange, CancelUpload, DeleteFile, DownloadFile, RetrieveFile},
    retry::RetryHint,
};
use partwise_server::{Builder, ResponseBody};
use tokio::sync::oneshot;
use tower_service::Service;

use crate::{
    spied_store::{Counts, SpiedStore},
    sweep::set_to_today,
    world::{Caller, HOUR, World, complete, new_upload, printed, settle, told},
};

const PARTS: usize = 40_000;
/// The most that may be read of a record of some megabytes to answer from its beginning.
const BEGINNING: u64 = 16 * 1024;

async fn spied() -> (World, Arc<Counts>) {
    spied_with(|builder| builder).await
}

async fn spied_with(change: impl FnOnce(Builder) -> Builder) -> (World, Arc<Counts>) {
    let (objects, counts) = SpiedStore::over(Arc::new(InMemory::new()));
    (World::over_with(objects, change).await, counts)
}

fn full(request: Request<Bytes>) -> Request<Full<Bytes>> {
    request.map(Full::new)
}

async fn whole(response: Response<ResponseBody>) -> Response<Bytes> {
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

/// A completed upload of one part, and the identifiers of its part and of its file.
async fn completed(caller: &Caller) -> (Upload, String, String) {
    let upload = caller.create_upload("a.txt", 1).await;
    let part = caller.add_part(&upload, b"a").await;
    let file = caller.complete(&upload, std::slice::from_ref(&part)).await;
    (upload, part, file.id)
}

/// Makes every file one that has its only part so many times.
async fn enlarge(world: &World, parts: usize) {
    let mut paths = world.objects_in("/final.json").await;
    paths.extend(world.objects_in("/files/").await);
    for path in paths {
        let path = Path::from(path.as_str());
        let text = world.objects.get(&path).await.unwrap().bytes().await.unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        let (begin, end) = (text.find('[').unwrap() + 1, text.find(']').unwrap());
        let pieces = vec![&text[begin..end]; parts].join(",");
        let text = format!("{}{pieces}{}", &text[..begin], &text[end..]);
        let text = text.replacen("\"bytes\":1,", &format!("\"bytes\":{parts},"), 1);
        world.objects.put(&path, text.into()).await.unwrap();
    }
}

/// Sends a request whose body comes when the sender is used.
fn send_late(
    world: &World,
    request: Request<Bytes>,
) -> (oneshot::Sender<()>, tokio::task::JoinHandle<Response<Bytes>>) {
    let (sender, come) = oneshot::channel::<()>();
    let (parts, body) = request.into_parts();
    let body = stream::once(async move {
        come.await.unwrap();
        Ok::<_, std::io::Error>(Frame::data(body))
    });
    let request = Request::from_parts(parts, StreamBody::new(Box::pin(body)));
    let mut server = world.server.clone();
    let answer = tokio::spawn(async move { whole(server.call(request).await.unwrap()).await });
    (sender, answer)
}

#[tokio::test]
async fn a_completion_that_waits_for_its_body_has_read_no_manifest() {
    let (world, counts) = spied().await;
    let caller = world.caller();
    let (upload, part, file) = completed(&caller).await;
    enlarge(&world, PARTS).await;
    let before = counts.end_bytes();
    let (body, answer) = send_late(&world, caller.request(&complete(&upload, &[part])));
    settle().await;
    assert!(counts.end_bytes() - before < BEGINNING, "{} bytes", counts.end_bytes() - before);
    assert!(!answer.is_finished());
    body.send(()).unwrap();
    let refusal = partwise_protocol::error::ApiError::decode_response(&answer.await.unwrap());
    assert_eq!(told(&refusal), format!("400: the upload `{}` was completed with other parts", upload.id));
    assert!(caller.call(&RetrieveFile::new(&file)).await.is_ok());
}

#[tokio::test]
async fn answers_without_parts_come_from_the_beginning_of_a_record() {
    let (world, counts) = spied().await;
    let caller = world.caller();
    let (upload, _, file) = completed(&caller).await;
    enlarge(&world, PARTS).await;
    let read = |counts: &Counts| counts.bytes() + counts.end_bytes();
    let before = read(&counts);
    let retrieved = caller.call(&RetrieveFile::new(&file)).await.unwrap();
    assert_eq!((retrieved.bytes, retrieved.filename.as_deref()), (Some(PARTS as u64), Some("a.txt")));
    let head = caller.plain("HEAD", &format!("/files/{file}")).body(Bytes::new()).unwrap();
    assert_eq!(caller.send(head).await.status(), StatusCode::OK);
    let over = format!("400: the upload `{}` is completed: nothing can be done with it any more", upload.id);
    assert_eq!(told(&caller.try_add_part(&upload, b"b").await.unwrap_err()), over);
    assert_eq!(told(&caller.call(&CancelUpload::new(&upload.id)).await.unwrap_err()), over);
    caller.call(&DeleteFile::new(&file)).await.unwrap();
    assert!(read(&counts) - before < 5 * BEGINNING, "{} bytes", read(&counts) - before);
}

#[tokio::test]
async fn a_sweep_that_writes_the_record_of_a_file_again_reads_the_end_of_its_upload_once() {
    let (world, counts) = spied().await;
    let file = world.caller().create_file_of_parts("a.txt", &[b"a", b"b"]).await;
    let [record] = &world.objects_in("/files/").await[..] else { panic!("one record") };
    world.objects.delete(&Path::from(record.as_str())).await.unwrap();
    let [end] = &world.objects_in("/final.json").await[..] else { panic!("one end") };
    let size = world.objects.head(&Path::from(end.as_str())).await.unwrap().size;
    let before = counts.end_bytes();
    assert_eq!(world.server.sweep().await.unwrap().skipped, 0);
    assert_eq!(counts.end_bytes() - before, size);
    assert_eq!(world.objects_in("/files/").await, std::slice::from_ref(record));
    assert_eq!(world.caller().download(&file.id).await.unwrap(), "ab");
}

#[tokio::test]
async fn a_completion_whose_body_ends_after_the_sweep_makes_no_file() {
    let world = World::new().await;
    set_to_today(&world);
    let caller = world.caller();
    let (upload, part, file) = completed(&caller).await;
    let (body, answer) = send_late(&world, caller.request(&complete(&upload, &[part])));
    settle().await;
    caller.call(&DeleteFile::new(&file)).await.unwrap();
    for _ in 0..5 {
        world.advance(HOUR);
        world.server.sweep().await.unwrap();
    }
    assert_eq!(world.objects().await, Vec::<String>::new());
    body.send(()).unwrap();
    assert_eq!(answer.await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(world.objects().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_completion_whose_body_ends_after_the_file_was_deleted_writes_no_record() {
    let world = World::new().await;
    let caller = world.caller();
    let (upload, part, file) = completed(&caller).await;
    let [record] = &world.objects_in("/files/").await[..] else { panic!("one record") };
    let record = Path::from(record.as_str());
    let (body, answer) = send_late(&world, caller.request(&complete(&upload, &[part])));
    settle().await;
    caller.call(&DeleteFile::new(&file)).await.unwrap();
    world.objects.delete(&record).await.unwrap();
    body.send(()).unwrap();
    let again =
        partwise_protocol::operations::CompleteUpload::decode_response(answer.await.unwrap()).unwrap();
    assert_eq!(again.status, Some(UploadStatus::Completed));
    assert!(world.objects.head(&record).await.is_err());
}

#[tokio::test]
async fn an_upload_that_is_completed_while_parts_are_named_again_is_answered_the_same() {
    let world = World::new().await;
    set_to_today(&world);
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 1).await;
    let part = caller.add_part(&upload, b"a").await;
    let request = complete(&upload, &[part]);
    let (body, answer) = send_late(&world, caller.request(&request));
    settle().await;
    let first = caller.call(&request).await.unwrap();
    // The records of its parts are swept by then.
    world.advance(2 * HOUR);
    world.server.sweep().await.unwrap();
    body.send(()).unwrap();
    let second =
        partwise_protocol::operations::CompleteUpload::decode_response(answer.await.unwrap()).unwrap();
    assert_eq!(second, first);
}

#[tokio::test]
async fn a_file_of_many_parts_is_downloaded_whole_and_in_ranges() {
    let folder = tempfile::tempdir().unwrap();
    for world in [World::new().await, World::in_folder(folder.path()).await] {
        let caller = world.caller();
        let file = caller.create_file_of_parts("a.txt", &[b"a"]).await.id;
        enlarge(&world, 1000).await;
        assert_eq!(caller.download(&file).await.unwrap(), "a".repeat(1000));
        let mut request = DownloadFile::new(&file);
        request.range = Some(ByteRange::From { first: 990, last: Some(994) });
        let part = caller.send_operation(&request).await;
        assert_eq!((part.status(), &part.body()[..]), (StatusCode::PARTIAL_CONTENT, &b"aaaaa"[..]));
    }
}

#[tokio::test]
async fn a_completion_that_reads_its_parts_holds_no_memory_for_its_body() {
    let (world, counts) = spied_with(|builder| builder.json_in_flight(220_000)).await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 1).await;
    let part = caller.add_part(&upload, b"a").await;
    let text = format!("{{\"part_ids\":[\"{part}\"],\"x\":\"{}\"}}", "x".repeat(100_000));
    let request = caller.plain("POST", &format!("/uploads/{}/complete", upload.id));
    let request = request.body(Bytes::from(text)).unwrap();
    counts.pause();
    let (body, answer) = send_late(&world, request);
    body.send(()).unwrap();
    settle().await;
    // There is room for one such body.
    let large = caller.send_operation(&new_upload(&"x".repeat(50_000), 1)).await;
    assert_eq!(large.status(), StatusCode::BAD_REQUEST);
    assert!(!answer.is_finished());
    counts.resume();
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn the_parts_of_downloads_in_flight_are_bounded_in_all() {
    let (world, _) = spied_with(|builder| builder.parts_in_flight(150_000)).await;
    let caller = world.caller();
    let (upload, part, file) = completed(&caller).await;
    let other = caller.create_file_of_parts("a.txt", &[b"a"]).await.id;
    enlarge(&world, 2000).await;
    let download = |id| world.server.clone().call(full(caller.request(&DownloadFile::new(id))));
    let first = download(&file).await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    let second = download(&other).await.unwrap();
    insta::assert_snapshot!(printed(&whole(second).await), @r#"
    503 Service Unavailable
    content-length: 127
    content-type: application/json
    retry-after: 1
    retry-after-ms: 1000
    x-request-id: req_0000000000000000000000000000000c

    {"error":{"message":"too many large requests are in flight: retry in 1 second","type":"server_error","param":null,"code":null}}
    "#);
    assert_eq!(caller.download(&file).await.unwrap().len(), 2000, "readers of one file share its parts");
    let mut range = DownloadFile::new(&other);
    range.range = Some(ByteRange::From { first: 700, last: Some(1200) });
    let range = caller.send_operation(&range).await;
    assert_eq!(range.body().len(), 501, "a range holds its own parts alone");
    assert!(caller.call(&RetrieveFile::new(&file)).await.is_ok());
    let refusal = caller.try_complete(&upload, &[part]).await.unwrap_err();
    assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
    assert_eq!(whole(first).await.body().len(), 2000);
    assert_eq!(caller.download(&other).await.unwrap().len(), 2000);
}

#[tokio::test]
async fn readers_of_one_file_read_its_record_once() {
    let (world, counts) = spied().await;
    let caller = world.caller();
    let file = caller.create_file_of_parts("a.txt", &[b"a"]).await.id;
    enlarge(&world, 2000).await;
    let before = counts.bytes();
    let mut readers = Vec::new();
    for _ in 0..20 {
        let (caller, file) = (caller.clone(), file.clone());
        readers.push(tokio::spawn(async move { caller.download(&file).await.unwrap().len() }));
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap(), 2000);
    }
    assert!(counts.bytes() - before < 400_000, "{} bytes", counts.bytes() - before);
    caller.call(&DeleteFile::new(&file)).await.unwrap();
    assert_eq!(caller.download(&file).await.unwrap_err().status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_completion_for_which_there_is_no_memory_is_refused_and_leaves_the_upload_pending() {
    let world = World::with(|builder| builder.parts_in_flight(20_000)).await;
    let caller = world.caller();
    let upload = caller.create_upload("a.txt", 1000).await;
    let mut parts = Vec::new();
    for _ in 0..1000 {
        parts.push(caller.add_part(&upload, b"a").await);
    }
    let refusal = caller.try_complete(&upload, &parts).await.unwrap_err();
    assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refusal.retry, RetryHint::after(Duration::from_secs(1)));
    caller.try_add_part(&upload, b"b").await.unwrap();
}
