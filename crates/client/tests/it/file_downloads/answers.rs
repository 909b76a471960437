//! Answers that are not the range that was asked for.

use std::fs;

use partwise::CheckpointStore;
use partwise_protocol::download::DownloadCheckpoint;
use partwise_testkit::{content::noise, errors::line};

use crate::{
    peer::{MIB, options},
    range_peer::{ETAG, Folder, Reply, part, peer, plan, whole, within},
};

#[tokio::test]
async fn a_longer_file_that_stood_there_leaves_nothing_behind_the_end() {
    let content = noise(1000);
    let served = content.clone();
    for has_length in [true, false] {
        let served = served.clone();
        let (peer, _) = peer(move |_, _| match has_length {
            true => whole(&served, ""),
            false => Reply {
                head: "HTTP/1.1 200 Whole\r\nConnection: close\r\n\r\n".into(),
                body: served.clone(),
                then_close: true,
            },
        })
        .await;
        let folder = Folder::new();
        fs::write(folder.path(), noise(2000)).unwrap();
        let client = peer.client(options());
        assert_eq!(client.download_to(plan("file-1", 100), folder.target()).await.unwrap(), 1000);
        assert!(folder.bytes() == content, "length told: {has_length}");
    }
}

/// A store for a download that has nothing to be resumed from.
struct NothingToSave;

impl CheckpointStore<DownloadCheckpoint> for NothingToSave {
    type Error = &'static str;

    async fn save(&self, _: DownloadCheckpoint) -> Result<(), &'static str> {
        Err("a checkpoint is saved")
    }

    async fn remove(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

#[tokio::test]
async fn a_service_that_serves_no_ranges_is_asked_once_and_again_from_the_beginning_when_it_breaks_off() {
    let content = noise(2 * MIB);
    let served = content.clone();
    let (peer, asked) = peer(move |number, _| match number {
        0 => whole(&served, ETAG).cut(1_500_000),
        _ => whole(&served, ETAG),
    })
    .await;
    let folder = Folder::new();
    let download =
        peer.client(options()).download_to(plan("file-1", MIB), folder.target()).prepare().await.unwrap();
    download.save_to(NothingToSave).run().await.unwrap();
    assert!(folder.bytes() == content);
    assert_eq!(*asked.lock().unwrap(), [Some(0..MIB as usize), None]);
}

#[tokio::test]
async fn a_part_that_is_not_the_one_that_was_asked_for_is_not_used() {
    let content = noise(300_000);
    for unusable in [
        "Content-Range: bytes 5-100004/300000",
        "Content-Range: bytes 0-99999/*",
        "Content-Range: lines 1-2",
        "X: Y",
    ] {
        let served = content.clone();
        let (peer, asked) = peer(move |_, range| match range {
            Some(_) => Reply {
                head: format!("HTTP/1.1 206 Part\r\nContent-Length: 100000\r\n{unusable}\r\n\r\n"),
                body: vec![0; 100_000],
                then_close: false,
            },
            None => whole(&served, ""),
        })
        .await;
        let folder = Folder::new();
        peer.client(options()).download_to(plan("file-1", 100_000), folder.target()).await.unwrap();
        assert!(folder.bytes() == content, "{unusable}");
        assert_eq!(*asked.lock().unwrap(), [Some(0..100_000), None], "{unusable}");
    }
}

#[tokio::test]
async fn a_file_that_changes_between_two_ranges_is_an_error() {
    let content = noise(4 * MIB);
    let served = content.clone();
    let (tagged, _) = peer(move |number, range| {
        let etag = if number < 2 { ETAG } else { "ETag: \"2\"\r\n" };
        part(&served, within(range, &served), etag)
    })
    .await;
    let served = content.clone();
    let (dated, _) = peer(move |number, range| {
        part(
            &served,
            within(range, &served),
            &format!("Last-Modified: Sun, 06 Nov 1994 08:49:3{number} GMT\r\n"),
        )
    })
    .await;
    let (longer, _) = peer(move |number, range| {
        let length = content.len() - usize::from(number == 0);
        part(&content[..length], within(range, &content[..length]), "")
    })
    .await;
    for (peer, difference) in [
        (tagged, "its ETag is another"),
        (dated, "it was modified"),
        (longer, "it had 4194303 bytes and has 4194304"),
    ] {
        let folder = Folder::new();
        let error =
            peer.client(options()).download_to(plan("file-1", MIB), folder.target()).await.unwrap_err();
        assert_eq!(line(&error), format!("the file changed while it was downloaded: {difference}"));
    }
}

#[tokio::test]
async fn an_empty_file_of_which_no_range_can_be_had_is_a_file() {
    let (peer, asked) = peer(|_, range| match range {
        Some(_) => Reply {
            head: "HTTP/1.1 416 No\r\nContent-Range: bytes */0\r\nContent-Length: 0\r\n\r\n".into(),
            body: Vec::new(),
            then_close: false,
        },
        None => whole(b"", ""),
    })
    .await;
    let folder = Folder::new();
    assert_eq!(peer.client(options()).download_to(plan("file-1", 100), folder.target()).await.unwrap(), 0);
    assert_eq!((folder.bytes().len(), asked.lock().unwrap().len()), (0, 2));
}

#[tokio::test]
async fn a_content_in_a_coding_that_is_not_decoded_is_refused() {
    let (peer, _) = peer(|_, _| whole(b"abc", "Content-Encoding: br\r\n")).await;
    let folder = Folder::new();
    let error = peer.client(options()).download_to(plan("file-1", 100), folder.target()).await.unwrap_err();
    assert!(
        line(&error).ends_with("it was asked for as it is (Accept-Encoding: identity)"),
        "{}",
        line(&error)
    );
}
