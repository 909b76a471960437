//! Files and uploads of many parts, whose records are large.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use object_store::{ObjectStoreExt, memory::InMemory, path::Path};
use partwise_models::{Upload, UploadStatus};
use partwise_protocol::{ByteRange, CancelUpload, DeleteFile, DownloadFile, Operation, RetrieveFile};
use tokio::sync::oneshot;
use tower_service::Service;

use crate::{
    spied_store::{Counts, SpiedStore},
    sweep::set_to_today,
    world::{Caller, HOUR, World, complete, told},
};

const PARTS: usize = 40_000;
/// The most that may be read of a record of some megabytes to answer from its beginning.
const BEGINNING: u64 = 16 * 1024;

async fn spied() -> (World, Arc<Counts>) {
    let (objects, counts) = SpiedStore::over(Arc::new(InMemory::new()));
    (World::over(objects).await, counts)
}

/// A completed upload of one part, and the identifiers of its part and of its file.
async fn completed(caller: &Caller) -> (Upload, String, String) {
    let upload = caller.create_upload("a.txt", 1).await;
    let part = caller.add_part(&upload, b"a").await;
    let file = caller.complete(&upload, std::slice::from_ref(&part)).await;
    (upload, part, file.id)
}

/// Makes the only file one that has its only part so many times.
async fn enlarge(world: &World, parts: usize) {
    for name in ["/final.json", "/files/"] {
        let [path] = &world.objects_in(name).await[..] else { panic!("one record") };
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
    let answer = tokio::spawn(async move {
        let (parts, body) = server.call(request).await.unwrap().into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    });
    (sender, answer)
}

async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
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
    let refusal = partwise_protocol::ApiError::decode_response(&answer.await.unwrap());
    assert_eq!(told(&refusal), format!("400: the upload `{}` was completed with other parts", upload.id));
    assert!(caller.call(&RetrieveFile::new(&file)).await.is_ok());
}

#[tokio::test]
async fn what_shows_no_parts_is_answered_from_the_beginning_of_a_record() {
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
    let again = partwise_protocol::CompleteUpload::decode_response(answer.await.unwrap()).unwrap();
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
    let second = partwise_protocol::CompleteUpload::decode_response(answer.await.unwrap()).unwrap();
    assert_eq!(second, first);
}

#[tokio::test]
async fn a_file_of_many_parts_is_downloaded_whole_and_in_ranges() {
    let folder = tempfile::tempdir().unwrap();
    for world in [World::new().await, World::in_folder(folder.path()).await] {
        let caller = world.caller();
        let (_, _, file) = completed(&caller).await;
        enlarge(&world, 1000).await;
        assert_eq!(caller.download(&file).await.unwrap(), "a".repeat(1000));
        let mut request = DownloadFile::new(&file);
        request.range = Some(ByteRange::From { first: 990, last: Some(994) });
        let part = caller.send_operation(&request).await;
        assert_eq!((part.status(), &part.body()[..]), (StatusCode::PARTIAL_CONTENT, &b"aaaaa"[..]));
    }
}
