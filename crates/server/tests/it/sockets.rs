//! The server on a real socket, and what hyper makes of it.

use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use http::StatusCode;
use partwise_models::Purpose;
use partwise_protocol::{
    Operation,
    operations::{ByteRange, CreateFile, DownloadFile, RetrieveFile},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    download::file_of_parts,
    served::{FORM, Served, in_time, post_head, read_answer, send, serve, serve_on_threads},
    world::{KEY, World, new_file},
};

#[tokio::test]
async fn a_large_file_goes_up_and_comes_back_over_a_connection_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await;
    let served = serve(&world).await;
    let mut client = served.client().await;
    let content: Vec<u8> =
        (0..20_000_003u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let request = world.caller().request(&new_file(Purpose::Assistants, "large.bin", &content));
    let response = in_time(send(&mut client, request)).await;
    assert!(response.headers().contains_key("date"));
    let file = CreateFile::decode_response(response).unwrap();
    let download = world.caller().request(&DownloadFile::new(&file.id));
    let response = in_time(send(&mut client, download)).await;
    assert_eq!(response.headers()["content-length"], "20000003");
    assert!(response.body() == &content, "the same bytes");
}

#[tokio::test]
async fn ranges_of_a_file_on_a_disk_come_one_after_the_other_over_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await;
    let caller = world.caller();
    let (id, content) = file_of_parts(&caller, &[1, 70_000, 3_000_000, 5]).await;
    let served = serve(&world).await;
    let mut client = served.client().await;
    let last = content.len() - 1;
    for (first, last) in [(0, last), (0, 0), (0, 1), (70_000, 70_001), (69_999, 3_070_002), (last, last)] {
        let mut download = DownloadFile::new(&id);
        download.range = Some(ByteRange::From { first: first as u64, last: Some(last as u64) });
        let response = in_time(send(&mut client, caller.request(&download))).await;
        assert!(response.body() == &content[first..=last], "bytes {first} to {last}");
        let response = in_time(send(&mut client, caller.request(&RetrieveFile::new(&id)))).await;
        assert_eq!(RetrieveFile::decode_response(response).unwrap().bytes, Some(content.len() as u64));
    }
}

