//! Comparing a file of the service with a source, over real sockets, where the service does not serve it as it should.

use std::time::Duration;

use bytes::Bytes;
use partwise::Client;
use partwise_protocol::{retry::RetryPolicy, upload::Comparison};

use crate::{
    peer::{Peer, options},
    range_peer::{Reply, peer, whole},
};

const CONTENT: &[u8] = b"0123456789";

fn client(peer: &Peer) -> Client {
    let mut policy = RetryPolicy::default();
    (policy.base_wait, policy.max_failures) = (Duration::from_millis(1), 3);
    peer.client(options()).to_builder().retry(policy).build()
}

async fn compare(peer: &Peer) -> Comparison {
    client(peer).compare("file-1", Bytes::from_static(CONTENT)).await.unwrap()
}

fn refusal(status: u16) -> Reply {
    let body = br#"{"error":{"message":"no"}}"#;
    let head = format!("HTTP/1.1 {status} No\r\nContent-Length: {}\r\n\r\n", body.len());
    Reply { head, body: body.to_vec(), then_close: false }
}

/// The content up to `end` in chunks of one byte, without the last chunk, which is the end of a whole answer.
fn without_end(end: usize) -> Reply {
    let chunks = CONTENT[..end].iter().flat_map(|byte| [b"1\r\n", &[*byte][..], b"\r\n"].concat());
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    Reply { head, body: chunks.collect(), then_close: true }
}

#[tokio::test]
async fn only_a_400_or_403_says_that_the_content_is_not_served() {
    for (status, is_not_served) in
        [(400, true), (403, true), (401, false), (404, false), (410, false), (422, false), (501, false)]
    {
        let (peer, _) = peer(move |_, _| refusal(status)).await;
        let compared = compare(&peer).await;
        assert_eq!(matches!(compared, Comparison::NotServed), is_not_served, "{status}: {compared:?}");
        assert_eq!(matches!(compared, Comparison::Unknown), !is_not_served, "{status}: {compared:?}");
    }
}

#[tokio::test]
async fn a_service_that_never_ends_the_content_is_given_up() {
    // A comparison that would go on for ever finds the whole content in the end.
    let (peer, asked) =
        peer(|before, _| if before < 30 { without_end(CONTENT.len()) } else { whole(CONTENT, "") }).await;
    let compared = compare(&peer).await;
    assert!(matches!(compared, Comparison::Unknown), "{compared:?}");
    assert!(asked.lock().unwrap().len() < 30);
}

#[tokio::test]
async fn bytes_that_came_before_are_no_progress() {
    // It serves no ranges, and every second answer ends sooner than the other.
    let (peer, asked) =
        peer(|before, _| if before < 30 { without_end(8 - before % 2) } else { whole(CONTENT, "") }).await;
    let compared = compare(&peer).await;
    assert!(matches!(compared, Comparison::Unknown), "{compared:?}");
    assert!(asked.lock().unwrap().len() < 30);
}

#[tokio::test]
async fn a_comparison_lasts_as_long_as_the_content_grows() {
    let (peer, asked) =
        peer(|before, _| if before < CONTENT.len() { without_end(before + 1) } else { whole(CONTENT, "") })
            .await;
    let compared = compare(&peer).await;
    assert!(matches!(compared, Comparison::Equal), "{compared:?}");
    assert_eq!(asked.lock().unwrap().len(), CONTENT.len() + 1);
}
