//! What another run of an upload or download finds of the one before: against the server, in process.

use std::{io::Cursor, path::Path, time::Duration};

use futures_util::TryStreamExt as _;
use http::StatusCode;
use partwise::{
    CheckpointDir, CheckpointFile, Client, Error, ErrorKind, File, FileTarget, Purpose, UploadBuilder,
    protocol::{error::ApiError, operations::OperationId, retry::RetryPolicy},
};
use partwise_server::testing::{Fault, Faults};

use crate::everyday::{client_with, content, server};

const LIMIT: Duration = Duration::from_secs(30);
const MIB: u64 = 1 << 20;

/// A rejection that is final.
fn broken() -> Fault {
    Fault::Answer(Box::new(ApiError::new(StatusCode::NOT_IMPLEMENTED, "not today")))
}

/// The two contents that have no path: bytes, and a stream of unknown length.
fn without_a_path(client: &Client, content: &[u8], is_stream: bool) -> UploadBuilder {
    let upload = match is_stream {
        true => client.upload_stream("e.jsonl", Cursor::new(content.to_vec()), Purpose::Batch),
        false => client.upload("e.jsonl", content.to_vec(), Purpose::Batch),
    };
    upload.part_size(MIB).parallel(1)
}

async fn files(client: &Client) -> Vec<File> {
    client.files().stream().try_collect().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_ambiguous_request_for_content_without_a_path_makes_one_file() {
    for is_stream in [false, true] {
        for (operation, length) in [(OperationId::CreateFile, 5), (OperationId::CompleteUpload, 9 << 20)] {
            let (faults, folder) = (Faults::new(), tempfile::tempdir().unwrap());
            let client = client_with(&faults, server().await);
            let upload = || {
                let upload = without_a_path(&client, &content(length), is_stream);
                upload.resume_in(CheckpointDir::at(folder.path())).timeout(LIMIT)
            };
            faults.on(operation).nth(1, Fault::StallAnswer);
            let error = upload().await.unwrap_err();
            assert!(error.kind() == ErrorKind::Timeout && error.is_resumable(), "{error}");
            let file = upload().await.unwrap();
            let all = files(&client).await;
            assert_eq!((all.len(), &all[0].id), (1, &file.id), "{operation:?}, a stream: {is_stream}");
            assert!(CheckpointDir::at(folder.path()).list().unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn content_without_a_path_resumes_when_it_is_the_same_and_starts_over_when_it_is_not() {
    for is_stream in [false, true] {
        let (faults, folder) = (Faults::new(), tempfile::tempdir().unwrap());
        let client = client_with(&faults, server().await);
        let upload = |content: &[u8]| {
            let upload = without_a_path(&client, content, is_stream).retry(RetryPolicy::never());
            upload.resume_in(CheckpointDir::at(folder.path()))
        };
        let (same, mut other) = (content(9 << 20).to_vec(), content(9 << 20).to_vec());
        other[8 << 20] ^= 1;
        for (second, requests) in [(&same, 7), (&other, 11)] {
            faults.clear();
            faults.on(OperationId::AddUploadPart).nth(4, broken());
            let error = upload(&same).await.unwrap_err();
            assert!(error.is_resumable(), "{error}");
            let sent = faults.executed();
            let file = upload(second).await.unwrap();
            assert_eq!(faults.executed() - sent, requests);
            assert!(client.download(&file.id).bytes(9 << 20).await.unwrap() == *second);
        }
    }
}

#[tokio::test]
async fn a_stream_resumes_from_a_checkpoint_of_its_caller() {
    let (faults, folder) = (Faults::new(), tempfile::tempdir().unwrap());
    let client = client_with(&faults, server().await);
    let kept = CheckpointFile::at(folder.path().join("kept"));
    let upload = || {
        let upload = without_a_path(&client, &content(9 << 20), true).retry(RetryPolicy::never());
        upload.save_to(kept.clone())
    };
    faults.on(OperationId::AddUploadPart).nth(4, broken());
    assert!(upload().await.unwrap_err().is_resumable());
    let sent = faults.executed();
    let file = upload().resume(kept.load().unwrap().unwrap()).await.unwrap();
    assert_eq!(faults.executed() - sent, 7);
    assert!(client.download(&file.id).bytes(9 << 20).await.unwrap() == content(9 << 20));
}

#[tokio::test(start_paused = true)]
async fn other_content_does_not_start_over_behind_an_ambiguous_request() {
    let (faults, folder) = (Faults::new(), tempfile::tempdir().unwrap());
    let client = client_with(&faults, server().await);
    let path = folder.path().join("e.jsonl");
    let of_path = |content: &str| {
        std::fs::write(&path, content).unwrap();
        client.upload_file(&path, Purpose::Batch)
    };
    let of_bytes = |content: &str| client.upload("e.jsonl", content.to_owned(), Purpose::Batch);
    let uploads = [&of_path as &dyn Fn(&str) -> UploadBuilder, &of_bytes];
    for (upload, difference) in uploads.into_iter().zip(["it was modified", "its content differs"]) {
        let unfinished = CheckpointDir::at(folder.path().join("unfinished"));
        let upload = |content: &str| upload(content).resume_in(unfinished.clone()).timeout(LIMIT);
        faults.clear();
        faults.on(OperationId::CreateFile).nth(1, Fault::StallAnswer);
        upload("hello").await.unwrap_err();
        let (before, sent) = (files(&client).await.len(), faults.executed());
        let error = upload("other").await.unwrap_err();
        assert_eq!((error.kind(), error.is_resumable()), (ErrorKind::CompletionUnknown, false), "{error}");
        assert!(
            matches!(&error, Error::AmbiguousCheckpoint { difference: told } if told == difference),
            "{error}"
        );
        assert_eq!(faults.executed(), sent, "nothing is sent");
        assert_eq!(unfinished.list().unwrap().len(), 1, "the checkpoint stays");
        upload("other").start_over().await.unwrap();
        assert_eq!(files(&client).await.len(), before + 1);
    }
}

/// Rewrites the only checkpoint in a directory as earlier releases wrote it of content without a path: they knew bytes by their length
/// alone, and a stream by the times and the inode of its temporary file.
fn rewrite_as_earlier_releases(directory: &Path, is_stream: bool) {
    let mut paths = std::fs::read_dir(directory).unwrap().map(|found| found.unwrap().path());
    let path = paths.find(|path| path.extension().is_some_and(|is| is == "checkpoint")).unwrap();
    let mut saved: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let length = saved["source"]["length"].clone();
    saved["version"] = 2.into();
    saved["source"] = match is_stream {
        true => serde_json::json!({"length": length, "modified": "1.0", "changed": "1.0", "identity": "12"}),
        false => serde_json::json!({"length": length}),
    };
    std::fs::write(path, saved.to_string()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_ambiguous_checkpoint_that_recorded_too_little_of_its_source_is_not_told_as_a_change() {
    for (is_stream, how) in
        [(false, "only its length was recorded"), (true, "it was recorded in another way")]
    {
        let (faults, folder) = (Faults::new(), tempfile::tempdir().unwrap());
        let client = client_with(&faults, server().await);
        let upload = || {
            let upload = without_a_path(&client, b"hello", is_stream).timeout(LIMIT);
            upload.resume_in(CheckpointDir::at(folder.path()))
        };
        faults.on(OperationId::CreateFile).nth(1, Fault::StallAnswer);
        upload().await.unwrap_err();
        rewrite_as_earlier_releases(folder.path(), is_stream);
        let sent = faults.executed();
        let error = upload().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "an earlier run may have made a file, and its checkpoint does not match the source: {how}, so it cannot be told whether its content is the same; look in the list of files, then start over"
            )
        );
        assert_eq!(faults.executed(), sent, "nothing is sent");
        upload().start_over().await.unwrap();
    }
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
async fn nothing_is_resumable_that_was_not_kept() {
    let (faults, folder) = (Faults::new(), tempfile::tempdir().unwrap());
    let client = client_with(&faults, server().await).to_builder().retry(RetryPolicy::never()).build();
    let upload = || client.upload("a.jsonl", content(5 << 20), Purpose::Batch).part_size(MIB).parallel(1);
    faults.on(OperationId::AddUploadPart).nth(4, broken());
    assert!(!upload().await.unwrap_err().is_resumable());
    faults.clear();
    faults.on(OperationId::AddUploadPart).nth(4, broken());
    assert!(
        upload().save_to(CheckpointFile::at(folder.path().join("kept"))).await.unwrap_err().is_resumable()
    );
    faults.clear();
    faults.on(OperationId::CreateUpload).nth(1, broken());
    let kept = CheckpointFile::at(folder.path().join("nothing"));
    assert!(!upload().save_to(kept).await.unwrap_err().is_resumable(), "no checkpoint came about");

    faults.clear();
    let id = upload().await.unwrap().id;
    let fail = || {
        faults.clear();
        faults.on(OperationId::DownloadFile).nth(2, broken());
    };
    fail();
    let target = FileTarget::of(tempfile::tempfile().unwrap());
    let to_target = client.download_to(&id, target).range_size(MIB).parallel(1).await.unwrap_err();
    assert!(!to_target.is_resumable(), "{to_target}");
    fail();
    let download = client.download_file(&id, folder.path().join("a.jsonl")).range_size(MIB).parallel(1);
    assert!(download.await.unwrap_err().is_resumable());
    let nowhere = client.download_file(&id, folder.path().join("none/a.jsonl")).await.unwrap_err();
    assert!(!nowhere.is_resumable(), "{nowhere}");
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
