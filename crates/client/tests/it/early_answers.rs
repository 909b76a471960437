//! A service that answers before it has read the whole body.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use partwise_testkit::{
    errors::line,
    http1::{answer, drain, read_head, read_request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    time::timeout,
};

use crate::peer::{A_PART, MIB, Peer, options, part, zeros};

const REFUSAL: &str = r#"{"error":{"message":"Incorrect API key","code":"invalid_api_key"}}"#;

/// Closing with unread data in the socket makes the kernel send a reset.
async fn refused_with_a_reset_after(read: u64) {
    let peer = Peer::start(move |mut stream, _| async move {
        read_head(&mut stream).await.unwrap();
        let mut buffer = vec![0; usize::try_from(read).unwrap()];
        stream.read_exact(&mut buffer).await.unwrap();
        answer(&mut stream, 401, "Connection: close\r\n", REFUSAL).await;
    })
    .await;
    let client = peer.client(options());
    let source = zeros(16 * MIB);
    for round in 0..40 {
        let error = client.call_with(&part(16 * MIB), source.clone()).await.unwrap_err();
        let refusal = error.rejection().unwrap_or_else(|| panic!("round {round}: {}", line(&error)));
        assert_eq!(refusal.status, StatusCode::UNAUTHORIZED);
        assert_eq!(refusal.error.message.as_deref(), Some("Incorrect API key"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refusal_before_a_reset_is_never_lost() {
    refused_with_a_reset_after(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refusal_in_the_middle_of_the_body_and_a_reset_is_never_lost() {
    refused_with_a_reset_after(4 * MIB).await;
}

#[tokio::test]
async fn the_rest_of_the_body_is_not_sent_after_an_answer() {
    let (seen, mut drained) = mpsc::unbounded_channel();
    let peer = Peer::start(move |mut stream, connection| {
        let seen = seen.clone();
        async move {
            if connection > 0 {
                read_request(&mut stream).await.unwrap();
                return answer(&mut stream, 200, "", A_PART).await;
            }
            let head = read_head(&mut stream).await.unwrap();
            let (first, rest) = REFUSAL.split_at(10);
            let told = format!("HTTP/1.1 413 Told\r\nContent-Length: {}\r\n\r\n{first}", REFUSAL.len());
            stream.write_all(told.as_bytes()).await.unwrap();
            // While the answer is not complete, the client has all the time it wants to go on sending.
            let mut came = 0;
            let _ = timeout(Duration::from_millis(500), drain(&mut stream, &mut came)).await;
            stream.write_all(rest.as_bytes()).await.unwrap();
            let _ = timeout(Duration::from_secs(5), drain(&mut stream, &mut came)).await;
            seen.send((head.content_length, came)).unwrap();
        }
    })
    .await;
    let client = peer.client(options());
    let len = 256 * MIB;
    let source: Arc<Zeros> = Arc::new(Zeros(len));
    let error = client.call_with(&part(len), source.clone()).await.unwrap_err();
    assert_eq!(error.rejection().unwrap().status, StatusCode::PAYLOAD_TOO_LARGE);
    let (announced, came) = drained.recv().await.unwrap();
    assert!(came < announced / 4, "{came} of {announced} bytes were sent after the answer");

    client.call_with(&part(3), zeros(3)).await.unwrap();
    assert_eq!(peer.accepted(), 2, "a connection with half a request on it is of no use");
}

/// So many zeros, without the memory for them.
struct Zeros(u64);

impl partwise::Source for Zeros {
    fn stamp(&self) -> std::io::Result<partwise_protocol::upload::SourceStamp> {
        Ok(partwise_protocol::upload::SourceStamp::new(self.0))
    }

    fn read_at(&self, _: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        Ok(buffer.len())
    }
}
