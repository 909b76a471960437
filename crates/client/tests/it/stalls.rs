//! A service that stops: reading, answering, or in the middle of an answer.

use std::time::Duration;

use partwise::stack::{StackOptions, Timeouts};
use partwise_models::{CompleteUploadRequest, CreateUploadRequest, Purpose};
use partwise_protocol::{
    operations::{CompleteUpload, CreateUpload, RetrieveFile},
    transport::FailureKind,
};
use partwise_testkit::{
    certificates::Authority,
    errors::line,
    http1::{answer, read_head, read_request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use crate::{
    peer::{A_FILE, A_PART, MIB, Peer, client, options, part, tls_peer, zeros},
    tls::{https, trusting},
};

pub(crate) const SHORT: Duration = Duration::from_millis(400);
const NEVER: Duration = Duration::from_secs(3600);

pub(crate) fn timeouts(set: impl FnOnce(&mut Timeouts)) -> StackOptions {
    let mut timeouts = Timeouts::default();
    (timeouts.stall, timeouts.answer, timeouts.lookup) = (NEVER, NEVER, NEVER);
    set(&mut timeouts);
    options().timeouts(timeouts)
}

/// Takes the head and then nothing more.
async fn stalled() -> Peer {
    Peer::start(|mut stream, _| async move {
        read_head(&mut stream).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await
}

#[tokio::test]
async fn a_service_that_takes_nothing_more_is_given_up() {
    let peer = stalled().await;
    let client = peer.client(timeouts(|timeouts| timeouts.stall = SHORT));
    let error = client.call_with(&part(64 * MIB), zeros(64 * MIB)).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Timeout), "{}", line(&error));
}

#[tokio::test]
async fn a_service_that_takes_nothing_more_over_tls_is_given_up() {
    let authority = Authority::new();
    let peer = tls_peer(authority.acceptor("localhost"), |mut stream| async move {
        read_head(&mut stream).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let mut timeouts = Timeouts::default();
    (timeouts.stall, timeouts.answer, timeouts.lookup) = (SHORT, NEVER, NEVER);
    let client = client(https(&peer), trusting(&authority).timeouts(timeouts));
    let error = client.call_with(&part(64 * MIB), zeros(64 * MIB)).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Timeout), "{}", line(&error));
}

/// The kernel shows what the peer has acknowledged.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_service_that_does_not_take_what_the_kernel_holds_is_given_up() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let api = partwise_protocol::Api::with_base(&base, partwise_protocol::Dialect::OpenAi).unwrap();
    let client = client(api, timeouts(|timeouts| timeouts.stall = SHORT));
    // The kernel takes all of it, so that nothing waits to be written.
    let len = 24 * 1024;
    let error = client.call_with(&part(len), zeros(len)).await.unwrap_err();
    assert_eq!(
        line(&error),
        "the service did not answer or take anything for too long: the service took nothing for 0.4 s"
    );
}

#[tokio::test]
async fn a_slow_service_that_goes_on_reading_is_waited_for() {
    let peer = Peer::start(|mut stream, _| async move {
        let head = read_head(&mut stream).await.unwrap();
        let mut left = head.content_length;
        // Longer than the limit for silence, by a multiple of it.
        let mut buffer = vec![0; 512 * 1024];
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            left = left.saturating_sub(read as u64);
            if left < 16 * 1024 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        answer(&mut stream, 200, "Connection: close\r\n", A_PART).await;
    })
    .await;
    let client = peer.client(timeouts(|timeouts| timeouts.stall = SHORT));
    client.call_with(&part(48 * MIB), zeros(48 * MIB)).await.unwrap();
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_given_up() {
    let peer = Peer::start(|mut stream, _| async move {
        read_request(&mut stream).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let client = peer.client(timeouts(|timeouts| timeouts.answer = SHORT));
    let error = client.call_with(&part(MIB), zeros(MIB)).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Timeout));
    assert_eq!(
        line(&error),
        "the service did not answer or take anything for too long: the service answered nothing for 0.4 s"
    );
    let client = peer.client(timeouts(|timeouts| timeouts.lookup = SHORT));
    let error = client.call(&RetrieveFile::new("file-1")).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Timeout));
}

