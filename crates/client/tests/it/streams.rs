//! Uploads of streams: spooled, in memory, or part by part as they come.

use std::{
    future::IntoFuture as _,
    io::{self, Read as _},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::TryStreamExt as _;
use http::{Request, StatusCode};
use partwise::{
    Api, CheckpointFile, Client, Credential, Error, ErrorKind, File, Purpose, RequestBody, UploadBuilder,
    protocol::{
        Dialect,
        error::ApiError,
        operations::OperationId,
        transport::SourceError,
        upload::{PlanError, RouteChoice, UploadError},
    },
};
use partwise_server::{
    Keys, Server, Store,
    testing::{Fault, Faults},
};
use tokio::io::{AsyncRead, ReadBuf};
use tower::Service as _;

const PART: u64 = 64 << 10;
const LENGTH: u64 = 5 * PART + 1234;

fn content() -> Vec<u8> {
    (0..LENGTH).map(|at| (at % 251) as u8).collect()
}

/// A stream that gives a few bytes at a time, and counts them.
struct Trickle {
    rest: io::Cursor<Vec<u8>>,
    read: Arc<AtomicU64>,
}

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut few = vec![0; buffer.remaining().min(7000)];
        let count = self.rest.read(&mut few)?;
        buffer.put_slice(&few[..count]);
        self.read.fetch_add(count as u64, Relaxed);
        Poll::Ready(Ok(()))
    }
}

/// A service, and how much of a stream was read when each part arrived there.
struct Setting {
    client: Client,
    faults: Faults,
    read: Arc<AtomicU64>,
    read_at_parts: Arc<Mutex<Vec<u64>>>,
}

impl Setting {
    async fn new() -> Self {
        let server = Server::builder(Store::memory()).keys(Keys::any()).build().await.unwrap();
        let (faults, read) = (Faults::new(), Arc::<AtomicU64>::default());
        let read_at_parts = Arc::<Mutex<Vec<u64>>>::default();
        let (service, seen, noted) = (faults.around(server), read.clone(), read_at_parts.clone());
        let watched = tower::service_fn(move |request: Request<RequestBody>| {
            if request.uri().path().ends_with("/parts") {
                noted.lock().unwrap().push(seen.load(Relaxed));
            }
            service.clone().call(request)
        });
        let api = Api::with_base("http://localhost/v1", Dialect::OpenAi).unwrap();
        let credential = Credential::key("key").unwrap();
        let client = Client::builder(api, credential).transport(watched).build();
        Self { client, faults, read, read_at_parts }
    }

    fn upload(&self, content: Vec<u8>) -> UploadBuilder {
        self.upload_for(content, Purpose::Batch)
    }

    fn upload_for(&self, content: Vec<u8>, purpose: Purpose) -> UploadBuilder {
        let stream = Trickle { rest: io::Cursor::new(content), read: self.read.clone() };
        self.client.upload_stream("dump.jsonl", stream, purpose).part_size(PART)
    }

    async fn content_of(&self, file: &File) -> Vec<u8> {
        self.client.download(&file.id).bytes(LENGTH).await.unwrap().to_vec()
    }

    fn read_at_parts(&self) -> Vec<u64> {
        self.read_at_parts.lock().unwrap().clone()
    }

    async fn files(&self) -> usize {
        self.client.files().stream().try_collect::<Vec<_>>().await.unwrap().len()
    }
}

