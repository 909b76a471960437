//! The phases of a connection: what is being answered, what is answered and not written yet, and what is idle.

use std::time::Duration;

use partwise_server::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::sleep,
};

use crate::{
    served::{Served, in_time, post_head, read_answer, read_to_end, serve, serve_on_threads},
    world::{KEY, World},
};

const MIB: usize = 1 << 20;

/// One file on a disk, served on threads or on one runtime.
struct Place {
    served: Served,
    id: String,
    _folder: tempfile::TempDir,
}

impl Place {
    async fn new(content: &[u8], on_threads: bool, change: impl FnOnce(&mut Limits)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut limits = Limits::default();
        change(&mut limits);
        let world = World::in_folder_with_limits(folder.path(), limits).await;
        let id = world.caller().create_file("a.bin", content).await.id;
        let served = if on_threads { serve_on_threads(&world).await } else { serve(&world).await };
        Self { served, id, _folder: folder }
    }

    /// Asks for the content over a connection with a small receive buffer.
    async fn ask(&self, version: &str, more: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        let mut stream = socket.connect(self.served.address).await.unwrap();
        self.ask_again(&mut stream, version, more).await;
        stream
    }

    async fn ask_again(&self, stream: &mut TcpStream, version: &str, more: &str) {
        let head = format!(
            "GET /v1/files/{}/content {version}\r\nHost: h\r\nAuthorization: Bearer {KEY}\r\n{more}\r\n",
            self.id
        );
        stream.write_all(head.as_bytes()).await.unwrap();
    }
}

/// Reads the head of an answer.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(in_time(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn read_body(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut body = vec![0; length];
    in_time(stream.read_exact(&mut body)).await.unwrap();
    body
}

#[tokio::test]
async fn a_connection_is_idle_after_an_answer_that_left_a_body_to_be_read() {
    for on_threads in [false, true] {
        for (key, length, status) in [("wrong", 30_000, "401"), (KEY, 300_000, "400")] {
            // One for each, so that no place is still taken by what the one before has asked at last.
            let place = Place::new(b"x", on_threads, |limits| {
                limits.idle_timeout = Duration::from_millis(500);
                limits.max_connections = Some(2);
            })
            .await;
            let mut silent = Vec::new();
            for _ in 0..2 {
                let mut stream = place.served.connect().await;
                let head =
                    post_head(key, length, "").replace("multipart/form-data; boundary=b", "text/plain");
                stream.write_all(&[head.as_bytes(), &vec![b'x'; length]].concat()).await.unwrap();
                let answer = in_time(read_answer(&mut stream)).await;
                assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
                silent.push(stream);
            }
            for mut stream in silent {
                let mut rest = Vec::new();
                in_time(stream.read_to_end(&mut rest)).await.unwrap();
                assert_eq!(rest, b"");
            }
            assert_eq!(place.served.requests(), 0);
            // Both have given up their places.
            in_time(async {
                loop {
                    let mut stream = place.served.connect().await;
                    place.ask_again(&mut stream, "HTTP/1.1", "").await;
                    if read_head(&mut stream).await.starts_with("HTTP/1.1 200") {
                        break;
                    }
                }
            })
            .await;
        }
    }
}

#[tokio::test]
async fn content_that_looks_like_an_answer_is_sent_like_any_other() {
    let long = [b"HTTP/1.1 404 Not Found\r\n".as_slice(), &[b'y'; 100_000]].concat();
    let late = [&[b'z'; 300_000], b"HTTP/1.0 500 Error\r\n\r\n".as_slice()].concat();
    for (content, from) in
        [(b"HTTP/1.1 200 OK\r\n\r\nhello".repeat(3), 0), (long, 0), (late.clone(), 0), (late, 300_000)]
    {
        let place = Place::new(&content, true, |_| ()).await;
        let mut stream = place.served.connect().await;
        // Also on a connection that has sent such content before.
        for _ in 0..2 {
            place.ask_again(&mut stream, "HTTP/1.1", &format!("Range: bytes={from}-\r\n")).await;
            let head = read_head(&mut stream).await;
            assert!(head.starts_with("HTTP/1.1 20"), "{head}");
            let body = read_body(&mut stream, content.len() - from).await;
            assert!(body == content[from..], "{} bytes from {from}", content.len());
        }
    }
}