fn create() -> CreateUpload {
    CreateUpload::new(CreateUploadRequest::new("a.bin", Purpose::Assistants, MIB, "text/plain"))
}

/// Answers so many parts, takes one more, and falls silent.
async fn swallowing(answered: usize) -> Peer {
    Peer::start(move |mut stream, _| async move {
        for _ in 0..answered {
            read_request(&mut stream).await.unwrap();
            answer(&mut stream, 200, "", A_PART).await;
        }
        read_request(&mut stream).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await
}

#[tokio::test]
async fn a_part_that_was_swallowed_is_given_up_when_answers_came_sooner_before() {
    let peer = swallowing(2).await;
    let client = peer.client(timeouts(|timeouts| (timeouts.stall, timeouts.lookup) = (SHORT, SHORT)));
    for _ in 0..2 {
        client.call_with(&part(MIB), zeros(MIB)).await.unwrap();
    }
    let error = client.call_with(&part(MIB), zeros(MIB)).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Timeout), "{}", line(&error));
}

#[tokio::test]
async fn connections_that_lay_idle_during_a_silence_are_not_used_again() {
    let both_there = std::sync::Arc::new(tokio::sync::Barrier::new(2));
    let peer = Peer::start(move |mut stream, connection| {
        let both_there = both_there.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            if connection < 2 {
                both_there.wait().await;
            }
            answer(&mut stream, 200, "", A_FILE).await;
            std::future::pending::<()>().await;
        }
    })
    .await;
    let client = peer.client(timeouts(|timeouts| timeouts.lookup = SHORT));
    let a_file = RetrieveFile::new("file-1");
    let (one, other) = tokio::join!(client.call(&a_file), client.call(&a_file));
    one.unwrap();
    other.unwrap();
    assert_eq!(client.call(&a_file).await.unwrap_err().failure(), Some(FailureKind::Timeout));
    client.call(&a_file).await.unwrap();
    assert_eq!(peer.accepted(), 3);
}

#[tokio::test]
async fn the_first_part_is_waited_for_as_long_as_any_answer_whatever_others_took() {
    let peer = swallowing(1).await;
    let client = peer.client(timeouts(|timeouts| (timeouts.stall, timeouts.lookup) = (SHORT, SHORT)));
    // What opens an upload is answered at once, and says nothing of parts on a line that buffers them.
    client.call(&create()).await.unwrap();
    let (part, content) = (part(MIB), zeros(MIB));
    let waiting = tokio::time::timeout(SHORT * 4, client.call_with(&part, content));
    assert!(waiting.await.is_err(), "how long a part takes is not known");
}

#[tokio::test]
async fn a_slow_answer_is_waited_for_while_another_connection_moves() {
    let peer = Peer::start(|mut stream, connection| async move {
        loop {
            let Some(_) = read_request(&mut stream).await else { return };
            if connection == 1 {
                tokio::time::sleep(SHORT * 6).await;
            }
            answer(&mut stream, 200, "", A_PART).await;
        }
    })
    .await;
    let client = peer.client(timeouts(|timeouts| (timeouts.stall, timeouts.lookup) = (SHORT, SHORT)));
    client.call_with(&part(MIB), zeros(MIB)).await.unwrap();
    let (fast, slow) = (part(8 * MIB), part(MIB));
    let moving = async {
        for _ in 0..24 {
            client.call_with(&fast, zeros(8 * MIB)).await.unwrap();
            tokio::time::sleep(SHORT / 4).await;
        }
    };
    // The first connection is taken by then.
    let slow = async { client.call_with(&slow, zeros(MIB)).await.unwrap() };
    tokio::join!(moving, slow);
    assert_eq!(peer.accepted(), 2, "nothing was sent again");
}

