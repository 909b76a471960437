//! A server in memory, in a folder or over a store elsewhere, with a clock that stands still and random numbers that repeat themselves, and a
//! client for it that is `partwise-protocol` in the other direction.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use object_store::{ObjectStore, local::LocalFileSystem, memory::InMemory};
use partwise_models::{
    CompleteUploadRequest, CreateUploadRequest, File, Purpose, UnixSeconds, Upload, UploadPartResource,
};
use partwise_protocol::{
    Api, Credential, Dialect, Operation,
    error::{ApiError, ResponseError},
    multipart::Boundary,
    operations::{AddUploadPart, CompleteUpload, CreateFile, CreateUpload, DownloadFile},
};
use partwise_server::{Builder, Durability, Keys, Limits, Server, Store, Tenant};
use tower_service::Service;

/// When the clock of every world starts.
pub(crate) const START: u64 = 1_760_000_000;
pub(crate) const HOUR: u64 = 60 * 60;
pub(crate) const KEY: &str = "key-a";
pub(crate) const OTHER_KEY: &str = "key-b";

/// `O` is the store as others than the server see it; `()` where nobody else looks into it.
pub(crate) struct World<O = Arc<dyn ObjectStore>> {
    pub(crate) server: Server,
    pub(crate) objects: O,
    clock: Arc<AtomicU64>,
}

/// A caller: where, in which dialect, with which key.
#[derive(Clone)]
pub(crate) struct Caller {
    server: Server,
    pub(crate) api: Api,
    key: &'static str,
}

pub(crate) fn openai() -> Api {
    Api::with_base("http://partwise.test/v1", Dialect::OpenAi).unwrap()
}

pub(crate) fn azure(version: &str) -> Api {
    Api::azure("http://partwise.test", version).unwrap()
}

pub(crate) fn azure_v1() -> Api {
    Api::azure_v1("http://partwise.test").unwrap()
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::over(Arc::new(InMemory::new())).await
    }

    /// A world in memory whose server is built in another way.
    pub(crate) async fn with(change: impl FnOnce(Builder) -> Builder) -> Self {
        Self::over_with(Arc::new(InMemory::new()), change).await
    }

    pub(crate) async fn over_with(
        objects: Arc<dyn ObjectStore>,
        change: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let clock = Arc::new(AtomicU64::new(START));
        let server = change(builder(objects.clone().into(), &clock, 0)).build().await.unwrap();
        Self { server, objects, clock }
    }

    pub(crate) async fn over(objects: Arc<dyn ObjectStore>) -> Self {
        Self::with_store(objects.clone().into(), objects).await
    }

    pub(crate) async fn in_folder(folder: &std::path::Path) -> Self {
        Self::in_folder_with(folder, Durability::default()).await
    }

    pub(crate) async fn in_folder_with(folder: &std::path::Path, durability: Durability) -> Self {
        let store = Store::local_with(folder, durability).unwrap();
        Self::with_store(store, Arc::new(LocalFileSystem::new_with_prefix(folder).unwrap())).await
    }

    /// In memory, within these limits.
    pub(crate) async fn with_limits(limits: Limits) -> Self {
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let clock = Arc::new(AtomicU64::new(START));
        let server = builder(objects.clone().into(), &clock, 0).limits(limits).build().await.unwrap();
        Self { server, objects, clock }
    }

    pub(crate) async fn in_folder_with_limits(folder: &std::path::Path, limits: Limits) -> Self {
        let objects = Arc::new(LocalFileSystem::new_with_prefix(folder).unwrap());
        let clock = Arc::new(AtomicU64::new(START));
        let store = Store::local(folder).unwrap();
        let server = builder(store, &clock, 0).limits(limits).build().await.unwrap();
        Self { server, objects, clock }
    }

    /// In memory, for loopback names alone.
    pub(crate) async fn with_loopback_hosts_only() -> Self {
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let clock = Arc::new(AtomicU64::new(START));
        let builder = builder(objects.clone().into(), &clock, 0).loopback_hosts_only(true);
        Self { server: builder.build().await.unwrap(), objects, clock }
    }

    /// Another server, over these objects, with the same clock.
    pub(crate) async fn restarted_over(&self, objects: Arc<dyn ObjectStore>) -> Self {
        let server = server(objects.clone().into(), &self.clock, 2 << 40).await;
        Self { server, objects, clock: self.clock.clone() }
    }

    /// Another server on the same store, with the same clock.
    pub(crate) async fn second_server(&self) -> Self {
        self.second_server_over(self.objects.clone().into()).await
    }

    /// The paths of all objects in the store, without the marker.
    pub(crate) async fn objects(&self) -> Vec<String> {
        use futures_util::TryStreamExt;
        let listed: Vec<_> = self.objects.list(None).try_collect().await.unwrap();
        let mut paths: Vec<String> = listed.iter().map(|meta| meta.location.to_string()).collect();
        paths.retain(|path| path != "partwise.json");
        paths.sort();
        paths
    }

    /// The paths of all objects with this in their path.
    pub(crate) async fn objects_in(&self, folder: &str) -> Vec<String> {
        let mut paths = self.objects().await;
        paths.retain(|path| path.contains(folder));
        paths
    }
}

