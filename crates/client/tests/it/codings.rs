//! Answers that come coded although they were asked for as they are.

use std::io::Write as _;

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use http::StatusCode;
use partwise::{Client, Error};
use partwise_protocol::{operations::RetrieveFile, transport::FailureKind};
use partwise_testkit::{
    errors::line,
    http1::{answer, read_request},
};
use tokio::{io::AsyncWriteExt, sync::mpsc};

use crate::{
    peer::{A_FILE, Peer, options},
    range_peer::{Folder, plan},
};

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// A peer, what it was asked, and a client of it.
struct Coded {
    client: Client,
    asked: mpsc::UnboundedReceiver<String>,
    _peer: Peer,
}

/// A peer that answers everything with this body, whose coding these headers tell, in chunks.
async fn answering(status: u16, headers: &str, body: Vec<u8>) -> Coded {
    answering_but(status, headers, body, None).await
}

/// The same, but for requests for an object, which get this one as it is.
async fn answering_but(status: u16, headers: &str, body: Vec<u8>, object: Option<String>) -> Coded {
    let head = format!("HTTP/1.1 {status} Told\r\n{headers}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let (was_asked, asked) = mpsc::unbounded_channel();
    let peer = Peer::start(move |mut stream, _| {
        let (head, body, object) = (head.clone(), body.clone(), object.clone());
        let was_asked = was_asked.clone();
        async move {
            while let Some((request, _)) = read_request(&mut stream).await {
                was_asked.send(request.to_ascii_lowercase()).unwrap();
                if let Some(object) = object.as_deref().filter(|_| !request.contains("/content ")) {
                    answer(&mut stream, 200, "", object).await;
                    continue;
                }
                stream.write_all(head.as_bytes()).await.unwrap();
                for piece in body.chunks(10_000) {
                    stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await.unwrap();
                    stream.write_all(&[piece, b"\r\n"].concat()).await.unwrap();
                }
                stream.write_all(b"0\r\n\r\n").await.unwrap();
            }
        }
    })
    .await;
    Coded { client: peer.client(options()), asked, _peer: peer }
}

async fn retrieve(coded: &Coded) -> Result<String, Error> {
    coded.client.call(&RetrieveFile::new("file-1")).await.map(|file| file.id)
}

#[tokio::test]
async fn every_request_asks_for_its_answer_as_it_is_and_a_coded_one_is_read_all_the_same() {
    let text = A_FILE.as_bytes();
    for (coding, body) in [
        ("gzip", gzip(text)),
        ("x-gzip", gzip(text)),
        ("identity, GZIP", gzip(text)),
        ("deflate", zlib(text)),
        ("deflate", raw_deflate(text)),
    ] {
        let mut coded = answering(200, &format!("Content-Encoding: {coding}"), body).await;
        assert_eq!(retrieve(&coded).await.unwrap(), "file-1", "{coding}");
        let head = coded.asked.recv().await.unwrap();
        assert!(head.contains("\r\naccept-encoding: identity\r\n"), "{head}");
    }
}

#[tokio::test]
async fn a_coded_rejection_says_what_the_service_said() {
    let body = gzip(br#"{"error":{"message":"wrong key","code":"invalid_api_key"}}"#);
    let coded = answering(401, "Content-Encoding: gzip", body).await;
    let error = retrieve(&coded).await.unwrap_err();
    assert_eq!(line(&error), "the service refused: 401 Unauthorized: wrong key (code invalid_api_key)");
}

#[tokio::test]
async fn a_decoded_answer_is_kept_within_the_limit_of_its_operation() {
    let coded = answering(200, "Content-Encoding: gzip", gzip(&vec![b' '; 32 << 20])).await;
    let error = retrieve(&coded).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::AnswerTooLong), "{}", line(&error));
    let page = [&b"<title>Down</title>"[..], &vec![b' '; 32 << 20]].concat();
    let coded = answering(502, "Content-Encoding: gzip", gzip(&page)).await;
    let error = retrieve(&coded).await.unwrap_err();
    assert_eq!(error.rejection().unwrap().status, StatusCode::BAD_GATEWAY);
    assert!(line(&error).ends_with("502 Bad Gateway: a page with the title “Down”"), "{}", line(&error));
}

#[tokio::test]
async fn an_answer_that_is_not_decoded_here_is_told_with_its_header() {
    let mut cut = gzip(A_FILE.as_bytes());
    cut.truncate(cut.len() - 4);
    for (coding, body) in [("br", b"\x0b\x02\x80".to_vec()), ("gzip, gzip", gzip(b"{}")), ("gzip", cut)] {
        let coded = answering(200, &format!("Content-Encoding: {coding}"), body.clone()).await;
        let told = format!(
            "the answer with status 200 is not what this API answers: \"Content-Encoding: {coding}\": the answer \
             came coded, although it was asked for as it is (Accept-Encoding: identity)"
        );
        assert_eq!(line(&retrieve(&coded).await.unwrap_err()), told);
    }
}

/// Content that is worth compressing and not the same everywhere.
fn content() -> Vec<u8> {
    (0..40_000_u32).flat_map(|at| format!("{{\"line\":{at}}}\n").into_bytes()).collect()
}

async fn download(client: &Client) -> Result<Vec<u8>, Error> {
    let mut download = client.download("file-1").await?;
    assert_eq!(download.head().length, None, "the length would be that of the coded bytes");
    let mut all = Vec::new();
    while let Some(bytes) = download.chunk().await? {
        all.extend_from_slice(&bytes);
    }
    assert!(download.chunk().await?.is_none());
    Ok(all)
}

#[tokio::test]
async fn a_coded_download_is_decoded_while_it_comes() {
    let content = content();
    for (coding, body) in
        [("gzip", gzip(&content)), ("deflate", zlib(&content)), ("deflate", raw_deflate(&content))]
    {
        let headers = format!("Content-Encoding: {coding}");
        let object = format!(r#"{{"id":"file-1","bytes":{}}}"#, content.len());
        let coded = answering_but(200, &headers, body, Some(object)).await;
        assert!(download(&coded.client).await.unwrap() == content, "{coding}");
        let folder = Folder::new();
        coded.client.download_to(plan("file-1", 100_000), folder.target()).await.unwrap();
        assert!(folder.bytes() == content, "{coding}");
    }
    let object = r#"{"id":"file-1","bytes":0}"#.to_owned();
    let coded = answering_but(200, "Content-Encoding: gzip", Vec::new(), Some(object)).await;
    assert_eq!(download(&coded.client).await.unwrap(), b"", "an empty file");
}

#[tokio::test]
async fn a_coded_download_that_ends_early_is_no_short_file() {
    let mut body = gzip(&content());
    body.truncate(body.len() - 1);
    let coded = answering(200, "Content-Encoding: gzip", body).await;
    let error = download(&coded.client).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Other));
    let told = "the request failed: the content came coded (Content-Encoding: gzip), and cannot be decoded: ";
    assert!(line(&error).starts_with(told), "{}", line(&error));
}

#[tokio::test]
async fn a_part_of_a_coded_content_is_refused() {
    let headers = "Content-Encoding: gzip\r\nContent-Range: bytes 0-9/100";
    let coded = answering(206, headers, gzip(b"0123456789")[..10].to_vec()).await;
    let error = coded.client.download("file-1").await.unwrap_err();
    assert!(matches!(error, Error::Garbled(_)), "{}", line(&error));
}