#[tokio::test]
async fn a_part_is_not_waited_for_longer_than_any_answer_although_another_connection_moves() {
    let peer = Peer::start(|mut stream, connection| async move {
        while read_request(&mut stream).await.is_some() {
            if connection == 1 {
                std::future::pending::<()>().await;
            }
            answer(&mut stream, 200, "", A_PART).await;
        }
    })
    .await;
    let client = peer.client(timeouts(|timeouts| (timeouts.lookup, timeouts.answer) = (SHORT, SHORT * 2)));
    client.call_with(&part(MIB), zeros(MIB)).await.unwrap();
    let (part, swallowed) = (part(MIB), part(2 * MIB));
    let moving = async {
        loop {
            client.call_with(&part, zeros(MIB)).await.unwrap();
            tokio::time::sleep(SHORT / 8).await;
        }
    };
    tokio::select! {
        biased;
        () = moving => {}
        ended = client.call_with(&swallowed, zeros(2 * MIB)) => {
            assert_eq!(ended.unwrap_err().failure(), Some(FailureKind::Timeout));
        }
    }
}

#[tokio::test]
async fn what_opens_an_upload_is_waited_for_as_a_lookup_is() {
    let peer = swallowing(0).await;
    let client = peer.client(timeouts(|timeouts| timeouts.lookup = SHORT));
    let error = client.call(&create()).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Timeout), "{}", line(&error));
}

#[test]
fn a_stall_that_never_comes_is_a_setting_too() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    drop(partwise::stack::Stack::new(timeouts(|timeouts| timeouts.stall = Duration::MAX)));
}

#[tokio::test]
async fn a_request_that_may_have_made_a_file_is_waited_for() {
    let peer = swallowing(1).await;
    let client = peer.client(timeouts(|timeouts| (timeouts.stall, timeouts.lookup) = (SHORT, SHORT)));
    client.call_with(&part(1), zeros(1)).await.unwrap();
    let complete = CompleteUpload::new("upload_1", CompleteUploadRequest::new(vec!["part_1".to_owned()]));
    let waiting = tokio::time::timeout(SHORT * 4, client.call(&complete));
    assert!(waiting.await.is_err(), "it may take minutes to assemble the file");
}

#[tokio::test]
async fn an_answer_that_stops_in_its_middle_is_given_up() {
    let peer = Peer::start(|mut stream, _| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"id\":").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let client = peer.client(timeouts(|timeouts| timeouts.stall = SHORT));
    let error = client.call(&RetrieveFile::new("file-1")).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Timeout), "{}", line(&error));
}

#[tokio::test]
async fn dropping_a_request_ends_its_connection_even_when_the_service_has_stopped_reading() {
    let (ended, mut has_ended) = mpsc::unbounded_channel();
    let peer = Peer::start(move |mut stream, _| {
        let ended = ended.clone();
        async move {
            read_head(&mut stream).await.unwrap();
            // Not a byte of the body is read; a reset is seen all the same.
            let gone = loop {
                let ready =
                    stream.ready(tokio::io::Interest::ERROR | tokio::io::Interest::READABLE).await.unwrap();
                if ready.is_error() || ready.is_read_closed() {
                    break true;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            ended.send(gone).unwrap();
        }
    })
    .await;
    let client = peer.client(timeouts(|_| {}));
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = alive();
    let len = 64 * MIB;
    let request = tokio::spawn({
        let client = client.clone();
        async move { client.call_with(&part(len), zeros(len)).await }
    });
    // Until both kernels' buffers are full and the request hangs.
    tokio::time::sleep(SHORT).await;
    assert!(!request.is_finished());
    request.abort();
    assert!(has_ended.recv().await.unwrap());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(alive(), before, "a task is left");
}
