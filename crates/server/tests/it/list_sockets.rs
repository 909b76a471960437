//! Long lists on a real socket.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use object_store::memory::InMemory;
use partwise_models::FileList;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};

use crate::{
    records::put_record,
    spied_store::{Counts, SpiedStore},
    world::{KEY, World},
};

/// A world with so many files, whose store is spied upon.
async fn spied(files: u64, filename: &str) -> (World, Arc<Counts>) {
    let (objects, counts) = SpiedStore::over(Arc::new(InMemory::new()));
    let world = World::over(objects).await;
    for index in 0..files {
        put_record(&world, index, filename).await;
    }
    (world, counts)
}

/// Serves for as long as the test runs.
async fn serve(world: &World, on_threads: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (server, for_ever) = (world.server.clone(), std::future::pending());
    if on_threads {
        let serving = server.serve_on_threads(2.try_into().unwrap(), listener, for_ever).unwrap();
        tokio::spawn(serving);
    } else {
        tokio::spawn(async move { server.serve(listener, for_ever).await });
    }
    address
}

async fn client(address: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

fn request() -> Request<Empty<Bytes>> {
    let request = Request::get("/v1/files").header("host", "localhost").header("api-key", KEY);
    request.body(Empty::new()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_comes_in_chunks_on_a_connection_that_goes_on() {
    let (world, _) = spied(3_000, "name").await;
    for on_threads in [false, true] {
        let address = serve(&world, on_threads).await;
        let mut client = client(address).await;
        for _ in 0..2 {
            let response = client.send_request(request()).await.unwrap();
            assert_eq!(response.headers()[header::TRANSFER_ENCODING], "chunked");
            assert!(!response.headers().contains_key(header::CONTENT_LENGTH));
            let text = response.into_body().collect().await.unwrap().to_bytes();
            let list: FileList = serde_json::from_slice(&text).unwrap();
            assert_eq!((list.data.len(), list.has_more), (3_000, Some(false)));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_ends_with_the_connection_of_an_old_client() {
    let (world, _) = spied(3_000, "name").await;
    let mut stream = TcpStream::connect(serve(&world, true).await).await.unwrap();
    stream
        .write_all(format!("GET /v1/files HTTP/1.0\r\nHost: localhost\r\napi-key: {KEY}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
    assert_eq!(serde_json::from_str::<FileList>(body).unwrap().data.len(), 3_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_list_does_not_end_on_the_wire() {
    for on_threads in [false, true] {
        let (world, counts) = spied(3_000, "name").await;
        counts.fail_after(2_000);
        let mut client = client(serve(&world, on_threads).await).await;
        let response = client.send_request(request()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.into_body().collect().await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_whose_readers_do_not_read_wait_for_them() {
    const LISTS: u64 = 10;
    // 13 MB, of which the system takes some MB for each connection. Azure's older versions have no pages.
    const FILES: u64 = 20_000;
    let (world, counts) = spied(FILES, &"n".repeat(512)).await;
    let address = serve(&world, true).await;
    let get = format!(
        "GET /openai/files?api-version=2024-10-21 HTTP/1.1\r\nHost: localhost\r\napi-key: {KEY}\r\n\r\n"
    );
    let mut readers = Vec::new();
    for _ in 0..LISTS {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut reader = socket.connect(address).await.unwrap();
        reader.write_all(get.as_bytes()).await.unwrap();
        let mut first = [0; 12];
        reader.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        readers.push(reader);
    }
    let mut read = 0;
    while counts.records() > read {
        read = counts.records();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(read < LISTS * FILES / 2, "{read} records were read for nobody");
    // One who reads gets it all.
    let mut reader = readers.pop().unwrap();
    let (mut length, mut buffer) = (0, vec![0; 1 << 20]);
    while length < FILES as usize * 512 {
        length += reader.read(&mut buffer).await.unwrap();
    }
}
