//! Ranges in parallel, and what becomes of one that is interrupted.

use partwise::{Client, Writing};
use partwise_models::Purpose;
use partwise_protocol::upload::Plan;
use partwise_testkit::{
    content::noise,
    errors::line,
    http1::{drain, read_request},
};
use tokio::{io::AsyncWriteExt, sync::mpsc};

use crate::{
    peer::{MIB, Peer, options},
    range_peer::{ETAG, Folder, part, peer, plan, whole, within},
    service_side::{Content, KEY, client, embedded, openai, serve},
};

async fn stored(client: &Client, content: &Content) -> String {
    let plan = Plan::new("a.jsonl", "application/jsonl", Purpose::Batch);
    client.upload_as(plan, content.source()).await.unwrap().id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_in_parallel_make_the_same_file_however_it_is_written() {
    let running = serve().await;
    let content = Content::of(9 * MIB + 17);
    for writing in [Writing::Blocking, Writing::Inline] {
        let client = client(openai(running.address), KEY).to_builder().writing(writing).build();
        let id = stored(&client, &content).await;
        // One range, several, odd ones, and more than are needed.
        for (parallel, range_size) in [(1, 16 * MIB), (4, MIB), (3, 700_001), (64, 100_000)] {
            let folder = Folder::new();
            let mut plan = plan(&id, range_size);
            plan.parallel = parallel;
            let download = client.download_to(plan, folder.target()).prepare().await.unwrap();
            let progress = download.progress();
            let length = download.run().await.unwrap_or_else(|error| panic!("{}", line(&error)));
            assert_eq!(length, 9 * MIB + 17);
            assert!(folder.bytes() == content.bytes, "{writing:?}, {parallel} by {range_size}");
            let end = *progress.borrow();
            assert_eq!((end.bytes_written, end.bytes_total, end.retries), (length, Some(length), 0));
        }
    }
}

#[tokio::test]
async fn past_the_cache_or_not_the_bytes_are_the_same() {
    let client = embedded().await;
    let content = Content::of(5 * MIB + 17);
    let id = stored(&client, &content).await;
    for range_size in [16 * MIB, MIB, 700_001] {
        let folder = Folder::new();
        client.download_to(plan(&id, range_size), folder.target().past_the_cache()).await.unwrap();
        assert!(folder.bytes() == content.bytes, "in ranges of {range_size}");
    }
}

#[tokio::test]
async fn a_server_inside_the_process_serves_ranges_too() {
    let client = embedded().await;
    let content = Content::of(3 * MIB + 1);
    let id = stored(&client, &content).await;
    let folder = Folder::new();
    client.download_to(plan(&id, MIB), folder.target()).await.unwrap();
    assert!(folder.bytes() == content.bytes);
}

#[tokio::test]
async fn a_range_that_breaks_off_is_gone_on_with_from_where_it_broke() {
    let content = noise(4 * MIB);
    let served = content.clone();
    let (peer, asked) = peer(move |number, range| {
        let reply = part(&served, within(range, &served), ETAG);
        if number % 2 == 0 { reply.cut(300_000) } else { reply }
    })
    .await;
    let folder = Folder::new();
    peer.client(options()).download_to(plan("file-1", MIB), folder.target()).await.unwrap();
    assert!(folder.bytes() == content);
    let asked = asked.lock().unwrap();
    let mut covered = vec![0_u8; content.len()];
    for (number, range) in asked.iter().enumerate() {
        let mut range = range.clone().unwrap();
        if number % 2 == 0 {
            range.end = range.end.min(range.start + 300_000);
        }
        covered[range].iter_mut().for_each(|times| *times += 1);
    }
    assert!(covered.iter().all(|times| *times == 1), "what had come came again: {asked:?}");
}

#[tokio::test]
async fn dropping_a_download_closes_all_its_connections() {
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let peer = Peer::start(move |mut stream, number| {
        let closed = closed.clone();
        async move {
            let (head, _) = read_request(&mut stream).await.unwrap();
            let first = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("range: bytes=")?.split('-').next()?.parse().ok()
            });
            let first: u64 = first.unwrap();
            let head = format!(
                "HTTP/1.1 206 Part\r\nContent-Length: 1000\r\nContent-Range: bytes {first}-{}/9000\r\n\r\n0",
                first + 999
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            drain(&mut stream, &mut 0).await;
            closed.send(number).unwrap();
        }
    })
    .await;
    let folder = Folder::new();
    let download =
        peer.client(options()).download_to(plan("file-1", 1000), folder.target()).prepare().await.unwrap();
    let mut progress = download.progress();
    let running = tokio::spawn(download.run());
    progress.wait_for(|now| now.requests == 4).await.unwrap();
    while peer.accepted() < 4 {
        tokio::task::yield_now().await;
    }
    running.abort();
    for _ in 0..4 {
        was_closed.recv().await.unwrap();
    }
}

#[tokio::test]
async fn a_range_size_and_one_answer_are_what_is_asked_for() {
    let content = noise(2 * MIB + 1);
    let served = content.clone();
    let (peer, asked) = peer(move |_, range| match range {
        Some(_) => part(&served, within(range, &served), ETAG),
        None => whole(&served, ETAG),
    })
    .await;
    let (client, mib) = (peer.client(options()), 1 << 20);
    for (expected, is_in_ranges) in
        [(vec![Some(0..mib), Some(mib..2 * mib), Some(2 * mib..2 * mib + 1)], true), (vec![None], false)]
    {
        let folder = Folder::new();
        let download = client.download_to("file-1", folder.target()).range_size(MIB).parallel(1);
        let download = if is_in_ranges { download } else { download.without_ranges() };
        assert_eq!(download.await.unwrap(), 2 * MIB + 1);
        assert!(folder.bytes() == content);
        assert_eq!(std::mem::take(&mut *asked.lock().unwrap()), expected);
    }
}