#[tokio::test]
async fn an_answer_that_takes_longer_than_a_connection_may_be_idle_does_not_end_it() {
    let content = vec![b'a'; 2 * MIB];
    let place = Place::new(&content, true, |limits| limits.idle_timeout = Duration::from_millis(800)).await;
    let mut stream = place.ask("HTTP/1.1", "").await;
    read_head(&mut stream).await;
    for piece in content.chunks(MIB / 8) {
        sleep(Duration::from_millis(150)).await;
        assert!(read_body(&mut stream, piece.len()).await == piece);
    }
    sleep(Duration::from_millis(100)).await;
    place.ask_again(&mut stream, "HTTP/1.1", "Range: bytes=0-9\r\n").await;
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 206"));
    assert_eq!(read_body(&mut stream, 10).await, b"aaaaaaaaaa");
}

#[tokio::test]
async fn a_server_that_stops_finishes_the_answers_after_which_it_would_close_anyway() {
    let content = vec![b'c'; 24 * MIB];
    for on_threads in [false, true] {
        for (version, more) in [("HTTP/1.1", "Connection: close\r\n"), ("HTTP/1.0", ""), ("HTTP/1.1", "")] {
            let place = Place::new(&content, on_threads, |_| ()).await;
            let mut stream = place.ask(version, more).await;
            read_head(&mut stream).await;
            // What follows is on its way: most of it waits for its reader.
            sleep(Duration::from_millis(100)).await;
            assert_eq!(place.served.requests(), 1);
            place.served.stop.send(()).unwrap();
            sleep(Duration::from_millis(100)).await;
            let mut body = Vec::new();
            in_time(stream.read_to_end(&mut body)).await.unwrap();
            assert_eq!(body.len(), content.len(), "{version} {more}");
            assert_eq!(in_time(place.served.server).await.unwrap().cut_off, 0);
        }
    }
}

#[tokio::test]
async fn an_answer_that_waits_for_its_reader_is_in_flight() {
    for bytes in [600 << 10, 250 << 10, 8 * MIB] {
        let place = Place::new(&vec![b'x'; bytes], true, |limits| {
            limits.shutdown_timeout = Duration::from_millis(500);
        })
        .await;
        let mut unread = Vec::new();
        for _ in 0..3 {
            let mut stream = place.ask("HTTP/1.1", "").await;
            read_head(&mut stream).await;
            unread.push(stream);
        }
        sleep(Duration::from_millis(200)).await;
        assert_eq!(place.served.requests(), 3, "{bytes} bytes");
        place.served.stop.send(()).unwrap();
        assert_eq!(in_time(place.served.server).await.unwrap().cut_off, 3, "{bytes} bytes");
    }
}

#[tokio::test]
async fn a_head_that_does_not_end_holds_up_no_stop() {
    for on_threads in [false, true] {
        let place = Place::new(b"x", on_threads, |limits| {
            limits.head_timeout = Duration::from_secs(3600);
            limits.shutdown_timeout = Duration::from_secs(3600);
        })
        .await;
        let mut first = place.served.connect().await;
        let mut second = place.ask("HTTP/1.1", "").await;
        read_answer(&mut second).await;
        for stream in [&mut first, &mut second] {
            stream.write_all(b"GET /v1/files HTTP/1.1\r\nHost:").await.unwrap();
        }
        sleep(Duration::from_millis(100)).await;
        place.served.stop.send(()).unwrap();
        let answer = read_to_end(&mut first).await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("retry-after: ") && answer.contains("the server is stopping"), "{answer}");
        assert_eq!(read_to_end(&mut second).await, "", "closed as one that is idle");
        assert_eq!(in_time(place.served.server).await.unwrap().cut_off, 0);
    }
}

#[tokio::test]
async fn a_rest_of_an_answered_request_holds_up_no_stop() {
    for on_threads in [false, true] {
        let place = Place::new(b"x", on_threads, |limits| {
            limits.shutdown_timeout = Duration::from_secs(3600);
        })
        .await;
        let mut stream = place.served.connect().await;
        stream.write_all(post_head("wrong", 1000, "").as_bytes()).await.unwrap();
        stream.write_all(b"abc").await.unwrap();
        assert!(in_time(read_answer(&mut stream)).await.starts_with("HTTP/1.1 401"));
        while place.served.requests() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
        place.served.stop.send(()).unwrap();
        assert_eq!(read_to_end(&mut stream).await, "");
        assert_eq!(in_time(place.served.server).await.unwrap().cut_off, 0);
    }
}
