use std::time::Duration;

use futures_util::FutureExt as _;
use partwise_models::Purpose;
use partwise_protocol::{Api, Credential, upload::Plan};

use super::*;
use crate::{CheckpointStore as _, Client};

fn client() -> Client {
    let unused = tower::service_fn(|_: http::Request<crate::RequestBody>| async {
        Err::<http::Response<http_body_util::Empty<bytes::Bytes>>, _>(io::Error::other("nothing is sent"))
    });
    Client::builder(Api::openai(), Credential::key("sk-1").unwrap()).transport(unused).build()
}

/// A checkpoint of this source.
fn checkpoint(source: &SourceStamp) -> Checkpoint {
    let source = serde_json::to_string(source).unwrap();
    let json = format!(
        r#"{{"version":3,"place":"https://api.openai.com/v1","dialect":{{"provider":"openai"}},"source":{source},"filename":"train.jsonl","mime_type":"b","purpose":"batch","md5":false,"route":{{"single":{{"posted_at":1}}}}}}"#
    );
    Checkpoint::from_json(json.as_bytes()).unwrap()
}

#[tokio::test]
async fn a_save_that_outlives_its_run_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let directory = CheckpointDir::at(folder.path());
    let subject = UploadSubject::of_name(&Plan::new("a", "b", Purpose::Batch), &client());
    let entry = directory.enter(&subject).await.unwrap();
    let in_use = directory.enter(&subject).await.unwrap_err();
    assert!(matches!(in_use, CheckpointDirError::InUse { .. }), "{in_use}");
    let store = entry.store();
    drop(entry);
    let mut next = Box::pin(directory.enter(&subject));
    assert!(next.as_mut().now_or_never().is_none(), "a checkpoint may still be saved");
    let saved = checkpoint(&SourceStamp::new(4));
    store.save(saved.clone()).await.unwrap();
    drop(store);
    // Its last clone goes with the thread that saved.
    let next = tokio::time::timeout(Duration::from_secs(60), next).await.unwrap().unwrap();
    assert_eq!(next.load().unwrap(), Some(saved));
}

#[tokio::test]
async fn a_checkpoint_that_an_earlier_release_knew_by_the_name_alone_is_found_by_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let directory = CheckpointDir::at(folder.path().join("unfinished"));
    let plan = Plan::new("train.jsonl", "b", Purpose::Batch);
    let [a, b] = ["a.jsonl", "b.jsonl"].map(|name| {
        let path = folder.path().join(name);
        fs::write(&path, name.repeat(2 + usize::from(name == "b.jsonl"))).unwrap();
        UploadSubject::of_file(&path, &plan, &client()).unwrap()
    });
    let saved = checkpoint(&SourceStamp::of(&fs::metadata(a.file()).unwrap()));
    let earlier = a.earlier_key().unwrap();
    fs::create_dir(directory.path()).unwrap();
    fs::write(directory.path_of(&earlier, "upload"), r#"{"file":"train.jsonl"}"#).unwrap();
    fs::write(directory.path_of(&earlier, "checkpoint"), saved.to_json()).unwrap();
    assert_eq!(directory.enter(&b).await.unwrap().load().unwrap(), None, "it is of another file");
    for _ in 0..2 {
        assert_eq!(directory.enter(&a).await.unwrap().load().unwrap().as_ref(), Some(&saved));
    }
    let found = directory.list().unwrap();
    assert_eq!((found.len(), found[0].file.as_deref()), (1, a.file().to_str()));
    assert!(!directory.path_of(&earlier, "upload").exists());
}

#[tokio::test]
async fn what_a_crash_left_half_written_is_removed_by_the_next_run_and_by_none_beside_one() {
    let folder = tempfile::tempdir().unwrap();
    let directory = CheckpointDir::at(folder.path());
    let subject = UploadSubject::of_name(&Plan::new("a", "b", Purpose::Batch), &client());
    let key = subject.key();
    let left = ["checkpoint.new", "checkpoint.abcDEF012345.new"].map(|name| directory.path_of(&key, name));
    let of_another = folder.path().join("0123.checkpoint.abcDEF012345.new");
    let saved = checkpoint(&SourceStamp::new(4));
    let running = directory.enter(&subject).await.unwrap();
    running.store().save(saved.clone()).await.unwrap();
    left.iter().chain([&of_another]).for_each(|path| fs::write(path, "{").unwrap());
    directory.enter(&subject).await.unwrap_err();
    assert!(left.iter().all(|path| path.exists()), "the one that runs may be writing it");
    drop(running);
    let next = directory.enter(&subject).await.unwrap();
    assert!(!left.iter().any(|path| path.exists()));
    assert!(of_another.exists());
    assert_eq!(next.load().unwrap(), Some(saved));
}
