//! What another run of an upload or download finds of the one before: against the server, in process.

use std::path::Path;

use http::StatusCode;
use partwise::{
    CheckpointDir, Error, Purpose,
    protocol::{error::ApiError, operations::OperationId, retry::RetryPolicy},
};
use partwise_server::testing::{Fault, Faults};

use crate::everyday::{client_with, content, server};

const MIB: u64 = 1 << 20;

/// A rejection that is final.
fn broken() -> Fault {
    Fault::Answer(Box::new(ApiError::new(StatusCode::NOT_IMPLEMENTED, "not today")))
}

#[tokio::test]
async fn two_files_that_are_sent_under_one_name_are_two_uploads() {
    let (faults, folder) = (Faults::new(), tempfile::tempdir().unwrap());
    let client = client_with(&faults, server().await);
    let unfinished = CheckpointDir::at(folder.path().join("unfinished"));
    let paths = ["a.jsonl", "b.jsonl"].map(|name| folder.path().canonicalize().unwrap().join(name));
    std::fs::write(&paths[0], content(5 << 20)).unwrap();
    std::fs::write(&paths[1], content(6 << 20)).unwrap();
    let upload = |path: &Path| {
        let upload = client.upload_file(path, Purpose::Batch).name("train.jsonl").part_size(MIB).parallel(1);
        upload.retry(RetryPolicy::never()).resume_in(unfinished.clone())
    };
    for path in &paths {
        faults.clear();
        faults.on(OperationId::AddUploadPart).nth(4, broken());
        upload(path).await.unwrap_err();
    }
    let found = unfinished.list().unwrap();
    let listed: Vec<_> = found.iter().filter_map(|found| found.file.as_deref()).collect();
    assert_eq!(listed, paths.each_ref().map(|path| path.to_str().unwrap()));

    let side_by_side =
        (upload(&paths[0]).prepare().await.unwrap(), upload(&paths[1]).prepare().await.unwrap());
    let error = upload(&paths[1]).prepare().await.unwrap_err();
    assert!(error.to_string().contains(paths[1].to_str().unwrap()), "{error}");
    let sent = faults.executed();
    let made = [side_by_side.0.run().await.unwrap(), side_by_side.1.run().await.unwrap()];
    // Two parts and three, and what completes them.
    assert_eq!(faults.executed() - sent, 2 + 3 + 2);
    assert_eq!(made.map(|file| file.bytes), [Some(5 * MIB), Some(6 * MIB)]);
}

#[tokio::test]
async fn a_path_that_names_no_file_is_rejected_before_anything_is_sent() {
    let (faults, folder) = (Faults::new(), tempfile::tempdir().unwrap());
    let client = client_with(&faults, server().await);
    let id = client.upload("a.txt", "text", Purpose::Assistants).await.unwrap().id;
    let sent = faults.executed();
    let beside = folder.path().join("directory").display().to_string();
    for path in [String::new(), "..".into(), format!("{beside}/"), format!("{beside}/.")] {
        for replaces in [false, true] {
            let download = client.download_file(&id, &path);
            let download = if replaces { download.replace() } else { download };
            let error = download.await.unwrap_err();
            assert!(matches!(error, Error::DownloadPath(_)) && !error.is_resumable(), "{error}");
            assert!(error.to_string().contains(&path), "{error}");
        }
    }
    assert_eq!(faults.executed(), sent);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
