//! Long answers on their way to a target, which are read from the connection with nothing in between: who gets the
//! connection afterwards, and what becomes of an answer that does not come to its end.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use http::{HeaderValue, Request, header};
use partwise::{Client, RequestBody, stack::Stack};
use partwise_protocol::{Credential, download::DownloadPlan};
use partwise_testkit::{
    certificates::Authority,
    content::noise,
    errors::line,
    http1::{answer, read_request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};
use tower_service::Service;

use crate::{
    peer::{MIB, Peer, client, is_for_content, options, tls_peer},
    range_peer::{Asked, ETAG, Folder, Reply, answer_ranges, part, peer, plan, within},
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
    peer.client(options()).download_to(one_at_a_time(), folder.target()).await.unwrap();
    assert!(folder.bytes() == content);
    // At most one more, for the file's object.
    assert!((asked.lock().unwrap().len(), peer.accepted()) <= (6, 2));
}

#[tokio::test]
async fn one_connection_serves_range_after_range_inside_tls_until_it_is_torn_away() {
    let authority = Authority::new();
    let content = noise(3 * MIB + 1);
    let served = content.clone();
    let asked = Asked::default();
    let reply = Arc::new(move |number, range| {
        let reply = part(&served, within(range, &served), ETAG);
        // Without a word of TLS that this is the end.
        if number == 1 { reply.cut(700_000) } else { reply }
    });
    let peer = tls_peer(authority.acceptor("localhost"), move |stream| {
        answer_ranges(stream, reply.clone(), asked.clone())
    })
    .await;
    let folder = Folder::new();
    let client = client(https(&peer), trusting(&authority));
    client.download_to(one_at_a_time(), folder.target()).await.unwrap();
    assert!(folder.bytes() == content);
    assert_eq!(peer.accepted(), 2);
}

#[tokio::test]
async fn a_connection_that_either_side_is_about_to_close_is_not_used_again() {
    let content = noise(3 * MIB);
    for (said_by_us, said_by_peer) in [(false, "Connection: close\r\n"), (true, "")] {
        let served = content.clone();
        let (peer, asked) = peer(move |_, range| {
            let reply = part(&served, within(range, &served), said_by_peer);
            Reply { then_close: said_by_us, ..reply }
        })
        .await;
        let folder = Folder::new();
        let stack = Closing { stack: Stack::new(options()), says_so: said_by_us };
        let client =
            Client::builder(peer.api(), Credential::key("a-secret-key").unwrap()).transport(stack).build();
        client.download_to(one_at_a_time(), folder.target()).await.unwrap();
        assert!(folder.bytes() == content);
        assert_eq!(asked.lock().unwrap().len(), 3);
        // The connection of the file's object may serve a range, unless that is the end of it.
        assert!((3..=4).contains(&peer.accepted()), "by us: {said_by_us}: {}", peer.accepted());
    }
}

/// A layer that announces the end of the connection with every request.
#[derive(Clone)]
struct Closing {
    stack: Stack,
    says_so: bool,
}

impl Service<Request<RequestBody>> for Closing {
    type Response = <Stack as Service<Request<RequestBody>>>::Response;
    type Error = <Stack as Service<Request<RequestBody>>>::Error;
    type Future = <Stack as Service<Request<RequestBody>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<Request<RequestBody>>::poll_ready(&mut self.stack, cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        if self.says_so {
            request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        self.stack.call(request)
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
    peer.client(options()).download_to(one_at_a_time(), folder.target()).await.unwrap();
    assert!(folder.bytes() == content);
    assert_eq!((asked.lock().unwrap().len(), peer.accepted()), (3, 3));
}

#[tokio::test]
async fn an_answer_that_stops_in_its_middle_is_given_up_and_what_came_of_it_is_kept() {
    let content = noise(MIB);
    let served = content.clone();
    let numbers = Arc::<AtomicUsize>::default();
    let peer = Peer::start(move |mut stream, _| {
        let (served, numbers) = (served.clone(), numbers.clone());
        async move {
            let (head, _) = read_request(&mut stream).await.unwrap();
            if !is_for_content(&head) {
                answer(&mut stream, 404, "Connection: close\r\n", "{}").await;
                return;
            }
            let start = numbers.fetch_add(1, SeqCst) * 500_000;
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
        .download_to(one_at_a_time(), folder.target())
        .prepare()
        .await
        .unwrap();
    let progress = download.progress();
    download.run().await.unwrap_or_else(|error| panic!("{}", line(&error)));
    assert!(folder.bytes() == content);
    assert_eq!((progress.borrow().retries, peer.accepted()), (2, 4));
}

#[tokio::test]
async fn an_answer_that_breaks_off_says_how_much_is_missing() {
    let content = noise(MIB);
    let (peer, _) = peer(move |_, range| part(&content, within(range, &content), ETAG).cut(700_000)).await;
    let folder = Folder::new();
    let mut plan = one_at_a_time();
    plan.retry.get_or_insert_default().max_failures = 0;
    let error = peer.client(options()).download_to(plan, folder.target()).await.unwrap_err();
    let said = format!(
        "the connection to {} was closed before the answer was complete: 348576 bytes are missing",
        peer.address
    );
    assert!(line(&error).ends_with(&said), "{}", line(&error));
}

#[tokio::test]
async fn a_download_that_is_dropped_in_the_middle_of_an_answer_resets_its_connection() {
    let (ended, mut has_ended) = mpsc::unbounded_channel();
    let content = noise(4 * MIB);
    let peer = Peer::start(move |mut stream, _| {
        let (ended, content) = (ended.clone(), content.clone());
        async move {
            read_request(&mut stream).await.unwrap();
            let reply = part(&content, 0..content.len(), ETAG);
            stream.write_all(reply.head.as_bytes()).await.unwrap();
            stream.write_all(&reply.body[..3_000_000]).await.unwrap();
            ended.send(stream.read_u8().await.map_err(|error| error.kind())).unwrap();
        }
    })
    .await;
    let folder = Folder::new();
    let mut plan = one_at_a_time();
    plan.range_size = Some(4 * MIB);
    let download = peer.client(options()).download_to(plan, folder.target()).prepare().await.unwrap();
    let mut progress = download.progress();
    let running = tokio::spawn(download.run());
    progress.wait_for(|now| now.bytes_written >= 500_000).await.unwrap();
    running.abort();
    assert_eq!(has_ended.recv().await.unwrap(), Err(io::ErrorKind::ConnectionReset));
}
