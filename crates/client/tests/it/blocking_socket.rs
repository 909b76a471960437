//! The client for programs without async, against the server on a socket.

use std::{
    io::{self, Read},
    net::TcpListener,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use http::StatusCode;
use partwise::{
    Api, CheckpointDir, Credential, Error, ErrorKind, File, FileTarget, Purpose,
    blocking::Client,
    protocol::{
        Dialect,
        error::ApiError,
        multipart::Boundary,
        operations::{AddUploadPart, ListFiles, OperationId, RetrieveFile},
        retry::RetryPolicy,
        transport::SourceRange,
        upload::{Comparison, Plan},
    },
    stack::{Proxy, Stack, StackOptions},
};
use partwise_server::{
    Keys, Server, Store,
    testing::{Fault, Faults},
};

use crate::everyday::content;

/// A server on a socket of this machine, until this is dropped, and what goes wrong with it.
struct Service {
    faults: Faults,
    client: Client,
    _runtime: tokio::runtime::Runtime,
}

fn service() -> Service {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    listener.set_nonblocking(true).unwrap();
    let faults = Faults::new();
    let serving = faults.clone();
    runtime.spawn(async move {
        let server = Server::builder(Store::memory()).keys(Keys::any()).build().await.unwrap();
        serving.serve(server, tokio::net::TcpListener::from_std(listener).unwrap()).await;
    });
    let api = Api::with_base(&base, Dialect::OpenAi).unwrap();
    let stack = Stack::new(StackOptions::new().proxy(Proxy::none()));
    let client = partwise::Client::builder(api, Credential::key("key").unwrap()).transport(stack).build();
    Service { faults, client: Client::new(client).unwrap(), _runtime: runtime }
}

#[test]
fn a_file_goes_up_is_listed_waited_for_comes_down_and_is_deleted() {
    let (service, folder) = (service(), tempfile::tempdir().unwrap());
    let client = &service.client;
    let path = folder.path().join("notes.md");
    std::fs::write(&path, "# Notes").unwrap();

    let file = client.upload_file(&path, Purpose::Assistants).run().unwrap();
    assert_eq!((file.filename.as_deref(), file.bytes), (Some("notes.md"), Some(7)));
    let listed: Result<Vec<File>, Error> = client.files(|files| files.purpose(Purpose::Assistants)).collect();
    assert_eq!(listed.unwrap().iter().map(|file| &file.id).collect::<Vec<_>>(), [&file.id]);
    assert_eq!(client.wait_until_processed(&file.id).unwrap().id, file.id);
    let copy = folder.path().join("copy.md");
    assert_eq!(client.download_file(&file.id, &copy).run().unwrap(), 7);
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "# Notes");
    let target = FileTarget::of(tempfile::tempfile().unwrap());
    assert_eq!(client.download_to(&file.id, target).run().unwrap(), 7);
    assert!(client.delete_file(&file.id).unwrap());
    let gone = client.file(&file.id).unwrap_err();
    assert_eq!((gone.kind(), gone.status()), (ErrorKind::NotFound, Some(StatusCode::NOT_FOUND)));
}