#[tokio::test]
async fn a_caller_who_is_still_sending_sees_why_it_was_refused() {
    let world = World::new().await;
    let served = serve(&world).await;
    for (key, length, status) in [("wrong", 32 << 20, "401"), (KEY, 600 << 20, "413")] {
        let mut stream = served.connect().await;
        stream.write_all(post_head(key, length, "").as_bytes()).await.unwrap();
        let chunk = vec![0; 1 << 20];
        for _ in 0..32 {
            in_time(stream.write_all(&chunk)).await.expect("the server goes on reading");
        }
        let answer = in_time(read_answer(&mut stream)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn a_connection_survives_a_refusal_of_a_small_body() {
    let world = World::new().await;
    let served = serve(&world).await;
    let mut stream = served.connect().await;
    for (key, status) in [("wrong", "401"), (KEY, "200"), ("wrong", "401"), (KEY, "200")] {
        stream.write_all(post_head(key, FORM.len(), "").as_bytes()).await.unwrap();
        stream.write_all(FORM.as_bytes()).await.unwrap();
        let answer = in_time(read_answer(&mut stream)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[tokio::test]
async fn a_caller_who_waits_to_be_told_to_go_on_is_told_only_if_it_may() {
    let world = World::new().await;
    let served = serve(&world).await;
    let expect = "Expect: 100-continue\r\n";

    let mut stream = served.connect().await;
    stream.write_all(post_head("wrong", FORM.len(), expect).as_bytes()).await.unwrap();
    let answer = in_time(read_answer(&mut stream)).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");

    let mut stream = served.connect().await;
    stream.write_all(post_head(KEY, FORM.len(), expect).as_bytes()).await.unwrap();
    let answer = in_time(read_answer(&mut stream)).await;
    assert!(answer.starts_with("HTTP/1.1 100"), "{answer}");
    stream.write_all(FORM.as_bytes()).await.unwrap();
    let answer = in_time(read_answer(&mut stream)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_body_without_a_length_is_taken() {
    let world = World::new().await;
    let served = serve(&world).await;
    let mut stream = served.connect().await;
    for _ in 0..2 {
        let head = post_head(KEY, 0, "").replace("Content-Length: 0", "Transfer-Encoding: chunked");
        stream.write_all(head.as_bytes()).await.unwrap();
        for piece in FORM.as_bytes().chunks(10) {
            stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await.unwrap();
            stream.write_all(piece).await.unwrap();
            stream.write_all(b"\r\n").await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        let answer = in_time(read_answer(&mut stream)).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(!answer.to_lowercase().contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn a_connection_that_ends_within_a_body_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await;
    for served in [serve(&world).await, serve_on_threads(&world).await] {
        ends_within_a_body(served).await;
        assert_eq!(world.objects().await, Vec::<String>::new());
        nothing_unfinished_is_left(folder.path()).await;
    }
}

async fn ends_within_a_body(served: Served) {
    let big = vec![b'x'; 2_600_000];
    let form = FORM.replace("abc", std::str::from_utf8(&big).unwrap());
    for cut in [0, 100, 1_200_000, form.len() - 1] {
        let mut stream = served.connect().await;
        stream.write_all(post_head(KEY, form.len(), "").as_bytes()).await.unwrap();
        stream.write_all(&form.as_bytes()[..cut]).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        in_time(stream.read_to_end(&mut rest)).await.unwrap();
        let rest = String::from_utf8_lossy(&rest);
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 400"), "{rest}");
    }
    served.stop.send(()).unwrap();
    in_time(served.server).await.unwrap();
}

/// An object that is being written has a `#` in its name until it is whole.
async fn nothing_unfinished_is_left(folder: &Path) {
    let gone = async {
        while unfinished(folder) > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    in_time(gone).await;
}

fn unfinished(folder: &Path) -> usize {
    let count = |path: PathBuf| match path.is_dir() {
        true => unfinished(&path),
        // What is held back for a full disk is named like that, too.
        false => {
            usize::from(path.to_string_lossy().contains('#') && !path.to_string_lossy().contains("/reserve/"))
        }
    };
    std::fs::read_dir(folder).unwrap().map(|entry| count(entry.unwrap().path())).sum()
}

#[tokio::test]
async fn a_server_that_stops_finishes_what_it_has_begun_and_takes_nothing_new() {
    let world = World::new().await;
    finishes_what_it_has_begun(serve(&world).await).await;
    finishes_what_it_has_begun(serve_on_threads(&world).await).await;
}

async fn finishes_what_it_has_begun(served: Served) {
    let mut idle = served.connect().await;
    let mut busy = served.connect().await;
    let (first, rest) = FORM.as_bytes().split_at(40);
    busy.write_all(post_head(KEY, FORM.len(), "Expect: 100-continue\r\n").as_bytes()).await.unwrap();
    // The server asks for the body, so it has begun.
    assert!(in_time(read_answer(&mut busy)).await.starts_with("HTTP/1.1 100"));
    busy.write_all(first).await.unwrap();
    served.stop.send(()).unwrap();
    assert_eq!(in_time(idle.read(&mut [0; 1])).await.unwrap(), 0, "the idle connection ends");
    assert!(TcpStream::connect(served.address).await.is_err(), "no new connection is taken");
    busy.write_all(rest).await.unwrap();
    let answer = in_time(read_answer(&mut busy)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    in_time(served.server).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_dropped_ends_what_it_has_begun_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await;
    for served in [serve(&world).await, serve_on_threads(&world).await] {
        let mut busy = served.connect().await;
        busy.write_all(post_head(KEY, 9_000_000, "").as_bytes()).await.unwrap();
        let form = FORM.replace("abc", &"x".repeat(8_000_000));
        busy.write_all(&form.as_bytes()[..7_000_000]).await.unwrap();
        in_time(async {
            while unfinished(folder.path()) == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        })
        .await;
        served.server.abort();
        let end = in_time(busy.read(&mut [0; 1])).await;
        assert!(end.as_ref().map_or(true, |read| *read == 0), "{end:?}");
        nothing_unfinished_is_left(folder.path()).await;
    }
}

#[tokio::test]
async fn connections_that_share_threads_get_their_own_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await;
    let served = serve_on_threads(&world).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(served.client().await);
    }
    let clients = clients.into_iter().zip(0u8..).map(async |(mut client, number)| {
        let content = vec![number; 3_000_000];
        let request = world.caller().request(&new_file(Purpose::Assistants, "a.bin", &content));
        let file = CreateFile::decode_response(send(&mut client, request).await).unwrap();
        let download = world.caller().request(&DownloadFile::new(&file.id));
        assert!(send(&mut client, download).await.body() == &content, "the bytes of connection {number}");
    });
    in_time(join_all(clients)).await;
}

#[tokio::test]
async fn the_location_of_a_file_names_the_host_that_was_asked() {
    let world = World::new().await;
    let served = serve(&world).await;
    let mut client = served.client().await;
    let caller = world.caller_of(crate::world::azure("2024-10-21"));
    let request = caller.request(&new_file(Purpose::FineTune, "a.jsonl", b"a"));
    let response = in_time(send(&mut client, request)).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let file = CreateFile::decode_response(response).unwrap();
    assert_eq!(location, format!("http://partwise.test/openai/files/{}?api-version=2024-10-21", file.id));
}