impl<O> World<O> {
    /// `objects` must be the same place as `store`.
    pub(crate) async fn with_store(store: Store, objects: O) -> Self {
        let clock = Arc::new(AtomicU64::new(START));
        let server = server(store, &clock, 0).await;
        Self { server, objects, clock }
    }

    /// Another server, with the same clock, over the same place.
    pub(crate) async fn second_server_over(&self, store: Store) -> Self
    where
        O: Clone,
    {
        let server = server(store, &self.clock, 1 << 40).await;
        Self { server, objects: self.objects.clone(), clock: self.clock.clone() }
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn set_clock(&self, now: u64) {
        self.clock.store(now, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub(crate) fn caller(&self) -> Caller {
        self.caller_of(openai())
    }

    pub(crate) fn caller_of(&self, api: Api) -> Caller {
        Caller { server: self.server.clone(), api, key: KEY }
    }

    pub(crate) fn stranger(&self) -> Caller {
        Caller { key: OTHER_KEY, ..self.caller() }
    }
}

async fn server(store: Store, clock: &Arc<AtomicU64>, first_number: u64) -> Server {
    builder(store, clock, first_number).build().await.unwrap()
}

fn builder(store: Store, clock: &Arc<AtomicU64>, first_number: u64) -> Builder {
    let keys =
        Keys::new([(KEY, Tenant::new("team-a").unwrap()), (OTHER_KEY, Tenant::new("team-b").unwrap())]);
    let (clock, numbers) = (clock.clone(), AtomicU64::new(first_number));
    let builder = Server::builder(store).keys(keys);
    let builder = builder.clock(move || UnixSeconds(clock.load(Ordering::SeqCst)));
    builder.entropy(move || u128::from(numbers.fetch_add(1, Ordering::SeqCst) + 1))
}

impl Caller {
    /// A caller of a server of another world's making, in OpenAI's dialect.
    pub(crate) fn of(server: Server) -> Self {
        Self { server, api: openai(), key: KEY }
    }

    /// Sends any request as it is.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        let response = self.server.clone().call(request.map(Full::new)).await.unwrap();
        let (parts, body) = response.into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }

    /// Sends an operation with the caller's key; the answer as it came.
    pub(crate) async fn send_operation<O: Operation>(&self, operation: &O) -> Response<Bytes> {
        self.send(self.request(operation)).await
    }

    pub(crate) fn request<O: Operation>(&self, operation: &O) -> Request<Bytes> {
        let mut request = operation.encode_request(&self.api).unwrap().map(|body| body.into_bytes().unwrap());
        self.sign(&mut request);
        request
    }

    pub(crate) fn sign<B>(&self, request: &mut Request<B>) {
        Credential::key(self.key).unwrap().apply(&self.api, request);
    }

    /// A request of no operation's making: `path` stands behind the caller's base.
    pub(crate) fn plain(&self, method: &str, path: &str) -> http::request::Builder {
        let base: http::Uri = self.api.base().parse().unwrap();
        let mut signed = Request::new(());
        self.sign(&mut signed);
        let mut builder = Request::builder().method(method).uri(format!("{}{path}", base.path()));
        builder.headers_mut().unwrap().extend(signed.headers().clone());
        builder
    }

    pub(crate) async fn call<O: Operation>(&self, operation: &O) -> Result<O::Response, ApiError> {
        match O::decode_response(self.send_operation(operation).await) {
            Ok(response) => Ok(response),
            Err(ResponseError::Rejected(refusal)) => Err(*refusal),
            Err(error) => panic!("the server answered what no client can read: {error}"),
        }
    }

    pub(crate) async fn create_file(&self, filename: &str, content: &[u8]) -> File {
        self.call(&new_file(Purpose::Assistants, filename, content)).await.unwrap()
    }

    pub(crate) async fn create_upload(&self, filename: &str, bytes: u64) -> Upload {
        self.call(&new_upload(filename, bytes)).await.unwrap()
    }

    pub(crate) async fn try_add_part(
        &self,
        upload: &Upload,
        content: &[u8],
    ) -> Result<UploadPartResource, ApiError> {
        self.call(&AddUploadPart::new(&upload.id, Bytes::copy_from_slice(content), boundary())).await
    }

    pub(crate) async fn add_part(&self, upload: &Upload, content: &[u8]) -> String {
        self.try_add_part(upload, content).await.unwrap().id
    }

    pub(crate) async fn try_complete(&self, upload: &Upload, parts: &[String]) -> Result<Upload, ApiError> {
        self.call(&complete(upload, parts)).await
    }

    /// The file of a completed upload.
    pub(crate) async fn complete(&self, upload: &Upload, parts: &[String]) -> File {
        self.try_complete(upload, parts).await.unwrap().file.unwrap()
    }

    /// A file of these parts, made by an upload that is complete.
    pub(crate) async fn create_file_of_parts(&self, filename: &str, parts: &[&[u8]]) -> File {
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        let upload = self.create_upload(filename, bytes).await;
        let mut ids = Vec::new();
        for part in parts {
            ids.push(self.add_part(&upload, part).await);
        }
        self.complete(&upload, &ids).await
    }

    pub(crate) async fn download(&self, file_id: &str) -> Result<Bytes, ApiError> {
        let response = self.send_operation(&DownloadFile::new(file_id)).await;
        if response.status() == StatusCode::OK {
            Ok(response.into_body())
        } else {
            Err(ApiError::decode_response(&response))
        }
    }
}

/// Lets the tasks run that can. Time stands still meanwhile.
pub(crate) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn boundary() -> Boundary {
    Boundary::from_entropy([7; 16])
}

pub(crate) fn new_file(purpose: Purpose, filename: &str, content: &[u8]) -> CreateFile {
    CreateFile::new(
        purpose,
        filename,
        "application/octet-stream",
        Bytes::copy_from_slice(content),
        boundary(),
    )
}

pub(crate) fn new_upload(filename: &str, bytes: u64) -> CreateUpload {
    CreateUpload::new(CreateUploadRequest::new(filename, Purpose::Assistants, bytes, "text/plain"))
}

pub(crate) fn complete(upload: &Upload, parts: &[String]) -> CompleteUpload {
    CompleteUpload::new(&upload.id, CompleteUploadRequest::new(parts.to_vec()))
}

/// A rejection as a person reads it: status and message.
pub(crate) fn told(refusal: &ApiError) -> String {
    format!("{}: {}", refusal.status.as_u16(), refusal.error.message.as_deref().unwrap_or_default())
}

/// An answer as it stands on the wire.
pub(crate) fn printed(response: &Response<Bytes>) -> String {
    let mut text = format!("{}\n", response.status());
    let mut headers: Vec<_> = response.headers().iter().collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    for (name, value) in headers {
        text += &format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
    }
    text + "\n" + &String::from_utf8_lossy(response.body()) + "\n"
}
