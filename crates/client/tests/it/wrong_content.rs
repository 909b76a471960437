//! Downloads that bring something else than the file, over real sockets: to a target and as a stream.

use std::sync::{Arc, Mutex};

use partwise::{Client, Download, Error};
use partwise_protocol::{
    download::{DownloadError, DownloadWarning},
    operations::{ByteRange, DownloadFile},
};
use partwise_testkit::{
    errors::line,
    http1::{answer, read_request},
};
use tokio::io::AsyncWriteExt;

use crate::{
    peer::{Peer, is_for_content, options},
    range_peer::{Folder, plan},
};

const PAGE: &str = "<html><title>Sign in to the guest network</title></html>";

/// A service with one file: what it answers to a request for the content, as it goes over the wire, and the file's object.
struct Service {
    content: Vec<u8>,
    object: (u16, &'static str),
}

impl Service {
    fn of_length(content: Vec<u8>) -> Self {
        Self { content, object: (200, r#"{"id": "file-1", "filename": "a.jsonl", "bytes": 51200}"#) }
    }

    /// Starts it; the paths are those that it was asked for.
    async fn start(self) -> (Peer, Arc<Mutex<Vec<String>>>) {
        let paths = Arc::<Mutex<Vec<String>>>::default();
        let (service, log) = (Arc::new(self), paths.clone());
        let peer = Peer::start(move |mut stream, _| {
            let (service, log) = (service.clone(), log.clone());
            async move {
                while let Some((head, _)) = read_request(&mut stream).await {
                    log.lock().unwrap().push(head.split(' ').nth(1).unwrap().to_owned());
                    if is_for_content(&head) {
                        // Closed behind it, which ends an answer without a length.
                        return stream.write_all(&service.content).await.unwrap();
                    }
                    answer(&mut stream, service.object.0, "", service.object.1).await;
                }
            }
        })
        .await;
        (peer, paths)
    }
}

fn whole(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{head}\r\n\r\n{body}").into_bytes()
}

fn with_length(content_type: &str, body: &str) -> Vec<u8> {
    whole(&format!("Content-Type: {content_type}\r\nContent-Length: {}", body.len()), body)
}

fn chunked(body: &str) -> Vec<u8> {
    whole("Transfer-Encoding: chunked", &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))
}

fn closed(body: &str) -> Vec<u8> {
    whole("X: y", body)
}

async fn to_target(client: &Client) -> (Result<u64, Error>, Option<DownloadWarning>) {
    let folder = Folder::new();
    let download = client.download_to(plan("file-1", 1000), folder.target()).prepare().await.unwrap();
    let progress = download.progress();
    let ran = download.run().await;
    let warning = progress.borrow().warning;
    (ran, warning)
}

async fn begin(client: &Client) -> Result<Download, Error> {
    client.download("file-1").await
}

/// The bytes that were handed out, and how they ended.
async fn drained(download: &mut Download) -> (usize, Result<(), Error>) {
    let mut received = 0;
    loop {
        match download.chunk().await {
            Ok(Some(bytes)) => received += bytes.len(),
            Ok(None) => return (received, Ok(())),
            Err(error) => return (received, Err(error)),
        }
    }
}

/// That both ways end with this error; and how many bytes the stream handed out before.
async fn both_fail(service: Service, said: &str) -> usize {
    let (peer, _) = service.start().await;
    let client = peer.client(options());
    let error = to_target(&client).await.0.unwrap_err();
    assert!(matches!(&error, Error::Download(error) if matches!(**error, DownloadError::WrongContent(_))));
    assert_eq!(line(&error), said);
    let mut download = begin(&client).await.unwrap();
    let (received, ended) = drained(&mut download).await;
    assert_eq!(line(&ended.unwrap_err()), said);
    assert!(download.chunk().await.unwrap().is_none(), "after an error there is nothing more");
    received
}

#[tokio::test]
async fn an_answer_without_a_length_that_is_not_the_whole_file_is_an_error() {
    let short = "x".repeat(1000);
    for content in [chunked(&short), closed(&short)] {
        let said = "1000 bytes came, and the file has 51200";
        assert_eq!(both_fail(Service::of_length(content), said).await, 1000);
    }
    let said = "0 bytes came, and the file has 51200";
    both_fail(Service::of_length(with_length("application/octet-stream", "")), said).await;
}

#[tokio::test]
async fn an_answer_without_a_length_that_is_the_whole_file_is_one() {
    let all = "x".repeat(51_200);
    for content in [chunked(&all), closed(&all)] {
        let (peer, paths) = Service::of_length(content).start().await;
        let client = peer.client(options());
        let (ran, warning) = to_target(&client).await;
        assert_eq!((ran.unwrap(), warning), (51_200, None));
        let mut download = begin(&client).await.unwrap();
        let (received, ended) = drained(&mut download).await;
        ended.unwrap();
        assert_eq!((received, download.warning()), (51_200, None));
        let looks = paths.lock().unwrap().iter().filter(|path| *path == "/v1/files/file-1").count();
        assert_eq!(looks, 2, "one for each download");
    }
}

#[tokio::test]
async fn that_a_length_could_be_compared_with_nothing_is_told() {
    for object in [(200, r#"{"id": "file-1", "bytes": null}"#), (404, "{}")] {
        let (peer, _) = Service { content: chunked("abc"), object }.start().await;
        let client = peer.client(options());
        let (ran, warning) = to_target(&client).await;
        assert_eq!((ran.unwrap(), warning), (3, Some(DownloadWarning::LengthUnknown)));
        let mut download = begin(&client).await.unwrap();
        drained(&mut download).await.1.unwrap();
        assert_eq!(download.warning(), Some(DownloadWarning::LengthUnknown));
    }
}

#[tokio::test]
async fn a_page_or_an_error_object_is_an_error_and_is_not_handed_out() {
    let error = r#"{"error": {"message": "The file is not ready", "type": "server_error"}}"#;
    let page = "the service answered with a page with the title “Sign in to the guest network”: 56 bytes, and the file has 51200";
    let object = "the service answered with an error object (“The file is not ready”): 71 bytes, and the file has 51200";
    for (content_type, body, said) in [
        ("text/html; charset=utf-8", PAGE, page),
        ("application/octet-stream", PAGE, page),
        ("application/json", error, object),
        ("application/octet-stream", error, object),
    ] {
        assert_eq!(both_fail(Service::of_length(with_length(content_type, body)), said).await, 0);
    }
}

#[tokio::test]
async fn a_page_or_an_error_object_without_a_length_is_not_handed_out() {
    let error = r#"{"error": {"message": "The file is not ready", "type": "server_error"}}"#;
    let page = "the service answered with a page with the title “Sign in to the guest network”: 56 bytes, and the file has 51200";
    let object = "the service answered with an error object (“The file is not ready”): 71 bytes, and the file has 51200";
    // The first byte alone tells nothing.
    let in_two = format!("1\r\n<\r\n{:x}\r\n{}\r\n0\r\n\r\n", PAGE.len() - 1, &PAGE[1..]);
    for (content, said) in [
        (chunked(PAGE), page),
        (closed(PAGE), page),
        (whole("Transfer-Encoding: chunked", &in_two), page),
        (chunked(error), object),
        (closed(error), object),
    ] {
        assert_eq!(both_fail(Service::of_length(content), said).await, 0);
    }
}

#[tokio::test]
async fn what_looks_like_a_page_and_is_as_long_as_the_file_is_the_file() {
    let object = (200, r#"{"id": "file-1", "filename": "a.jsonl", "bytes": 56}"#);
    let (peer, _) = Service { content: with_length("text/html", PAGE), object }.start().await;
    let client = peer.client(options());
    assert_eq!(to_target(&client).await.0.unwrap(), 56);
    let (received, ended) = drained(&mut begin(&client).await.unwrap()).await;
    ended.unwrap();
    assert_eq!(received, 56);
}

#[tokio::test]
async fn a_file_of_the_wrong_size_is_an_error_although_it_tells_its_length() {
    for (body, said) in [
        ("x".repeat(1000), "1000 bytes came, and the file has 51200"),
        ("x".repeat(51_201), "51201 bytes came, and the file has 51200"),
        ("later, please".to_owned(), "13 bytes came, and the file has 51200"),
    ] {
        both_fail(Service::of_length(with_length("application/octet-stream", &body)), said).await;
    }
}

#[tokio::test]
async fn each_download_asks_for_the_object_once_and_does_without_when_there_is_none() {
    let content = || with_length("application/octet-stream", &"x".repeat(100));
    for object in [(200, r#"{"id": "file-1", "bytes": 100}"#), (404, "{}"), (403, "{}"), (200, "[]")] {
        let (peer, paths) = Service { content: content(), object }.start().await;
        let client = peer.client(options());
        assert_eq!(to_target(&client).await.0.unwrap(), 100);
        drained(&mut begin(&client).await.unwrap()).await.1.unwrap();
        let mut paths = paths.lock().unwrap().clone();
        paths.sort();
        let expected = ["/v1/files/file-1", "/v1/files/file-1/content"].map(|path| [path; 2]).concat();
        assert_eq!(paths, expected);
    }
}

#[tokio::test]
async fn a_part_that_was_not_asked_for_is_not_handed_out() {
    let part = |content_range: &str| {
        let head = "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Length: 5\r\nContent-Range:";
        Service::of_length(format!("{head} {content_range}\r\n\r\nabcde").into_bytes())
    };
    let mut range = DownloadFile::new("file-1");
    range.range = Some(ByteRange::From { first: 5, last: None });
    for (operation, content_range, is_right) in [
        (DownloadFile::new("file-1"), "bytes 0-4/51200", false),
        (DownloadFile::new("file-1"), "bytes 0-4/5", true),
        (range.clone(), "bytes 0-4/10", false),
        (range, "bytes 5-9/10", true),
    ] {
        let (peer, _) = part(content_range).start().await;
        let begun = peer.client(options()).download(&operation).await;
        match begun {
            Ok(mut download) => {
                assert!(is_right, "{content_range}");
                assert_eq!(drained(&mut download).await.0, 5);
            }
            Err(error) => assert!(!is_right && matches!(error, Error::Garbled(_)), "{}", line(&error)),
        }
    }
}
