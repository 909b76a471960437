//! The number of connections, and the time that one may take for a request.

use std::time::Duration;

use partwise_server::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use crate::{
    served::{FORM, Served, in_time, post_head, read_answer, read_to_end, serve, serve_on_threads, steady},
    world::{KEY, World},
};

const LIST: &str = "GET /v1/files HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer key-a\r\n\r\n";

async fn served(change: impl FnOnce(&mut Limits)) -> Served {
    let mut limits = Limits::default();
    change(&mut limits);
    serve(&World::with_limits(limits).await).await
}

/// Sends a request over a connection that is kept, and reads the answer.
async fn list(stream: &mut TcpStream) -> String {
    stream.write_all(LIST.as_bytes()).await.unwrap();
    in_time(read_answer(stream)).await
}

#[tokio::test]
async fn a_connection_above_the_limit_is_told_to_come_back() {
    let served = served(|limits| limits.max_connections = Some(2)).await;
    let mut kept = [served.connect().await, served.connect().await];
    for stream in &mut kept {
        assert!(list(stream).await.starts_with("HTTP/1.1 200"));
    }
    let mut turned_away = served.connect().await;
    turned_away.write_all(LIST.as_bytes()).await.unwrap();
    insta::assert_snapshot!(steady(&read_to_end(&mut turned_away).await), @r#"
    HTTP/1.1 503 Service Unavailable
    content-type: application/json
    content-length: 130
    connection: close
    date: …
    retry-after: 1

    {"error":{"message":"all 2 connections of this server are taken: try again later","type":"server_error","param":null,"code":null}}
    "#);

    let [mut established, ended] = kept;
    assert!(list(&mut established).await.starts_with("HTTP/1.1 200"));
    drop(ended);
    in_time(async {
        loop {
            let mut next = served.connect().await;
            next.write_all(LIST.as_bytes()).await.unwrap();
            if read_answer(&mut next).await.starts_with("HTTP/1.1 200") {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn many_who_are_turned_away_and_do_not_read_hold_nobody_up() {
    let served = served(|limits| limits.max_connections = Some(1)).await;
    let mut established = served.connect().await;
    assert!(list(&mut established).await.starts_with("HTTP/1.1 200"));
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(served.connect().await);
    }
    assert!(list(&mut established).await.starts_with("HTTP/1.1 200"));
    // Each has ended, with an answer or without one, although its caller has not.
    for mut stream in silent {
        let mut answer = Vec::new();
        let ended = in_time(stream.read_to_end(&mut answer)).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 503"), "{ended:?} {answer:?}");
    }
}

#[tokio::test]
async fn one_address_may_be_kept_from_taking_all_connections() {
    let served = served(|limits| limits.max_connections_per_peer = Some(1)).await;
    let mut first = served.connect().await;
    assert!(list(&mut first).await.starts_with("HTTP/1.1 200"));
    let answer = read_to_end(&mut served.connect().await).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("this address has"), "{answer}");
    drop(first);
    in_time(async { while !list(&mut served.connect().await).await.starts_with("HTTP/1.1 200") {} }).await;
}

#[tokio::test]
async fn a_connection_that_never_says_anything_is_closed() {
    for on_threads in [false, true] {
        let mut limits = Limits::default();
        limits.head_timeout = Duration::from_millis(300);
        let world = World::with_limits(limits).await;
        let served = if on_threads { serve_on_threads(&world).await } else { serve(&world).await };
        assert_eq!(read_to_end(&mut served.connect().await).await, "");
    }
}

#[tokio::test]
async fn a_head_that_does_not_end_is_answered_when_its_time_is_over() {
    let served = served(|limits| limits.head_timeout = Duration::from_secs(1)).await;
    // Also of a second request, and however its bytes trickle in.
    for requests_before in [0, 1] {
        let mut stream = served.connect().await;
        for _ in 0..requests_before {
            assert!(list(&mut stream).await.starts_with("HTTP/1.1 200"));
        }
        let (mut reader, mut writer) = stream.into_split();
        let trickle = tokio::spawn(async move {
            writer.write_all(b"GET /v1/files HTTP/1.1\r\nHost: h\r\nX-Slow: ").await.unwrap();
            while writer.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(50)).await;
            }
        });
        let mut answer = String::new();
        in_time(reader.read_to_string(&mut answer)).await.unwrap();
        trickle.abort();
        insta::allow_duplicates! { insta::assert_snapshot!(steady(&answer), @r#"
        HTTP/1.1 408 Request Timeout
        content-type: application/json
        content-length: 137
        connection: close
        date: …

        {"error":{"message":"the head of the request was not complete within 1 seconds","type":"invalid_request_error","param":null,"code":null}}
        "#) };
    }
}

#[tokio::test]
async fn a_head_that_begins_behind_a_request_has_as_much_time_as_any() {
    let served = served(|limits| limits.head_timeout = Duration::from_millis(500)).await;
    // All at once, or the rest while the first is answered or has been.
    for cut in [LIST.len(), LIST.len() + 1, LIST.len() + 10] {
        let bytes = format!("{LIST}GET /v1/files HTTP/1.1\r\nHost: h\r\n");
        let (first, rest) = bytes.as_bytes().split_at(cut);
        let mut stream = served.connect().await;
        stream.set_nodelay(true).unwrap();
        stream.write_all(first).await.unwrap();
        stream.write_all(rest).await.unwrap();
        let answers = read_to_end(&mut stream).await;
        assert!(answers.starts_with("HTTP/1.1 200"), "{answers}");
        assert_eq!(answers.matches("HTTP/1.1 408").count(), 1, "{answers}");
    }
}

#[tokio::test]
async fn a_connection_may_be_idle_for_longer_than_a_head_may_take() {
    let served = served(|limits| {
        limits.head_timeout = Duration::from_millis(500);
        limits.idle_timeout = Duration::from_secs(3);
    })
    .await;
    let mut stream = served.connect().await;
    for body in ["", FORM] {
        if body.is_empty() {
            assert!(list(&mut stream).await.starts_with("HTTP/1.1 200"));
        } else {
            // A body that takes longer than a head may.
            stream.write_all(post_head(KEY, FORM.len(), "").as_bytes()).await.unwrap();
            sleep(Duration::from_secs(1)).await;
            stream.write_all(FORM.as_bytes()).await.unwrap();
            assert!(in_time(read_answer(&mut stream)).await.starts_with("HTTP/1.1 200"));
        }
        sleep(Duration::from_secs(1)).await;
    }
    assert!(list(&mut stream).await.starts_with("HTTP/1.1 200"));
    // An empty line behind a request begins no other.
    stream.write_all(b"\r\n").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(list(&mut stream).await.starts_with("HTTP/1.1 200"));
    // In the end it is closed, and nothing is sent that could be taken for an answer.
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_answered_in_the_shape_of_the_api() {
    let served = served(|_| ()).await;
    let fits = format!("X-Long: {}\r\n", "x".repeat(60 * 1024));
    let mut stream = served.connect().await;
    stream.write_all(LIST.replace("\r\n\r\n", &format!("\r\n{fits}\r\n")).as_bytes()).await.unwrap();
    assert!(in_time(read_answer(&mut stream)).await.starts_with("HTTP/1.1 200"));

    let mut stream = served.connect().await;
    let long = format!("X-Long: {}\r\n", "x".repeat(1024 * 1024));
    stream.write_all(LIST.replace("\r\n\r\n", &format!("\r\n{long}\r\n")).as_bytes()).await.unwrap();
    insta::assert_snapshot!(steady(&read_to_end(&mut stream).await), @r#"
    HTTP/1.1 431 Request Header Fields Too Large
    content-type: application/json
    content-length: 155
    connection: close
    date: …

    {"error":{"message":"the head of the request has more than 65536 bytes, or more than 100 headers","type":"invalid_request_error","param":null,"code":null}}
    "#);

    let mut stream = served.connect().await;
    let many: String = (0..200).map(|number| format!("X-{number}: x\r\n")).collect();
    stream.write_all(LIST.replace("\r\n\r\n", &format!("\r\n{many}\r\n")).as_bytes()).await.unwrap();
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn what_is_no_request_is_answered_in_the_shape_of_the_api() {
    let served = served(|_| ()).await;
    let mut answers = String::new();
    for request in [
        "NO REQUEST\r\n\r\n",
        "GET /v1/files HTTP/1.1\r\nHost : h\r\n\r\n",
        "POST /v1/files HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
    ] {
        let mut stream = served.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        answers += &format!("> {request:?}\n{}\n", steady(&read_to_end(&mut stream).await));
    }
    insta::assert_snapshot!(answers, @r#"
    > "NO REQUEST\r\n\r\n"
    HTTP/1.1 400 Bad Request
    content-type: application/json
    content-length: 131
    connection: close
    date: …

    {"error":{"message":"the request cannot be read as HTTP/1.1: invalid URI","type":"invalid_request_error","param":null,"code":null}}
    > "GET /v1/files HTTP/1.1\r\nHost : h\r\n\r\n"
    HTTP/1.1 400 Bad Request
    content-type: application/json
    content-length: 146
    connection: close
    date: …

    {"error":{"message":"the request cannot be read as HTTP/1.1: invalid HTTP header parsed","type":"invalid_request_error","param":null,"code":null}}
    > "POST /v1/files HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n"
    HTTP/1.1 400 Bad Request
    content-type: application/json
    content-length: 149
    connection: close
    date: …

    {"error":{"message":"the request cannot be read as HTTP/1.1: invalid content-length parsed","type":"invalid_request_error","param":null,"code":null}}
    "#);
}

#[tokio::test]
async fn an_answer_before_a_request_that_cannot_be_read_arrives_whole() {
    let served = served(|_| ()).await;
    let mut stream = served.connect().await;
    stream.write_all(format!("{LIST}NO REQUEST\r\n\r\n").as_bytes()).await.unwrap();
    let answers = read_to_end(&mut stream).await;
    assert!(answers.starts_with("HTTP/1.1 200"), "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 400").count(), 1, "{answers}");
}

#[tokio::test]
async fn the_beginning_of_http_2_is_answered_with_400() {
    let served = serve(&World::new().await).await;
    let mut stream = served.connect().await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("cannot be read as HTTP/1.1"), "{answer}");
}
