//! Uploads that end before their content was read, or while a dropped run still saves, and downloads that end before their target was
//! asked: against the server, in process.

use std::{
    future::{pending, ready},
    io::{self, Cursor},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use partwise::{
    AnyTarget, AsyncTarget, CheckpointDir, CheckpointStore as _, Client, Error, ErrorKind, Purpose,
    UploadBuilder, UploadSubject, mime_type,
    protocol::{
        download::DownloadCheckpoint,
        error::ApiError,
        operations::OperationId,
        retry::RetryPolicy,
        upload::{Checkpoint, Plan, UploadError},
    },
};
use partwise_server::testing::{Fault, Faults};
use tokio::{
    io::DuplexStream,
    time::{Instant, sleep},
};

use crate::everyday::{client_with, content, server};

const LIMIT: Duration = Duration::from_secs(5);
const MIB: u64 = 1 << 20;

/// A directory in which an upload of a stream and one of a file, both of nine parts, ended after three of them.
struct Left {
    client: Client,
    folder: tempfile::TempDir,
    unfinished: CheckpointDir,
    /// Keeps a stream open that says nothing.
    silent: Vec<DuplexStream>,
}

impl Left {
    async fn new() -> Self {
        let (faults, folder) = (Faults::new(), tempfile::tempdir().unwrap());
        let client = client_with(&faults, server().await);
        let unfinished = CheckpointDir::at(folder.path().join("unfinished"));
        let left = Self { client, folder, unfinished, silent: Vec::new() };
        std::fs::write(left.path(), content(9 << 20)).unwrap();
        let stream = Cursor::new(content(9 << 20));
        for upload in [
            left.client.upload_stream("stream.jsonl", stream, Purpose::Batch),
            left.client.upload_file(left.path(), Purpose::Batch),
        ] {
            faults.clear();
            let broken = ApiError::new(StatusCode::NOT_IMPLEMENTED, "not today");
            faults.on(OperationId::AddUploadPart).nth(4, Fault::Answer(Box::new(broken)));
            let upload = upload.part_size(MIB).parallel(1).retry(RetryPolicy::never());
            assert!(upload.resume_in(left.unfinished.clone()).await.unwrap_err().is_resumable());
        }
        left
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("file.jsonl")
    }

    /// An upload of a stream whose content does not come.
    fn silent(&mut self, name: &str) -> UploadBuilder {
        let (ours, theirs) = tokio::io::duplex(16);
        self.silent.push(ours);
        self.client.upload_stream(name, theirs, Purpose::Batch)
    }

    fn file(&self) -> UploadBuilder {
        self.client.upload_file(self.path(), Purpose::Batch).resume_in(self.unfinished.clone())
    }

    /// The checkpoint of the stream.
    fn saved(&self) -> Checkpoint {
        let mut found = self.unfinished.list().unwrap().into_iter();
        found
            .find_map(|found| found.checkpoint.ok().filter(|saved| saved.filename() == "stream.jsonl"))
            .unwrap()
    }
}

/// Returns whether the upload can be resumed when it is stopped now, which has to be the same when it runs out of time.
async fn is_resumable(mut upload: impl FnMut() -> UploadBuilder) -> bool {
    let stopped = upload().stop_when(ready(())).await.unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Stopped, "{stopped}");
    let timed_out = upload().timeout(Duration::ZERO).await.unwrap_err();
    assert_eq!(timed_out.kind(), ErrorKind::Timeout, "{timed_out}");
    assert_eq!(stopped.is_resumable(), timed_out.is_resumable());
    stopped.is_resumable()
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_read_to_its_end_is_resumable_where_the_same_call_would_resume() {
    let mut left = Left::new().await;
    let (unfinished, saved) = (left.unfinished.clone(), left.saved());
    let empty = CheckpointDir::at(left.folder.path().join("empty"));
    let mut stream = || left.silent("stream.jsonl");
    assert!(is_resumable(|| stream().resume_in(unfinished.clone())).await);
    assert!(is_resumable(|| stream().resume(saved.clone())).await);
    assert!(!is_resumable(|| stream().resume_in(unfinished.clone()).start_over()).await);
    // The directory takes the place of the checkpoint.
    assert!(!is_resumable(|| stream().resume(saved.clone()).resume_in(empty.clone())).await);
    assert!(!is_resumable(|| stream().resume_in(empty.clone())).await);
    assert!(!is_resumable(&mut stream).await);
    assert!(!is_resumable(|| left.silent("other.jsonl").resume_in(unfinished.clone())).await);
    let error = left.silent("stream.jsonl").resume_in(unfinished).timeout(LIMIT).await.unwrap_err();
    assert!(matches!(&error, Error::TimedOut { cause: Some(_), .. }) && error.is_resumable(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_stopped_at_once_is_resumable_while_it_is_the_same() {
    let left = Left::new().await;
    assert!(is_resumable_once(left.file().stop_when(ready(()))).await);
    assert!(!is_resumable_once(left.file().start_over().stop_when(ready(()))).await);
    std::fs::write(left.path(), "other").unwrap();
    assert!(!is_resumable_once(left.file().stop_when(ready(()))).await);
}

async fn is_resumable_once(upload: UploadBuilder) -> bool {
    upload.await.unwrap_err().is_resumable()
}

#[tokio::test(start_paused = true)]
async fn a_cancel_before_the_content_was_read_does_not_claim_that_an_earlier_run_was_cancelled() {
    let mut left = Left::new().await;
    let unfinished = left.unfinished.clone();
    let cancelled = |error: &Error| match error {
        Error::Upload(error) => match **error {
            UploadError::Cancelled { confirmed, file_possible } => (confirmed, file_possible),
            _ => panic!("{error:?}"),
        },
        _ => panic!("{error:?}"),
    };
    let upload = left.silent("stream.jsonl").resume_in(unfinished.clone());
    let error = upload.cancel_when(ready(())).await.unwrap_err();
    assert_eq!((cancelled(&error), error.is_resumable()), ((false, false), true));
    let upload = left.silent("other.jsonl").resume_in(unfinished.clone());
    let error = upload.cancel_when(ready(())).await.unwrap_err();
    assert_eq!((cancelled(&error), error.is_resumable()), ((true, false), false));
    assert_eq!(unfinished.list().unwrap().len(), 2, "what earlier runs left stays");
}

#[tokio::test(start_paused = true)]
async fn signals_and_a_deadline_are_heard_while_a_dropped_run_still_saves() {
    let folder = tempfile::tempdir().unwrap();
    let client = client_with(&Faults::new(), server().await);
    let unfinished = CheckpointDir::at(folder.path());
    let plan = Plan::new("a.txt", mime_type(Path::new("a.txt")), Purpose::Assistants);
    let dropped = unfinished.enter(&UploadSubject::of_name(&plan, &client)).await.unwrap();
    let saving = dropped.store();
    drop(dropped);
    let upload = || client.upload("a.txt", "text", Purpose::Assistants).resume_in(unfinished.clone());
    // Counted from when the upload waits.
    let later = || async { sleep(LIMIT).await };
    for has_checkpoint in [false, true] {
        let began = Instant::now();
        for (upload, kind) in [
            (upload().stop_when(later()), ErrorKind::Stopped),
            (upload().timeout(LIMIT), ErrorKind::Timeout),
            (upload().cancel_when(later()), ErrorKind::Cancelled),
        ] {
            let error = upload.await.unwrap_err();
            assert_eq!((error.kind(), error.is_resumable()), (kind, has_checkpoint), "{error}");
        }
        assert_eq!(began.elapsed().as_secs(), 3 * LIMIT.as_secs());
        saving.save(begun()).await.unwrap();
    }
    assert_eq!(upload().await.unwrap_err().kind(), ErrorKind::InUse, "it does not wait for ever");
    drop(saving);
    upload().await.unwrap();
    assert!(unfinished.list().unwrap().is_empty());
}

/// A checkpoint of an upload that has begun, and of which nothing is stored.
fn begun() -> Checkpoint {
    let json = r#"{"version":3,"place":"http://localhost/v1","dialect":{"provider":"openai"},"source":{"length":4},"filename":"a.txt","mime_type":"text/plain","purpose":"assistants","md5":false,"route":{"parts":{"upload_id":"upload_1","created_at":1,"expires_at":null,"clock_offset":0,"acknowledged":[],"completing":false}}}"#;
    Checkpoint::from_json(json.as_bytes()).unwrap()
}

/// A target that does not say how long it is.
struct Silent;

impl AsyncTarget for Silent {
    async fn length(&self) -> io::Result<u64> {
        pending().await
    }

    async fn set_length(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    async fn write(&self, _: u64, _: Bytes) -> io::Result<()> {
        Ok(())
    }

    async fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_whose_target_does_not_answer_is_resumable_from_the_checkpoint_that_it_was_given() {
    let client = client_with(&Faults::new(), server().await);
    let json = r#"{"version":1,"place":"http://localhost/v1","file_id":"file-1","content":{"length":4,"etag":null,"last_modified":null},"written":[[0,2]]}"#;
    let saved = DownloadCheckpoint::from_json(json.as_bytes()).unwrap();
    let download = || client.download_to("file-1", AnyTarget::from_async(Silent)).resume(saved.clone());
    let stopped = download().stop_when(sleep(LIMIT)).await.unwrap_err();
    assert_eq!((stopped.kind(), stopped.is_resumable()), (ErrorKind::Stopped, true));
    let timed_out = download().timeout(LIMIT).await.unwrap_err();
    assert_eq!((timed_out.kind(), timed_out.is_resumable()), (ErrorKind::Timeout, true));
}