fn source_error(error: Error) -> SourceError {
    match error {
        Error::Source(source) => source,
        Error::Upload(error) => match error.into_inner() {
            UploadError::Source(source) => source,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// How much is read when each of the parts arrives, if each is read just before it is sent.
fn part_ends() -> Vec<u64> {
    (1..=5).map(|part| part * PART).chain([LENGTH]).collect()
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_known_length_is_sent_part_by_part_as_it_comes() {
    let setting = Setting::new().await;
    let file = setting.upload(content()).length(LENGTH).await.unwrap();
    assert!(setting.content_of(&file).await == content());
    assert_eq!(setting.read_at_parts(), part_ends());
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_stream_that_fails_is_sent_again() {
    let setting = Setting::new().await;
    let unavailable = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "later");
    setting.faults.on(OperationId::AddUploadPart).nth(2, Fault::Answer(Box::new(unavailable)));
    setting.faults.on(OperationId::AddUploadPart).nth(5, Fault::Drop);
    setting.faults.on(OperationId::AddUploadPart).nth(8, Fault::LoseAnswer);
    let file = setting.upload(content()).length(LENGTH).await.unwrap();
    assert!(setting.content_of(&file).await == content());
    let mut read = setting.read_at_parts();
    assert_eq!(read.len(), 9);
    read.dedup();
    assert_eq!(read, part_ends());
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_another_length_than_announced_makes_no_file() {
    for (announced, problem) in [
        (LENGTH + 1, format!("the stream ends at byte {LENGTH}, and {} were announced", LENGTH + 1)),
        (LENGTH - 1, format!("the stream has more than the {} bytes that were announced", LENGTH - 1)),
        (1000, "the stream has more than the 1000 bytes that were announced".to_owned()),
    ] {
        let setting = Setting::new().await;
        let error = setting.upload(content()).length(announced).await.unwrap_err();
        let source = source_error(error);
        let shown = std::error::Error::source(&source).map_or(source.to_string(), ToString::to_string);
        assert_eq!(shown, problem);
        assert_eq!(setting.files().await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn all_content_is_held_to_its_announced_length() {
    let setting = Setting::new().await;
    let upload = setting.client.upload("a.txt", "four", Purpose::Batch);
    let error = upload.length(5).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("5 bytes were announced, and the content has 4"), "{cause}");
    assert!(setting.client.upload("a.txt", "four", Purpose::Batch).length(4).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_needed_again_is_read_to_its_end_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = CheckpointFile::at(folder.path().join("checkpoint"));
    let setting = Setting::new().await;
    for upload in [
        setting.upload(content()),
        setting.upload(content()).length(LENGTH).md5(),
        setting.upload(content()).length(LENGTH).parallel(2),
        setting.upload(content()).length(LENGTH).save_to(checkpoint),
    ] {
        setting.read.store(0, Relaxed);
        setting.read_at_parts.lock().unwrap().clear();
        let file = upload.await.unwrap();
        assert!(setting.content_of(&file).await == content());
        assert_eq!(setting.read_at_parts(), [LENGTH; 6]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_in_one_request_where_it_has_to_or_is_small() {
    let setting = Setting::new().await;
    for upload in [
        setting.upload_for(content(), Purpose::UserData).length(LENGTH),
        setting.upload(content()).length(LENGTH).route(RouteChoice::Single),
        setting.upload(content()).length(LENGTH).part_size(LENGTH),
    ] {
        let file = upload.await.unwrap();
        assert!(setting.content_of(&file).await == content());
        assert_eq!(setting.read_at_parts(), [0_u64; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_last_answer_is_lost_is_found_or_reported_as_unknown() {
    let setting = Setting::new().await;
    setting.faults.on(OperationId::CompleteUpload).first(1, Fault::LoseAnswer);
    let file = setting.upload(content()).length(LENGTH).await.unwrap();
    assert!(setting.content_of(&file).await == content());
    assert_eq!(setting.files().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_be_read_is_an_error_of_the_source() {
    struct Broken(u64);
    impl AsyncRead for Broken {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let count = self.0.min(buffer.remaining() as u64);
            if count == 0 {
                return Poll::Ready(Err(io::Error::other("the tape is torn")));
            }
            buffer.put_slice(&vec![7; usize::try_from(count).unwrap()]);
            self.0 -= count;
            Poll::Ready(Ok(()))
        }
    }
    let setting = Setting::new().await;
    let upload = setting.client.upload_stream("dump.jsonl", Broken(PART + 5), Purpose::Batch);
    let error = upload.length(LENGTH).part_size(PART).await.unwrap_err();
    assert!(matches!(&error, Error::Upload(cause) if matches!(**cause, UploadError::Source(_))), "{error:?}");
    assert_eq!(setting.read_at_parts().len(), 1, "of the part that cannot be read, nothing is sent");
    assert_eq!(setting.files().await, 0);
}

/// A stream that gives this many bytes and then nothing, without an end.
fn stuck(length: u64) -> impl AsyncRead + Send + 'static {
    let (mut peer, reader) = tokio::io::duplex(1 << 20);
    tokio::spawn(async move {
        let content = &content()[..usize::try_from(length).unwrap()];
        tokio::io::AsyncWriteExt::write_all(&mut peer, content).await.unwrap();
        std::future::pending::<()>().await;
    });
    reader
}

#[tokio::test(start_paused = true)]
async fn a_stop_or_a_cancel_is_heard_while_a_stream_says_nothing() {
    for length in [None, Some(PART), Some(LENGTH)] {
        let setting = Setting::new().await;
        let upload = || {
            let upload = setting.client.upload_stream("a.jsonl", stuck(PART / 2), Purpose::Batch);
            let upload = upload.part_size(PART);
            match length {
                Some(length) => upload.length(length),
                None => upload,
            }
        };
        let soon = || tokio::time::sleep(Duration::from_secs(60));
        let stopped = upload().stop_when(soon()).await.unwrap_err();
        assert_eq!(stopped.kind(), ErrorKind::Stopped, "{length:?}");
        let cancelled = upload().cancel_when(soon()).await.unwrap_err();
        assert_eq!(cancelled.kind(), ErrorKind::Cancelled, "{length:?}");
        assert_eq!((setting.read_at_parts().len(), setting.files().await), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stays_open_is_over_when_it_has_given_what_was_announced() {
    let setting = Setting::new().await;
    let upload = || setting.client.upload_stream("a.jsonl", stuck(LENGTH), Purpose::Batch).length(LENGTH);
    for upload in [
        upload().part_size(PART),
        upload().part_size(PART).parallel(2),
        upload().part_size(PART).md5(),
        upload().part_size(LENGTH),
    ] {
        let file = upload.await.unwrap();
        assert!(setting.content_of(&file).await == content());
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_impossible_is_told_of_before_the_stream_is_read() {
    let setting = Setting::new().await;
    let upload = setting.upload(content()).length(10 << 30).part_size(1 << 40);
    let error = upload.await.unwrap_err();
    assert!(matches!(&error, Error::Plan(PlanError::PartSize { .. })), "{error:?}");
    assert_eq!(setting.read.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn others_go_on_while_a_slow_stream_is_waited_for_after_an_outage() {
    let setting = Setting::new().await;
    setting.faults.on(OperationId::AddUploadPart).first(1, Fault::Drop);
    let slow = setting.client.upload_stream("a.jsonl", stuck(PART + 1), Purpose::Batch);
    let slow = tokio::spawn(slow.length(LENGTH).part_size(PART).into_future());
    tokio::time::sleep(Duration::from_secs(120)).await;
    let other = setting.client.upload("b.txt", "text", Purpose::Assistants);
    let other = tokio::time::timeout(Duration::from_secs(10), other.into_future()).await;
    assert!(other.expect("it waits for the stream of another").is_ok());
    slow.abort();
}
