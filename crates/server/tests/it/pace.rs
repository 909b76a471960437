//! Callers who stop reading or sending, or hardly do.

use std::time::Duration;

use partwise_server::{Limits, Stopped};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use crate::{
    served::{FORM, Served, in_time, post_head, read_answer, read_to_end, serve, serve_on_threads, steady},
    world::{KEY, World},
};

const MIB: usize = 1 << 20;

/// Of a file that is too large for all buffers on the way.
struct Download {
    served: Served,
    id: String,
    _folder: tempfile::TempDir,
}

impl Download {
    async fn new(bytes: usize, change: impl FnOnce(&mut Limits)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut limits = Limits::default();
        change(&mut limits);
        let world = World::in_folder_with_limits(folder.path(), limits).await;
        let id = world.caller().create_file("large.bin", &vec![b'x'; bytes]).await.id;
        Self { served: serve_on_threads(&world).await, id, _folder: folder }
    }

    /// With a receive buffer as small as on a line with small packets, and the head read.
    async fn begin(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        socket2::SockRef::from(&socket).set_tcp_mss(1400).unwrap();
        let mut stream = socket.connect(self.served.address).await.unwrap();
        let head = format!(
            "GET /v1/files/{}/content HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {KEY}\r\n\r\n",
            self.id
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        in_time(stream.read_exact(&mut status)).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
        stream
    }
}

/// Waits until the server has done with a connection: nothing is in flight.
async fn until_cut(served: &Served) {
    in_time(async {
        while served.requests() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_download_that_nobody_reads_ends() {
    let download =
        Download::new(64 * MIB, |limits| limits.write_stall_timeout = Duration::from_secs(1)).await;
    let stream = download.begin().await;
    assert_eq!(download.served.requests(), 1);
    until_cut(&download.served).await;
    drop(stream);
}

#[tokio::test]
async fn a_reader_that_is_slow_but_alive_is_not_cut_off() {
    let download = Download::new(16 * MIB, |limits| {
        limits.write_stall_timeout = Duration::from_secs(5);
        limits.rate_window = Duration::from_secs(5);
        limits.min_rate = 8 * 1024;
    })
    .await;
    let mut stream = download.begin().await;
    let mut buffer = [0; 8 * 1024];
    // 64 KiB a second, for more than twice as long as nothing may move.
    for _ in 0..96 {
        in_time(stream.read_exact(&mut buffer)).await.expect("it is not cut off");
        sleep(Duration::from_millis(125)).await;
    }
    assert_eq!(download.served.requests(), 1);
}

#[tokio::test]
async fn a_reader_below_the_least_rate_is_cut_off() {
    let download = Download::new(16 * MIB, |limits| {
        limits.min_rate = 1 << 20;
        limits.rate_window = Duration::from_secs(1);
    })
    .await;
    let mut stream = download.begin().await;
    let mut buffer = [0; 1024];
    let ended = in_time(async {
        loop {
            if let Err(error) = stream.read_exact(&mut buffer).await {
                break error;
            }
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_body_that_trickles_is_answered_with_408() {
    let mut limits = Limits::default();
    limits.rate_window = Duration::from_secs(1);
    let served = serve(&World::with_limits(limits).await).await;
    let mut stream = served.connect().await;
    stream.write_all(post_head(KEY, 10_000, "").as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let trickle = tokio::spawn(async move {
        for byte in FORM.as_bytes().iter().cycle() {
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
    });
    let mut answer = String::new();
    in_time(reader.read_to_string(&mut answer)).await.unwrap();
    trickle.abort();
    insta::assert_snapshot!(steady(&answer), @r#"
    HTTP/1.1 408 Request Timeout
    content-type: application/json
    content-length: 161
    x-request-id: …
    connection: close
    date: …

    {"error":{"message":"the request body came at less than the 1024 bytes a second that it has to come at","type":"invalid_request_error","param":null,"code":null}}
    "#);
}

#[tokio::test]
async fn a_body_that_stops_is_answered_with_408_and_the_connection_closed() {
    let mut limits = Limits::default();
    limits.body_stall_timeout = Duration::from_millis(300);
    let served = serve(&World::with_limits(limits).await).await;
    let mut stream = served.connect().await;
    stream.write_all(post_head(KEY, FORM.len(), "").as_bytes()).await.unwrap();
    stream.write_all(&FORM.as_bytes()[..40]).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_slow_body_above_the_least_rate_is_taken() {
    let mut limits = Limits::default();
    limits.rate_window = Duration::from_secs(2);
    let served = serve(&World::with_limits(limits).await).await;
    let mut stream = served.connect().await;
    let form = FORM.replace("abc", &"x".repeat(24_000));
    stream.write_all(post_head(KEY, form.len(), "").as_bytes()).await.unwrap();
    // 4 KiB a second, for three times as long as the rate is averaged over.
    for piece in form.as_bytes().chunks(400) {
        stream.write_all(piece).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    let answer = in_time(read_answer(&mut stream)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_server_that_stops_waits_for_requests_only_for_so_long() {
    for on_threads in [false, true] {
        let mut limits = Limits::default();
        limits.shutdown_timeout = Duration::from_millis(300);
        let world = World::with_limits(limits).await;
        let served = if on_threads { serve_on_threads(&world).await } else { serve(&world).await };
        let mut busy = Vec::new();
        for _ in 0..2 {
            let mut stream = served.connect().await;
            let head = post_head(KEY, FORM.len(), "Expect: 100-continue\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            assert!(in_time(read_answer(&mut stream)).await.starts_with("HTTP/1.1 100"));
            busy.push(stream);
        }
        let mut done = served.connect().await;
        done.write_all(post_head(KEY, FORM.len(), "").as_bytes()).await.unwrap();
        done.write_all(FORM.as_bytes()).await.unwrap();
        assert!(in_time(read_answer(&mut done)).await.starts_with("HTTP/1.1 200"));
        served.stop.send(()).unwrap();
        let Stopped { cut_off, .. } =
            timeout(Duration::from_secs(20), served.server).await.expect("it ends").unwrap();
        assert_eq!(cut_off, 2);
        for mut stream in busy {
            let end = in_time(stream.read(&mut [0; 1])).await;
            assert!(end.as_ref().map_or(true, |read| *read == 0), "{end:?}");
        }
    }
}
