//! Whole files, there and back, with `partwise-server` on the other side of real sockets.

use std::{
    fs, io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use futures_util::StreamExt;
use http::StatusCode;
use http_body_util::BodyExt;
use partwise::{CheckpointFile, Client, Error, FileSource, Reading, Source, stack::Stack};
use partwise_models::Purpose;
use partwise_protocol::{
    Api, Credential, Dialect,
    operations::{DeleteFile, ListFiles, OperationId},
    upload::{Plan, RouteChoice, SourceStamp},
};
use partwise_server::{Keys, Server, Stopped, Store};
use partwise_testkit::{content::noise, errors::line};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::peer::{MIB, options};

pub(crate) const KEY: &str = "a-secret-key";

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    task: JoinHandle<Stopped>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn server() -> Server {
    Server::builder(Store::memory())
        .keys(Keys::of_entries(&format!("team:{KEY}")).unwrap())
        .build()
        .await
        .unwrap()
}

pub(crate) async fn serve() -> Running {
    let server = server().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    Running { address, task: tokio::spawn(server.serve(listener, std::future::pending())) }
}

pub(crate) fn client(api: Api, key: &str) -> Client {
    Client::builder(api, Credential::key(key).unwrap()).transport(Stack::new(options())).build()
}

pub(crate) fn openai(address: SocketAddr) -> Api {
    Api::with_base(&format!("http://{address}/v1"), Dialect::OpenAi).unwrap()
}

/// A file of bytes that repeat nowhere near.
pub(crate) struct Content {
    folder: tempfile::TempDir,
    pub(crate) bytes: Vec<u8>,
}

impl Content {
    pub(crate) fn of(len: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bytes = noise(len);
        fs::write(folder.path().join("content.jsonl"), &bytes).unwrap();
        Self { folder, bytes }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("content.jsonl")
    }

    pub(crate) fn source(&self) -> FileSource {
        FileSource::open(self.path()).unwrap()
    }
}

fn plan(part_size: u64) -> Plan {
    let mut plan = Plan::new("content.jsonl", "application/jsonl", Purpose::Batch);
    plan.part_size = Some(part_size);
    plan
}

async fn download(client: &Client, id: &str) -> Vec<u8> {
    let download = client.download(id).await.unwrap();
    let pieces: Vec<Bytes> = download.map(|piece| piece.unwrap()).collect().await;
    pieces.concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_comes_back_as_it_went_in_every_dialect_and_every_way_of_reading() {
    let running = serve().await;
    let endpoint = format!("http://{}", running.address);
    let content = Content::of(5 * MIB + 17);
    let apis = [
        openai(running.address),
        Api::azure(&endpoint, "2024-10-21").unwrap(),
        Api::azure_v1(&endpoint).unwrap(),
        // Has no uploads, so the file goes in one request.
        Api::azure(&endpoint, "2024-06-01").unwrap(),
    ];
    for api in apis {
        let in_parts = OperationId::AddUploadPart.available_in(api.dialect());
        let purpose = if in_parts { Purpose::Batch } else { Purpose::FineTune };
        for reading in [Reading::Blocking, Reading::Inline] {
            let client = client(api.clone(), KEY).to_builder().reading(reading).build();
            let mut plan = plan(MIB);
            plan.md5 = in_parts;
            plan.purpose = purpose.clone();
            let upload = client.upload_as(plan, content.source()).prepare().await.unwrap();
            let progress = upload.progress();
            let file = upload.run().await.unwrap_or_else(|error| panic!("{api}: {}", line(&error)));
            assert_eq!(file.bytes, Some(5 * MIB + 17));
            assert_eq!(file.filename.as_deref(), Some("content.jsonl"));
            let end = progress.borrow().clone();
            assert_eq!(
                (end.bytes_acknowledged, end.parts_acknowledged),
                (5 * MIB + 17, if in_parts { 6 } else { 1 })
            );

            assert!(download(&client, &file.id).await == content.bytes, "{api}: other bytes came back");
            let listed = client.call(&ListFiles::new()).await.unwrap().data;
            assert!(listed.iter().any(|listed| listed.id == file.id));
            client.call(&DeleteFile::new(&*file.id)).await.unwrap();
            let gone = client.download(&file.id).await.unwrap_err();
            assert_eq!(gone.rejection().unwrap().status, StatusCode::NOT_FOUND);
        }
    }
}

#[tokio::test]
async fn bytes_in_memory_go_up_too() {
    let running = serve().await;
    let client = client(openai(running.address), KEY);
    let content = Bytes::from(Content::of(3 * MIB + 1).bytes);
    let file = client.upload_as(plan(MIB), content.clone()).await.unwrap();
    assert!(download(&client, &file.id).await == content);
}

/// A client of a server inside the process.
pub(crate) async fn embedded() -> Client {
    let api = Api::with_base("http://embedded.invalid/v1", Dialect::OpenAi).unwrap();
    Client::builder(api, Credential::key(KEY).unwrap()).transport(server().await).allow_plain_http().build()
}

#[tokio::test]
async fn a_server_inside_the_process_needs_no_socket() {
    let client = embedded().await;
    let content = Content::of(3 * MIB + 1);
    let file = client.upload_as(plan(MIB), content.source()).await.unwrap();
    assert!(download(&client, &file.id).await == content.bytes);
}

#[tokio::test]
async fn a_wrong_key_is_refused_once_and_for_all() {
    let running = serve().await;
    let content = Content::of(16 * MIB);
    for route in [RouteChoice::Parts, RouteChoice::Single] {
        let mut plan = plan(MIB);
        plan.route = route;
        let upload = client(openai(running.address), "another-key")
            .upload_as(plan, content.source())
            .prepare()
            .await
            .unwrap();
        let progress = upload.progress();
        let error = upload.run().await.unwrap_err();
        assert_eq!(error.rejection().unwrap().status, StatusCode::UNAUTHORIZED, "{}", line(&error));
        assert_eq!(progress.borrow().statistics.attempts.total, 1);
    }
}

/// Fails behind a certain byte, until it is mended; remembers what was read.
struct Failing {
    file: FileSource,
    broken: AtomicBool,
    read: Mutex<Vec<u64>>,
}

impl Source for Failing {
    fn stamp(&self) -> io::Result<SourceStamp> {
        self.file.stamp()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset >= 5 * MIB && self.broken.load(SeqCst) {
            return Err(io::Error::other("the disk is full of holes"));
        }
        self.read.lock().unwrap().push(offset);
        self.file.read_at(offset, buffer)
    }
}

#[tokio::test]
async fn an_upload_that_broke_off_is_gone_on_with_and_sends_only_what_is_missing() {
    let running = serve().await;
    let client = client(openai(running.address), KEY);
    let content = Content::of(8 * MIB);
    let source = Arc::new(Failing { file: content.source(), broken: true.into(), read: Mutex::default() });
    let checkpoint = CheckpointFile::at(content.folder.path().join("checkpoint.json"));
    let mut plan = plan(MIB);
    plan.parallel = 1.into();

    let upload = client.upload_as(plan.clone(), source.clone()).prepare().await.unwrap();
    let error = upload.save_to(checkpoint.clone()).run().await.unwrap_err();
    assert!(
        line(&error).ends_with("the source cannot be read: the disk is full of holes"),
        "{}",
        line(&error)
    );
    let Error::Upload(error) = error else { panic!("{error}") };
    assert!(error.is_resumable());
    let saved = checkpoint.load().unwrap().unwrap();
    assert_eq!(saved.acknowledged(), (5 * MIB, 8 * MIB));

    source.broken.store(false, SeqCst);
    source.read.lock().unwrap().clear();
    let upload = client.upload_as(plan, source.clone()).resume(saved).prepare().await.unwrap();
    let file = upload.save_to(checkpoint.clone()).run().await.unwrap();
    assert!(
        source.read.lock().unwrap().iter().all(|offset| *offset >= 5 * MIB),
        "acknowledged parts were read again"
    );
    assert!(download(&client, &file.id).await == content.bytes);
    assert_eq!(checkpoint.load().unwrap(), None, "the checkpoint of a complete upload is removed");
}

#[tokio::test]
async fn a_file_that_changes_under_the_upload_becomes_no_file() {
    let running = serve().await;
    let client = client(openai(running.address), KEY);
    let content = Content::of(2 * MIB);
    let upload = client.upload_as(plan(MIB), content.source()).prepare().await.unwrap();
    let file = fs::File::options().write(true).open(content.path()).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let error = upload.run().await.unwrap_err();
    assert_eq!(error.to_string(), "the source changed while it was uploaded: it was modified");
    assert!(client.call(&ListFiles::new()).await.unwrap().data.is_empty());
}

/// A file that is there, and cannot be read.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
struct Unread(FileSource);

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
impl Source for Unread {
    fn stamp(&self) -> io::Result<SourceStamp> {
        self.0.stamp()
    }

    fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("it is read"))
    }

    fn file(&self) -> Option<Arc<fs::File>> {
        self.0.file()
    }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[tokio::test]
async fn the_system_sends_a_file_over_plain_http_without_its_being_read() {
    let running = serve().await;
    let content = Content::of(3 * MIB + 5);
    let inline = client(openai(running.address), KEY).to_builder().reading(Reading::Inline).build();
    let file = inline.upload_as(plan(MIB), Unread(content.source())).await.unwrap();
    assert!(download(&inline, &file.id).await == content.bytes);
    let on_threads = client(openai(running.address), KEY);
    let error = on_threads.upload_as(plan(MIB), Unread(content.source())).await.unwrap_err();
    assert_eq!(line(&error), "the source cannot be read: it is read");
}

#[tokio::test]
async fn a_file_that_becomes_shorter_under_the_upload_is_told_with_where_it_ends() {
    let running = serve().await;
    for reading in [Reading::Blocking, Reading::Inline] {
        let client = client(openai(running.address), KEY).to_builder().reading(reading).build();
        let content = Content::of(4 * MIB);
        let upload = client.upload_as(plan(2 * MIB), content.source()).prepare().await.unwrap();
        fs::File::options().write(true).open(content.path()).unwrap().set_len(3 * MIB + 7).unwrap();
        let error = upload.run().await.unwrap_err();
        let said = line(&error);
        assert!(said.starts_with("the source cannot be read: "), "{said}");
        assert!(said.contains(&format!("ends at byte {}", 3 * MIB + 7)), "{said}");
        assert!(client.call(&ListFiles::new()).await.unwrap().data.is_empty());
    }
}

#[tokio::test]
async fn a_body_is_exactly_as_long_as_its_head_says() {
    let content = Content::of(3 * MIB + 5);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let server = server().await;
    let inspected = {
        let seen = seen.clone();
        Inspected(Arc::new(move |announced, came| seen.lock().unwrap().push((announced, came))), server)
    };
    let api = Api::with_base("http://embedded.invalid/v1", Dialect::OpenAi).unwrap();
    let client =
        Client::builder(api, Credential::key(KEY).unwrap()).transport(inspected).allow_plain_http().build();
    client.upload_as(plan(MIB), content.source()).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 6);
    assert!(seen.iter().all(|(announced, came)| announced == came), "{seen:?}");
}

/// Compares each body's length with what its head says, on the way to a server.
#[derive(Clone)]
struct Inspected(Arc<dyn Fn(u64, u64) + Send + Sync>, Server);

impl tower_service::Service<http::Request<partwise::RequestBody>> for Inspected {
    type Response = http::Response<partwise_server::ResponseBody>;
    type Error = partwise_protocol::transport::SourceError;
    type Future = futures_util::future::BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<partwise::RequestBody>) -> Self::Future {
        let (tell, mut server) = (self.0.clone(), self.1.clone());
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let announced = head.headers["content-length"].to_str().unwrap().parse().unwrap();
            let whole = body.collect().await?.to_bytes();
            tell(announced, whole.len() as u64);
            let request = http::Request::from_parts(head, http_body_util::Full::new(whole));
            Ok(server.call(request).await.unwrap_or_else(|never| match never {}))
        })
    }
}
