//! What stays beside the path of a download that does not succeed: against the server, in process.

use std::{fs, path::Path, time::Duration};

use http::StatusCode;
use partwise::{
    DownloadPathError, Error, ErrorKind, Purpose,
    protocol::{error::ApiError, operations::OperationId},
};
use partwise_server::testing::{Fault, Faults};

use crate::everyday::{client_with, content, server};

const LIMIT: Duration = Duration::from_secs(5);

fn names(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn a_download_that_cannot_have_its_name_stays_beside_its_path() {
    let client = client_with(&Faults::new(), server().await);
    let id = client.upload("a.txt", "text", Purpose::Assistants).await.unwrap().id;
    for replaces in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let download = || {
            let download = client.download_file(&id, &path);
            if replaces { download.replace() } else { download }
        };
        let mut ready = download().prepare().await.unwrap();
        assert_eq!(ready.run().await.unwrap(), 4);
        let partial = ready.partial_path().to_owned();
        // What has come to be there meanwhile. No file takes the place of a directory.
        if replaces {
            fs::create_dir(&path).unwrap();
        } else {
            fs::write(&path, "mine").unwrap();
        }
        let error = Error::from(ready.complete().unwrap_err());
        assert!(
            matches!(&error, Error::DownloadPath(DownloadPathError::CannotRename { path: named, .. }) if *named == path),
            "{error:?}"
        );
        assert_eq!((error.kind(), error.is_resumable()), (ErrorKind::Storage, false));
        assert_eq!(fs::read(&partial).unwrap(), b"text");
        if replaces {
            fs::remove_dir(&path).unwrap();
        } else {
            assert_eq!(fs::read(&path).unwrap(), b"mine");
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(download().await.unwrap(), 4);
        assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (b"text".to_vec(), 1));
    }
}

#[tokio::test]
async fn a_file_that_comes_to_be_there_while_it_is_downloaded_stays() {
    let (faults, folder) = (Faults::new(), tempfile::tempdir().unwrap());
    let client = client_with(&faults, server().await);
    let id = client.upload("a.txt", "text", Purpose::Assistants).await.unwrap().id;
    let path = folder.path().join("a.txt");
    let taken = path.clone();
    let take = move |_: &http::request::Parts| {
        fs::write(&taken, "mine").unwrap();
        false
    };
    faults.on(OperationId::DownloadFile).when(take).every(Fault::Drop);
    let error = client.download_file(&id, &path).await.unwrap_err();
    assert!(matches!(error, Error::DownloadPath(DownloadPathError::CannotRename { .. })), "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[tokio::test(start_paused = true)]
async fn a_download_whose_bytes_were_discarded_is_not_resumable_however_it_ended() {
    let (faults, folder) = (Faults::new(), tempfile::tempdir().unwrap());
    let client = client_with(&faults, server().await);
    let id = client.upload("a.bin", content(9 << 20), Purpose::UserData).await.unwrap().id;
    let path = folder.path().join("a.bin");
    let download = || client.download_file(&id, &path).parallel(1).timeout(LIMIT);
    let broken = ApiError::new(StatusCode::NOT_IMPLEMENTED, "not today");
    for (end, kind) in
        [(Fault::Stall, ErrorKind::Timeout), (Fault::Answer(Box::new(broken)), ErrorKind::Unavailable)]
    {
        faults.clear();
        faults.on(OperationId::DownloadFile).nth(2, Fault::Stall);
        let error = download().await.unwrap_err();
        assert!(error.is_resumable() && names(folder.path()) == 2, "{error}");
        // In one answer nothing of it can be resumed.
        faults.clear();
        faults.on(OperationId::DownloadFile).every(end);
        let error = download().without_ranges().await.unwrap_err();
        assert_eq!((error.kind(), error.is_resumable()), (kind, false), "{error}");
        assert_eq!(names(folder.path()), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_left_stays_when_starting_over_comes_to_nothing() {
    let (faults, folder) = (Faults::new(), tempfile::tempdir().unwrap());
    let client = client_with(&faults, server().await);
    let id = client.upload("a.bin", content(9 << 20), Purpose::UserData).await.unwrap().id;
    let path = folder.path().join("a.bin");
    let download = || client.download_file(&id, &path).parallel(1).timeout(LIMIT);
    faults.on(OperationId::DownloadFile).nth(2, Fault::Stall);
    assert!(download().await.unwrap_err().is_resumable());
    faults.clear();
    faults.on(OperationId::DownloadFile).every(Fault::Stall);
    let error = download().start_over().await.unwrap_err();
    assert!(!error.is_resumable(), "the same download starts over again");
    assert!(download().await.unwrap_err().is_resumable());
    faults.clear();
    assert_eq!(download().await.unwrap(), 9 << 20);
    assert!(fs::read(&path).unwrap() == content(9 << 20));
}
