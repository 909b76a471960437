//! Long answers on their way to a target, which are read from the connection with nothing in between: who gets the
//! connection afterwards, and what becomes of an answer that does not come to its end.

use std::sync::Arc;

use partwise_protocol::DownloadPlan;
use tokio::io::AsyncWriteExt;

use crate::{
    certificates::Authority,
    peer::{MIB, Peer, client, line, options, read_request, tls_peer},
    range_peer::{Asked, ETAG, Folder, answer_ranges, noise, part, peer, plan, within},
    stalls::{SHORT, timeouts},
    tls::{https, trusting},
};

/// One range after the other, so that what becomes of connections can be counted.
fn one_at_a_time() -> DownloadPlan {
    let mut plan = plan("file-1", MIB);
    plan.parallel = 1;
    plan
}

#[tokio::test]
async fn one_connection_serves_range_after_range() {
    let content = noise(5 * MIB + 17);
    let served = content.clone();
    let (peer, asked) = peer(move |_, range| part(&served, within(range, &served), ETAG)).await;
    let folder = Folder::new();
    peer.client(options()).download_to(folder.target(), one_at_a_time()).await.unwrap();
    assert!(folder.bytes() == content);
    assert_eq!((asked.lock().unwrap().len(), peer.accepted()), (6, 1));
}

#[tokio::test]
async fn one_connection_serves_range_after_range_inside_tls() {
    let authority = Authority::new();
    let content = noise(3 * MIB + 1);
    let served = content.clone();
    let reply = Arc::new(move |_, range| part(&served, within(range, &served), ETAG));
    let peer = tls_peer(authority.acceptor("localhost"), move |stream| {
        answer_ranges(stream, reply.clone(), Asked::default())
    })
    .await;
    let folder = Folder::new();
    let client = client(https(&peer), trusting(&authority));
    client.download_to(folder.target(), one_at_a_time()).await.unwrap();
    assert!(folder.bytes() == content);
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn a_connection_that_the_service_is_about_to_close_is_not_used_again() {
    let content = noise(3 * MIB);
    for closing in ["Connection: close\r\n", "Connection: x, Close\r\n"] {
        let served = content.clone();
        let (peer, asked) = peer(move |_, range| part(&served, within(range, &served), closing)).await;
        let folder = Folder::new();
        peer.client(options()).download_to(folder.target(), one_at_a_time()).await.unwrap();
        assert!(folder.bytes() == content);
        assert_eq!((asked.lock().unwrap().len(), peer.accepted()), (3, 3), "{closing}");
    }
}

#[tokio::test]
async fn bytes_behind_an_answer_belong_to_nobody_and_end_the_connection() {
    let content = noise(3 * MIB);
    let served = content.clone();
    let (peer, asked) = peer(move |_, range| {
        let mut reply = part(&served, within(range, &served), ETAG);
        let junk = b"HTTP/1.1 206 Part\r\nContent-Length: 5\r\nContent-Range: bytes 1048576-1048580/3145728\r\n\r\nwrong";
        reply.body.extend_from_slice(junk);
        reply
    })
    .await;
    let folder = Folder::new();
    peer.client(options()).download_to(folder.target(), one_at_a_time()).await.unwrap();
    assert!(folder.bytes() == content);
    assert_eq!((asked.lock().unwrap().len(), peer.accepted()), (3, 3));
}

#[tokio::test]
async fn an_answer_that_stops_in_its_middle_is_given_up_and_what_came_of_it_is_kept() {
    let content = noise(MIB);
    let served = content.clone();
    let peer = Peer::start(move |mut stream, number| {
        let served = served.clone();
        async move {
            let start = number * 500_000;
            read_request(&mut stream).await.unwrap();
            let reply = part(&served, start..served.len(), ETAG);
            stream.write_all(reply.head.as_bytes()).await.unwrap();
            stream.write_all(&reply.body[..reply.body.len().min(500_000)]).await.unwrap();
            std::future::pending::<()>().await;
        }
    })
    .await;
    let folder = Folder::new();
    let download = peer
        .client(timeouts(|timeouts| timeouts.stall = SHORT))
        .prepare_download(folder.target(), one_at_a_time());
    let progress = download.progress();
    download.run().await.unwrap_or_else(|error| panic!("{}", line(&error)));
    assert!(folder.bytes() == content);
    assert_eq!((progress.borrow().retries, peer.accepted()), (2, 3));
}