#[test]
fn operations_are_executed_with_and_without_the_head_of_their_answer() {
    let service = service();
    let client = &service.client;
    let answer = client.call_with_head(&ListFiles::new()).unwrap();
    assert_eq!((answer.status(), answer.body().data.len()), (StatusCode::OK, 0));
    assert!(answer.headers().contains_key("x-request-id"));
    let missing = client.call(&RetrieveFile::new("file-missing")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let part = AddUploadPart::new("upload_missing", SourceRange::new(0, 4), Boundary::from_entropy([7; 16]));
    assert_eq!(client.call_with(&part, "text").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn content_is_read_whole_or_through_a_reader() {
    let service = service();
    let client = &service.client;
    let content = content(300_000);
    let id = client.upload("a.bin", content.clone(), Purpose::UserData).run().unwrap().id;
    assert_eq!(client.download(&id).bytes(300_000).unwrap(), content);
    let mut read = Vec::new();
    client.download(&id).into_read().read_to_end(&mut read).unwrap();
    assert!(read == content);
    let error = client.download(&id).bytes(299_999).unwrap_err();
    assert!(matches!(error, Error::TooLong { limit: 299_999 }));
    let missing = client.download("file-missing").into_read().read_to_end(&mut read).unwrap_err();
    let missing = missing.get_ref().unwrap().downcast_ref::<Error>().unwrap();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(matches!(client.compare(&id, content).unwrap(), Comparison::Equal));
    assert!(matches!(client.compare(&id, vec![0; 300_000]).unwrap(), Comparison::Different));
}

#[test]
fn a_reader_that_blocks_is_uploaded_to_its_end() {
    let service = service();
    let client = &service.client;
    let content = content(3 << 20);
    let stream = io::Cursor::new(content.clone());
    let file = client.upload_stream("a.jsonl", stream.clone(), Purpose::Batch).run().unwrap();
    assert_eq!(client.download(&file.id).bytes(3 << 20).unwrap(), content);
    // Of known length it goes part by part.
    let upload = client.upload_stream("a.jsonl", stream, Purpose::Batch);
    let file = upload.with(|upload| upload.length(3 << 20).part_size(1 << 20)).run().unwrap();
    assert_eq!(client.download(&file.id).bytes(3 << 20).unwrap(), content);
}

/// Ends with an error, or never.
struct Broken(Option<mpsc::Receiver<()>>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        if let Some(never) = &self.0 {
            let _ = never.recv();
        }
        Err(io::Error::other("the pipe broke"))
    }
}

#[test]
fn a_reader_that_fails_or_never_ends_ends_its_upload_and_nothing_waits_for_it() {
    let service = service();
    let error = service.client.upload_stream("a.jsonl", Broken(None), Purpose::Batch).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    let (_sender, never) = mpsc::channel();
    let upload = service.client.upload_stream("a.jsonl", Broken(Some(never)), Purpose::Batch);
    let error = upload.with(|upload| upload.timeout(Duration::from_millis(50))).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    drop(service.client);
    assert_eq!(service.faults.executed(), 0);
}

#[test]
fn progress_is_told_to_the_end() {
    let service = service();
    let client = &service.client;
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = told.clone();
    let plan = Plan::new("a.jsonl", "application/jsonl", Purpose::Batch).part_size(1 << 20);
    let upload = client.upload_as(plan, content(5 << 20));
    upload
        .with(|upload| upload.on_progress(move |now| log.lock().unwrap().push(now.bytes_acknowledged)))
        .run()
        .unwrap();
    let told = told.lock().unwrap();
    assert_eq!((told.first(), told.last()), (Some(&0), Some(&(5 << 20))));
    assert!(told.is_sorted());
}

#[test]
fn an_upload_that_was_interrupted_is_resumed_in_its_directory() {
    let (service, folder) = (service(), tempfile::tempdir().unwrap());
    let unfinished = CheckpointDir::at(folder.path().join("unfinished"));
    let path = folder.path().join("a.jsonl");
    std::fs::write(&path, content(5 << 20)).unwrap();
    let upload = || {
        let upload = service.client.upload_file(&path, Purpose::Batch);
        upload.with(|upload| {
            let upload = upload.part_size(1 << 20).parallel(1).retry(RetryPolicy::never());
            upload.resume_in(unfinished.clone())
        })
    };
    let broken = ApiError::new(StatusCode::NOT_IMPLEMENTED, "not today");
    service.faults.on(OperationId::AddUploadPart).nth(4, Fault::Answer(Box::new(broken)));
    let error = upload().run().unwrap_err();
    assert!(error.is_resumable(), "{error}");
    let sent = service.faults.executed();
    let file = upload().run().unwrap();
    // The other two parts, and what completes them.
    assert_eq!(service.faults.executed() - sent, 3);
    assert_eq!(service.client.download(&file.id).bytes(5 << 20).unwrap(), content(5 << 20));
}

#[test]
fn each_call_has_the_limit_of_its_client() {
    let service = service();
    service.faults.on_any().every(Fault::Stall);
    let client = service.client.with_timeout(Duration::from_millis(100));
    let error = client.call(&ListFiles::new()).unwrap_err();
    assert!(matches!(&error, Error::TimedOut { cause: None, .. }), "{error:?}");
    let error = client.files(|files| files).next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(client.wait_until_processed("file-1").unwrap_err().kind(), ErrorKind::Timeout);
}
