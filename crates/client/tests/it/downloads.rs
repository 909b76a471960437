//! Downloads: bytes as they come, and never a short file that looks whole.

use futures_util::StreamExt;
use http::StatusCode;
use partwise::{Download, Error};
use partwise_protocol::transport::FailureKind;
use partwise_testkit::{
    errors::line,
    http1::{answer, drain, read_request},
};
use tokio::{io::AsyncWriteExt, sync::mpsc};

use crate::peer::{Peer, is_for_content, options};

/// A peer that gives this answer to a request for content, byte by byte, and then closes. It gives no object of the file.
async fn saying(text: impl Into<String>) -> Peer {
    let text = text.into();
    Peer::start(move |mut stream, _| {
        let text = text.clone();
        async move {
            let (head, _) = read_request(&mut stream).await.unwrap();
            if is_for_content(&head) {
                stream.write_all(text.as_bytes()).await.unwrap();
            } else {
                answer(&mut stream, 404, "", "{}").await;
            }
        }
    })
    .await
}

async fn start(peer: &Peer) -> Result<Download, Error> {
    peer.client(options()).download("file-1").await
}

async fn read_all(mut download: Download) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    while let Some(bytes) = download.chunk().await? {
        all.extend_from_slice(&bytes);
    }
    assert!(download.chunk().await?.is_none(), "the end is the end");
    Ok(all)
}

#[tokio::test]
async fn the_head_comes_first_and_the_bytes_stream() {
    let content = "0123456789".repeat(100_000);
    let head = "Content-Length: 1000000\r\nContent-Disposition: attachment; filename=\"a.jsonl\"\r\n";
    let peer = saying(format!("HTTP/1.1 200 OK\r\n{head}\r\n{content}")).await;
    let download = start(&peer).await.unwrap();
    assert_eq!(download.head().length, Some(1_000_000));
    assert_eq!(download.head().filename.as_deref(), Some("a.jsonl"));
    let pieces: Vec<_> = download.map(|piece| piece.unwrap()).collect().await;
    assert!(pieces.len() > 1, "a million bytes came in one piece");
    assert_eq!(pieces.concat(), content.as_bytes());
}

#[tokio::test]
async fn a_download_without_a_length_ends_with_its_last_chunk() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n";
    assert_eq!(read_all(start(&saying(chunked).await).await.unwrap()).await.unwrap(), b"abcdef");
    let cut = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n";
    let error = read_all(start(&saying(cut).await).await.unwrap()).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Interrupted), "{}", line(&error));
}

#[tokio::test]
async fn a_download_that_is_cut_short_is_an_error() {
    let peer = saying("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n012345").await;
    let error = read_all(start(&peer).await.unwrap()).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Interrupted), "{}", line(&error));
}

#[tokio::test]
async fn an_empty_file_is_a_download_too() {
    let peer = saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(read_all(start(&peer).await.unwrap()).await.unwrap(), b"");
}

#[tokio::test]
async fn a_refusal_is_read_before_any_byte_is_handed_out() {
    let refusal = r#"{"error":{"message":"No such File object: file-1","type":"invalid_request_error"}}"#;
    let peer = Peer::start(move |mut stream, _| async move {
        read_request(&mut stream).await.unwrap();
        answer(&mut stream, 404, "", refusal).await;
    })
    .await;
    let error = start(&peer).await.unwrap_err();
    assert_eq!(error.rejection().unwrap().status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn dropping_a_download_closes_its_connection() {
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let peer = Peer::start(move |mut stream, _| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n012345").await.unwrap();
            drain(&mut stream, &mut 0).await;
            closed.send(()).unwrap();
        }
    })
    .await;
    let client = peer.client(options());
    let mut download = client.download("file-1").await.unwrap();
    download.chunk().await.unwrap().unwrap();
    drop(download);
    was_closed.recv().await.unwrap();
}
