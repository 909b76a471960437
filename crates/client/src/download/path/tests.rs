//! Downloads to a path on which a dropped run is still at work.

use std::fs;

use futures_util::FutureExt as _;
use partwise_protocol::Credential;
use tokio::time::{Instant, sleep};

use super::*;
use crate::{Api, CheckpointStore as _, ErrorKind};

/// A client that sends nothing.
fn client() -> Client {
    let unused = tower::service_fn(|_: http::Request<crate::RequestBody>| async {
        Err::<http::Response<http_body_util::Empty<bytes::Bytes>>, _>(io::Error::other("nothing is sent"))
    });
    Client::builder(Api::openai(), Credential::key("sk-1").unwrap()).transport(unused).build()
}

/// A checkpoint of a download of which bytes are there.
fn checkpoint() -> DownloadCheckpoint {
    let json = r#"{"version":1,"place":"https://api.openai.com/v1","file_id":"file-1","content":{"length":4,"etag":null,"last_modified":null},"written":[[0,2]]}"#;
    DownloadCheckpoint::from_json(json.as_bytes()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stop_and_a_deadline_are_heard_while_a_dropped_run_still_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let dropped = Partial::enter(&Place::at(&path, false).unwrap()).await.unwrap();
    let (target, kept) = dropped.resume().unwrap();
    drop(dropped);
    let client = client();
    let download = || client.download_file("file-1", &path);
    let soon = Duration::from_secs(1);
    for has_checkpoint in [false, true] {
        let began = Instant::now();
        let stopped = download().stop_when(sleep(soon)).await.unwrap_err();
        assert_eq!((stopped.kind(), stopped.is_resumable()), (ErrorKind::Stopped, has_checkpoint));
        let timed_out = download().timeout(soon).await.unwrap_err();
        assert_eq!((timed_out.kind(), timed_out.is_resumable()), (ErrorKind::Timeout, has_checkpoint));
        assert!(!download().start_over().timeout(soon).await.unwrap_err().is_resumable());
        let of_another = client.download_file("file-2", &path).timeout(soon);
        assert!(!of_another.await.unwrap_err().is_resumable(), "it would start over");
        assert_eq!(began.elapsed().as_secs(), 4);
        kept.save(checkpoint()).await.unwrap();
    }
    let mut waiting = Box::pin(download().prepare());
    assert!(waiting.as_mut().now_or_never().is_none(), "what a dropped run writes is waited for");
    drop((target, kept));
    let next = waiting.await.unwrap();
    assert_eq!(next.last_checkpoint().unwrap(), Some(checkpoint()));
    next.discard();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
