//! Keys that change while the server runs, and keys that are guessed.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use partwise_server::{Keys, Peer, Tenant};
use tokio::{io::AsyncWriteExt, time::Instant};

use crate::{
    served::{FORM, in_time, post_head, read_answer, serve},
    world::{KEY, World},
};

fn keys(key: &str) -> Keys {
    Keys::new([(key, Tenant::new("team-a").unwrap())])
}

async fn status(world: &World, key: &str, peer: Option<&str>) -> StatusCode {
    let mut request = http::Request::get("/v1/files").header("api-key", key).body(Bytes::new()).unwrap();
    if let Some(peer) = peer {
        request.extensions_mut().insert(Peer::new(format!("{peer}:1").parse::<SocketAddr>().unwrap()));
    }
    world.caller().send(request).await.status()
}

#[tokio::test]
async fn keys_are_replaced_while_requests_go_on() {
    let world = World::new().await;
    let served = serve(&world).await;
    let mut stream = served.connect().await;
    stream.write_all(post_head(KEY, FORM.len(), "Expect: 100-continue\r\n").as_bytes()).await.unwrap();
    assert!(in_time(read_answer(&mut stream)).await.starts_with("HTTP/1.1 100"));
    world.server.set_keys(keys("new"));
    assert_eq!(status(&world, KEY, None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&world, "new", None).await, StatusCode::OK);
    stream.write_all(FORM.as_bytes()).await.unwrap();
    assert!(in_time(read_answer(&mut stream)).await.starts_with("HTTP/1.1 200"));
}

/// Seconds that an answer took, in a time that passes only while all wait.
async fn waited(world: &World, key: &str, peer: Option<&str>) -> u64 {
    let since = Instant::now();
    let expected = if key == KEY { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
    assert_eq!(status(world, key, peer).await, expected);
    since.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn after_ten_wrong_keys_further_wrong_ones_wait_and_right_ones_do_not() {
    let world = World::new().await;
    let guesser = Some("192.0.2.1");
    for _ in 0..10 {
        assert_eq!(waited(&world, "wrong", guesser).await, 0);
    }
    let mut waits = Vec::new();
    for _ in 0..8 {
        waits.push(waited(&world, "wrong", guesser).await);
        assert_eq!(waited(&world, KEY, guesser).await, 0);
    }
    assert_eq!(waits, [1, 2, 3, 4, 5, 5, 5, 5]);
    assert_eq!(waited(&world, "wrong", Some("192.0.2.2")).await, 0, "another address");
    assert_eq!(waited(&world, "wrong", None).await, 0, "no address is known");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(waited(&world, "wrong", guesser).await, 0, "a minute later");
}

#[tokio::test(start_paused = true)]
async fn who_has_a_network_of_its_own_is_one_peer() {
    let world = World::new().await;
    for last in 0..10 {
        assert_eq!(waited(&world, "wrong", Some(&format!("[2001:db8::{last}]"))).await, 0);
    }
    assert_eq!(waited(&world, "wrong", Some("[2001:db8::ffff]")).await, 1);
    assert_eq!(waited(&world, "wrong", Some("[2001:db8:0:1::1]")).await, 0, "another network");
}

#[tokio::test(start_paused = true)]
async fn only_so_many_wait_at_once() {
    let world = World::new().await;
    let peers: Vec<_> = (0..6).map(|last| format!("192.0.2.{last}")).collect();
    for peer in &peers {
        for _ in 0..10 {
            assert_eq!(waited(&world, "wrong", Some(peer)).await, 0);
        }
    }
    // Of one address, and of all together.
    for (peers, most) in [(&peers[..1], 16), (&peers[..], 64)] {
        let guesses = peers.iter().flat_map(|peer| (0..30).map(|_| waited(&world, "wrong", Some(peer))));
        let waits = futures_util::future::join_all(guesses).await;
        assert_eq!(waits.iter().filter(|wait| **wait > 0).count(), most);
    }
}
