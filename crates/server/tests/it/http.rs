//! Rules of HTTP beside the API.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use partwise_protocol::{
    Operation,
    operations::{CreateFile, DownloadFile, ListFiles, RetrieveFile},
};
use partwise_server::Keys;
use tokio::io::AsyncWriteExt;

use crate::{
    served::{FORM, Served, in_time, post_head, read_answer, read_to_end, serve, steady},
    world::{KEY, World, azure, printed},
};

/// The first line and the message of an answer to a request for the list, with these headers.
async fn told(served: &Served, version: &str, headers: &str) -> String {
    let mut stream = served.connect().await;
    let request = format!(
        "GET /v1/files HTTP/{version}\r\nAuthorization: Bearer {KEY}\r\n{headers}Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    let status = answer.lines().next().unwrap_or_default();
    let message = answer.split("\"message\":\"").nth(1).and_then(|rest| rest.split("\",").next());
    format!("{status} {}", message.unwrap_or_default())
}

#[tokio::test]
async fn a_request_names_one_host() {
    let served = serve(&World::new().await).await;
    let mut text = String::new();
    for (version, headers) in [
        ("1.1", ""),
        ("1.1", "Host: a\r\nHost: a\r\n"),
        ("1.1", "Host: a\r\nHost: b\r\n"),
        ("1.0", "Host: a\r\nHost: b\r\n"),
        ("1.0", ""),
        ("1.1", "Host: a\r\n"),
    ] {
        text += &format!("{version} {headers:?}: {}\n", told(&served, version, headers).await);
    }
    insta::assert_snapshot!(text, @r#"
    1.1 "": HTTP/1.1 400 Bad Request the request has no Host: send one, as HTTP/1.1 wants it
    1.1 "Host: a\r\nHost: a\r\n": HTTP/1.1 400 Bad Request the request has more than one Host
    1.1 "Host: a\r\nHost: b\r\n": HTTP/1.1 400 Bad Request the request has more than one Host
    1.0 "Host: a\r\nHost: b\r\n": HTTP/1.0 400 Bad Request the request has more than one Host
    1.0 "": HTTP/1.0 200 OK 
    1.1 "Host: a\r\n": HTTP/1.1 200 OK
    "#);
}

#[tokio::test]
async fn a_server_without_keys_takes_requests_for_loopback_names_alone() {
    let world = World::new().await;
    let served = serve(&world).await;
    let hosts = [
        "localhost",
        "LOCALHOST:8080",
        "localhost.",
        "a.b.localhost:1",
        "127.0.0.1",
        "127.9.8.7:80",
        "[::1]",
        "[::1]:8080",
        "[::ffff:127.0.0.1]:1",
        "evil.example",
        "localhost.evil.example",
        "evillocalhost",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "[::2]",
        "0.0.0.0",
        "",
    ];
    for (host, index) in hosts.iter().zip(0..) {
        let answer = told(&served, "1.1", &format!("Host: {host}\r\n")).await;
        assert!(
            host.is_empty() || answer.starts_with("HTTP/1.1 200"),
            "any host will do with keys: {host} {answer}"
        );
        world.server.set_keys(Keys::any());
        let answer = told(&served, "1.1", &format!("Host: {host}\r\n")).await;
        assert_eq!(answer.starts_with("HTTP/1.1 200"), index < 9, "{host}: {answer}");
        if index == 9 {
            insta::assert_snapshot!(answer, @"HTTP/1.1 403 Forbidden this server has no keys, so it takes requests for this machine's own names alone, and the Host of this one is another: use http://127.0.0.1 or http://localhost, or give the server keys");
        }
        world.server.set_keys(Keys::new([(KEY, partwise_server::Tenant::new("team-a").unwrap())]));
    }
    world.server.set_keys(Keys::any());
    let mut stream = served.connect().await;
    stream
        .write_all(
            b"GET http://evil.example/v1/files HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )
        .await
        .unwrap();
    assert!(
        read_to_end(&mut stream).await.starts_with("HTTP/1.1 403"),
        "the host of an absolute form counts too"
    );
}

#[tokio::test]
async fn a_mounted_server_takes_any_host_unless_it_is_told_otherwise() {
    let world = World::new().await;
    world.server.set_keys(Keys::any());
    let request = |host: Option<&str>| {
        let request = world.caller().plain("GET", "/files");
        host.into_iter()
            .fold(request, |request, host| request.header("host", host))
            .body(Bytes::new())
            .unwrap()
    };
    for host in [None, Some("evil.example")] {
        assert_eq!(world.caller().send(request(host)).await.status(), StatusCode::OK);
    }
    let careful = World::with_loopback_hosts_only().await;
    for (host, status) in [(None, 200), (Some("localhost:1"), 200), (Some("evil.example"), 403)] {
        let answer = careful.caller().send(request(host)).await;
        assert_eq!(answer.status(), status, "{host:?}");
        // It has keys: that they are missing is no reason to tell.
        if status == 403 {
            let refusal = partwise_protocol::error::ApiError::decode_response(&answer);
            insta::assert_snapshot!(crate::world::told(&refusal), @"403: this server takes requests for this machine's own names alone, and the Host of this one is another: use http://127.0.0.1 or http://localhost");
        }
    }
}

#[tokio::test]
async fn a_body_in_another_coding_is_refused() {
    let served = serve(&World::new().await).await;
    let mut text = String::new();
    for (header, connection_is_kept) in [
        ("Content-Encoding: gzip", true),
        ("Content-Encoding: identity, br", true),
        ("Content-Encoding: Identity", true),
        ("Transfer-Encoding: gzip, chunked", false),
        ("Transfer-Encoding: gzip", false),
        ("Transfer-Encoding: chunked, gzip", false),
    ] {
        let mut stream = served.connect().await;
        let head = post_head(KEY, FORM.len(), &format!("{header}\r\n"));
        let head = if connection_is_kept {
            head
        } else {
            head.replace(&format!("Content-Length: {}\r\n", FORM.len()), "")
        };
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(FORM.as_bytes()).await.unwrap();
        let answer = in_time(read_answer(&mut stream)).await;
        if answer.starts_with("HTTP/1.1 200") {
            text += &format!("> {header}\ntaken\n\n");
        } else {
            text += &format!("> {header}\n{}\n\n", steady(&answer));
        }
    }
    insta::assert_snapshot!(text, @r#"
    > Content-Encoding: gzip
    HTTP/1.1 415 Unsupported Media Type
    content-type: application/json
    content-length: 129
    accept-encoding: identity
    x-request-id: …
    date: …

    {"error":{"message":"the body has a Content-Encoding: send it as it is","type":"invalid_request_error","param":null,"code":null}}

    > Content-Encoding: identity, br
    HTTP/1.1 415 Unsupported Media Type
    content-type: application/json
    content-length: 129
    accept-encoding: identity
    x-request-id: …
    date: …

    {"error":{"message":"the body has a Content-Encoding: send it as it is","type":"invalid_request_error","param":null,"code":null}}

    > Content-Encoding: Identity
    taken

    > Transfer-Encoding: gzip, chunked
    HTTP/1.1 501 Not Implemented
    content-type: application/json
    content-length: 128
    x-request-id: …
    connection: close
    date: …

    {"error":{"message":"this server takes no other Transfer-Encoding than chunked","type":"server_error","param":null,"code":null}}

    > Transfer-Encoding: gzip
    HTTP/1.1 501 Not Implemented
    content-type: application/json
    content-length: 128
    connection: close
    date: …

    {"error":{"message":"this server takes no other Transfer-Encoding than chunked","type":"server_error","param":null,"code":null}}

    > Transfer-Encoding: chunked, gzip
    HTTP/1.1 501 Not Implemented
    content-type: application/json
    content-length: 128
    connection: close
    date: …

    {"error":{"message":"this server takes no other Transfer-Encoding than chunked","type":"server_error","param":null,"code":null}}
    "#);
}

#[tokio::test]
async fn head_is_answered_as_get_without_the_body() {
    let world = World::new().await;
    let served = serve(&world).await;
    for caller in [world.caller(), world.caller_of(azure("2024-10-21"))] {
        let file = caller.create_file("a.txt", b"0123456789").await;
        let requests = [
            caller.request(&ListFiles::new()),
            caller.request(&RetrieveFile::new(&file.id)),
            caller.request(&DownloadFile::new(&file.id)),
            caller.request(&RetrieveFile::new("file-none")),
        ];
        let mut stream = served.connect().await;
        for get in requests {
            let mut head = get.clone();
            *head.method_mut() = Method::HEAD;
            assert_eq!(
                comparable(&caller.send(get.clone()).await),
                comparable(&caller.send(head.clone()).await)
            );
            assert!(caller.send(head.clone()).await.into_body().is_empty());
            // On the wire too, over a connection that goes on.
            let got = over(&mut stream, &get).await;
            let headed = over(&mut stream, &head).await;
            assert_eq!(headed.split("\r\n\r\n").nth(1), Some(""), "{headed}");
            let heads =
                [got, headed].map(|answer| steady(answer.split("\r\n\r\n").next().unwrap_or_default()));
            assert_eq!(heads[0], heads[1]);
        }
    }
    let refused = world.caller().plain("HEAD", "/uploads").body(Bytes::new()).unwrap();
    insta::assert_snapshot!(printed(&world.caller().send(refused).await), @"
    405 Method Not Allowed
    allow: POST
    content-length: 112
    content-type: application/json
    x-request-id: req_0000000000000000000000000000002d
    ");
    let refused = world.caller().plain("PUT", "/files").body(Bytes::new()).unwrap();
    assert_eq!(world.caller().send(refused).await.headers()["allow"], "GET, HEAD, POST");
}

#[tokio::test]
async fn a_range_counts_for_get_alone() {
    let world = World::new().await;
    let caller = world.caller();
    let file = caller.create_file("a.txt", b"0123456789").await;
    let mut head = caller.request(&DownloadFile::new(&file.id));
    *head.method_mut() = Method::HEAD;
    let whole = comparable(&caller.send(head.clone()).await);
    for range in ["bytes=2-5", "bytes=-3", "bytes=20-"] {
        head.headers_mut().insert("range", range.parse().unwrap());
        assert_eq!(comparable(&caller.send(head.clone()).await), whole, "{range}");
    }
    insta::assert_snapshot!(whole, @r#"
    200 OK
    accept-ranges: bytes
    content-disposition: attachment; filename="a.txt"
    content-length: 10
    content-type: application/octet-stream
    etag: "file-0068e778000000000000000021000000"
    x-content-type-options: nosniff
    "#);
}

/// Status and headers but for the number of the request.
fn comparable(response: &http::Response<Bytes>) -> String {
    let text = printed(response);
    let head = text.split("\n\n").next().unwrap_or_default();
    head.lines().filter(|line| !line.contains("request-id")).collect::<Vec<_>>().join("\n")
}

async fn over(stream: &mut tokio::net::TcpStream, request: &Request<Bytes>) -> String {
    let target = request.uri().path_and_query().unwrap();
    let mut text = format!("{} {target} HTTP/1.1\r\nHost: h\r\n", request.method());
    for (name, value) in request.headers() {
        text += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    stream.write_all((text + "\r\n").as_bytes()).await.unwrap();
    let is_head = request.method() == Method::HEAD;
    in_time(crate::served::read_answer_to(stream, is_head)).await
}

#[tokio::test]
async fn a_caller_who_is_not_told_to_go_on_is_told_that_the_connection_ends() {
    let served = serve(&World::new().await).await;
    let mut stream = served.connect().await;
    stream.write_all(post_head("wrong", FORM.len(), "Expect: 100-continue\r\n").as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    // Not only because HTTP below says so.
    let world = World::new().await;
    let request = world.caller().plain("PUT", "/files").header("expect", "100-continue");
    let response = world.caller().send(request.body(Bytes::from_static(b"abc")).unwrap()).await;
    assert_eq!(response.headers()["connection"], "close");
}

#[tokio::test]
async fn a_file_that_is_made_with_a_coding_of_identity_is_as_it_was_sent() {
    let world = World::new().await;
    let mut request =
        world.caller().request(&crate::world::new_file(partwise_models::Purpose::Assistants, "a", b"abc"));
    request.headers_mut().insert("content-encoding", "identity".parse().unwrap());
    let file = CreateFile::decode_response(world.caller().send(request).await).unwrap();
    assert_eq!(world.caller().download(&file.id).await.unwrap(), "abc");
}
