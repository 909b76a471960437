//! Redirects: who gets the request again, and who gets the key.

use http::StatusCode;
use partwise::{Client, Error};
use partwise_protocol::{
    operations::{ByteRange, DeleteFile, DownloadFile, RetrieveFile},
    retry::RetryPolicy,
    transport::FailureKind,
};
use partwise_testkit::{
    certificates::Authority,
    content::noise,
    errors::line,
    http1::{answer, read_head, read_request},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};

use crate::{
    peer::{A_FILE, A_PART, MIB, Peer, client, is_for_content, options, part, tls_peer, zeros},
    range_peer::{Folder, plan},
    tls::{https, trusting},
};

/// A request that a peer got: the head in lower case, and the whole request.
type Asked = mpsc::UnboundedReceiver<(String, Vec<u8>)>;
type Tells = mpsc::UnboundedSender<(String, Vec<u8>)>;

/// Answers each request with the status and the headers that `reply` has for its path, and `body` in case of success.
async fn answering(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    tells: Tells,
    reply: impl Fn(&str, &str) -> (u16, String),
    body: &str,
) {
    while let Some((head, whole)) = read_request(&mut stream).await {
        let path = head.split(' ').nth(1).unwrap();
        let host =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("host: ").map(str::to_owned));
        let (status, headers) = reply(path, &host.unwrap());
        tells.send((head.to_ascii_lowercase(), whole)).unwrap();
        answer(&mut stream, status, &headers, if status < 300 { body } else { "moved" }).await;
    }
}

async fn peer(
    reply: impl Fn(&str, &str) -> (u16, String) + Clone + Send + Sync + 'static,
    body: &'static str,
) -> (Peer, Asked) {
    let (tells, asked) = mpsc::unbounded_channel();
    let peer = Peer::start(move |stream, _| answering(stream, tells.clone(), reply.clone(), body)).await;
    (peer, asked)
}

/// The next head that asks for a file's content, and not for its object.
async fn content_asked(asked: &mut Asked) -> String {
    loop {
        let (head, _) = asked.recv().await.unwrap();
        if is_for_content(&head) {
            return head;
        }
    }
}

fn to(location: impl std::fmt::Display) -> String {
    format!("Location: {location}\r\n")
}

#[tokio::test]
async fn the_same_service_gets_key_and_body_again_where_it_says_so() {
    for (status, location) in [
        (307, "/v1/uploads/upload_1/parts/"),
        (308, "parts/?again=1"),
        (307, "//HOST/v1/uploads/upload_1/parts/"),
        (308, "HTTP://HOST/v1/../v1/uploads/./upload_1/parts/#x"),
    ] {
        let (peer, mut asked) = peer(
            move |path, host| match path.ends_with("/parts") {
                true => (status, to(location.replace("HOST", host))),
                false => (200, String::new()),
            },
            A_PART,
        )
        .await;
        let content: bytes::Bytes = noise(3 * MIB).into();
        let sent = peer.client(options()).call_with(&part(3 * MIB), content).await;
        sent.unwrap_or_else(|error| panic!("{location}: {}", line(&error)));
        let (first, second) = (asked.recv().await.unwrap(), asked.recv().await.unwrap());
        assert!(second.0.starts_with("post /v1/uploads/upload_1/parts/"), "{}", second.0);
        assert!(second.0.contains("\r\nauthorization: bearer a-secret-key\r\n"), "{}", second.0);
        let body = |request: &[u8]| {
            request[request.windows(4).position(|end| end == b"\r\n\r\n").unwrap()..].to_vec()
        };
        assert!(body(&first.1) == body(&second.1) && second.1.len() as u64 > 3 * MIB, "{location}");
        assert_eq!(peer.accepted(), 1, "the connection is used again");
    }
}

#[tokio::test]
async fn a_redirect_that_comes_before_the_body_is_sent_is_followed_too() {
    let (tells, mut asked) = mpsc::unbounded_channel();
    let peer = Peer::start(move |mut stream, number| {
        let tells = tells.clone();
        async move {
            if number == 0 {
                read_head(&mut stream).await.unwrap();
                answer(&mut stream, 307, "Location: /v2\r\nConnection: close\r\n", "").await;
                return;
            }
            tells.send(read_request(&mut stream).await.unwrap().1.len()).unwrap();
            answer(&mut stream, 200, "", A_PART).await;
        }
    })
    .await;
    peer.client(options()).call_with(&part(16 * MIB), zeros(16 * MIB)).await.unwrap();
    assert!(asked.recv().await.unwrap() as u64 > 16 * MIB);
}

async fn refused(client: &Client) -> Error {
    client.call(&RetrieveFile::new("file-1")).await.unwrap_err()
}

#[tokio::test]
async fn another_service_gets_no_request_of_the_api_and_is_named() {
    let (elsewhere, _asked) = peer(|_, _| (200, String::new()), A_FILE).await;
    let target = format!("http://{}/v1/files/file-1", elsewhere.address);
    for status in [301, 302, 303, 307, 308] {
        let location = to(format!("{target}?x=y"));
        let (peer, _asked) = peer(move |_, _| (status, location.clone()), A_FILE).await;
        let error = refused(&peer.client(options())).await;
        let redirect = error.rejection().unwrap().redirect.clone().unwrap();
        assert_eq!(redirect.base(), Some(format!("http://{}/v1", elsewhere.address)));
        let told = line(&error);
        assert!(
            told.starts_with(&format!("the service refused: redirected to {target} ({status} ")),
            "{told}"
        );
    }
    assert_eq!(elsewhere.accepted(), 0);
}

#[tokio::test]
async fn a_redirect_that_may_change_the_method_is_not_followed_for_the_api() {
    for status in [300, 301, 302, 303] {
        let (peer, mut asked) = peer(move |_, _| (status, to("/v1/there")), A_FILE).await;
        let error = peer.client(options()).call(&DeleteFile::new("file-1")).await.unwrap_err();
        let there = format!("http://{}/v1/there", peer.address);
        assert_eq!(
            error.rejection().unwrap().redirect.as_ref().unwrap().location,
            there,
            "it is made absolute"
        );
        assert!(asked.recv().await.is_some() && asked.try_recv().is_err(), "{status}");
    }
}

#[tokio::test]
async fn redirects_without_an_end_are_an_error() {
    let (peer, mut asked) = peer(|path, _| (307, to(format!("{path}x"))), A_FILE).await;
    let error = refused(&peer.client(options())).await;
    assert_eq!(error.rejection().unwrap().status, StatusCode::TEMPORARY_REDIRECT);
    let error = peer.client(options()).download("file-1").await.unwrap_err();
    assert_eq!(error.rejection().unwrap().status, StatusCode::TEMPORARY_REDIRECT);
    let (mut content, mut object) = (0, 0);
    while let Ok((head, _)) = asked.try_recv() {
        let is_content = head.contains("/content");
        *(if is_content { &mut content } else { &mut object }) += 1;
    }
    assert_eq!(content, 1 + 5);
    // The download asks for the object as well, and gives that up when the content ends.
    assert!((1 + 5..=2 * (1 + 5)).contains(&object), "{object}");
}

#[tokio::test]
async fn a_redirect_to_no_place_is_told_as_it_came() {
    for location in ["", "ftp://host/x", "http://", "http://user@HOST/", "mailto:a@b", "http://[::1"] {
        let (peer, _asked) = peer(move |_, _| (307, to(location)), A_FILE).await;
        for error in [
            refused(&peer.client(options())).await,
            peer.client(options()).download("file-1").await.unwrap_err(),
        ] {
            assert_eq!(error.rejection().unwrap().status, StatusCode::TEMPORARY_REDIRECT, "{}", line(&error));
        }
    }
}

/// The headers that tell a storage service whose key or account it is.
const SECRETS: [&str; 5] = ["authorization", "api-key", "openai-organization", "openai-project", "secret"];

fn with_account(client: &Client) -> Client {
    let builder = client.to_builder().header("openai-organization", "org-1").unwrap();
    builder.header("openai-project", "proj-1").unwrap().build()
}

#[tokio::test]
async fn a_download_follows_to_another_host_without_the_key() {
    for status in [301, 302, 303, 307, 308] {
        let (elsewhere, mut asked) = peer(|_, _| (200, String::new()), "the content").await;
        let location = to(format!("http://{}/blob/1?sig=x", elsewhere.address));
        let (peer, mut asked_first) = peer(move |_, _| (status, location.clone()), "").await;
        let client = with_account(&peer.client(options()));
        let mut operation = DownloadFile::new("file-1");
        operation.range = Some(ByteRange::From { first: 3, last: Some(9) });
        operation.if_range = Some("\"1\"".into());
        let mut download = client.download(&operation).await.unwrap();
        assert_eq!(download.chunk().await.unwrap().unwrap(), "the content");

        let first = asked_first.recv().await.unwrap().0;
        assert!(first.contains("authorization") && first.contains("openai-project"), "{first}");
        let head = asked.recv().await.unwrap().0;
        assert!(head.starts_with("get /blob/1?sig=x http/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("\r\nhost: {}\r\n", elsewhere.address)), "{head}");
        assert!(
            head.contains("\r\nrange: bytes=3-9\r\n") && head.contains("\r\nif-range: \"1\"\r\n"),
            "{head}"
        );
        assert!(
            head.contains("\r\naccept-encoding: identity\r\n") && head.contains("\r\nuser-agent: "),
            "{head}"
        );
        for secret in SECRETS {
            assert!(!head.contains(secret), "{head}");
        }
    }
}

#[tokio::test]
async fn the_key_does_not_come_back_with_a_redirect_from_elsewhere() {
    let back = |path: &str, _: &str| {
        let home = path.strip_prefix("/back/to/").unwrap();
        (302, to(format!("http://{home}/v1/files/file-2/content")))
    };
    let (peer_elsewhere, _asked) = peer(back, "").await;
    let elsewhere = peer_elsewhere.address;
    let (home, mut asked) = peer(
        move |path, host| match path.contains("file-1") {
            true => (302, to(format!("http://{elsewhere}/back/to/{host}"))),
            false => (200, String::new()),
        },
        "the content",
    )
    .await;
    let mut download = home.client(options()).download("file-1").await.unwrap();
    assert_eq!(download.chunk().await.unwrap().unwrap(), "the content");
    assert!(content_asked(&mut asked).await.contains("authorization"));
    assert!(!content_asked(&mut asked).await.contains("authorization"));
}

#[tokio::test]
async fn a_download_within_the_service_keeps_the_key() {
    let (peer, mut asked) = peer(
        |path, _| match path.ends_with("/content") {
            true => (302, to("/blob/1")),
            false => (200, String::new()),
        },
        "the content",
    )
    .await;
    let mut download = peer.client(options()).download("file-1").await.unwrap();
    assert_eq!(download.chunk().await.unwrap().unwrap(), "the content");
    asked.recv().await.unwrap();
    assert!(asked.recv().await.unwrap().0.contains("\r\nauthorization: bearer a-secret-key\r\n"));
}

#[tokio::test]
async fn ranges_in_parallel_are_each_redirected() {
    let content = noise(MIB);
    let served = content.clone();
    let elsewhere = Peer::start(move |stream, _| {
        let content = served.clone();
        let reply = std::sync::Arc::new(move |_, range| {
            let range = crate::range_peer::within(range, &content);
            crate::range_peer::part(&content, range, crate::range_peer::ETAG)
        });
        crate::range_peer::answer_ranges(stream, reply, crate::range_peer::Asked::default())
    })
    .await;
    let location = to(format!("http://{}/blob/1/content", elsewhere.address));
    let (peer, mut asked) = peer(move |_, _| (307, location.clone()), "").await;
    let folder = Folder::new();
    peer.client(options()).download_to(plan("file-1", MIB / 8), folder.target()).await.unwrap();
    assert!(folder.bytes() == content);
    for _ in 0..8 {
        assert!(content_asked(&mut asked).await.contains("\r\nrange: bytes="));
    }
}

#[tokio::test]
async fn a_download_never_goes_from_https_to_http() {
    let (elsewhere, _asked) = peer(|_, _| (200, String::new()), "the content").await;
    let authority = Authority::new();
    let location = format!("Location: http://{}/blob/1\r\n", elsewhere.address);
    let peer = tls_peer(authority.acceptor("localhost"), move |mut stream| {
        let location = location.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            answer(&mut stream, 302, &location, "").await;
        }
    })
    .await;
    let client = client(https(&peer), trusting(&authority));
    let error = client.download("file-1").await.unwrap_err();
    assert!(error.rejection().unwrap().redirect.is_some(), "{}", line(&error));
    assert_eq!(elsewhere.accepted(), 0);
}

#[tokio::test]
async fn a_rejection_from_elsewhere_names_the_host() {
    let (elsewhere, _asked) = peer(|_, _| (403, String::new()), "").await;
    let location = to(format!("http://{}/blob/1/content", elsewhere.address));
    let (peer, _asked) = peer(move |_, _| (302, location.clone()), "").await;
    let error = peer.client(options()).download("file-1").await.unwrap_err();
    assert_eq!(error.rejection().unwrap().answered_by, Some(elsewhere.address.to_string()));
    let folder = Folder::new();
    let error = peer.client(options()).download_to(plan("file-1", MIB), folder.target()).await.unwrap_err();
    assert_eq!(
        line(&error),
        format!("the service refused: {} answered 403 Forbidden: moved", elsewhere.address)
    );
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_named() {
    let (gone, _asked) = peer(|_, _| (200, String::new()), "").await;
    let gone_at = gone.address;
    let location = to(format!("http://{gone_at}/blob/1"));
    drop(gone);
    let (peer, _asked) = peer(move |_, _| (302, location.clone()), "").await;
    let error = peer.client(options()).download("file-1").await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Interrupted));
    let told = format!(
        "the connection to {gone_at}, to which the service redirected, failed: cannot connect to {gone_at}: "
    );
    assert!(line(&error).starts_with(&told), "{}", line(&error));
}

#[tokio::test]
async fn a_host_whose_answer_breaks_off_is_named() {
    for length in [100, MIB] {
        let elsewhere = Peer::start(move |mut stream, _| async move {
            read_request(&mut stream).await.unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n0123456789");
            stream.write_all(head.as_bytes()).await.unwrap();
        })
        .await;
        let location = to(format!("http://{}/blob/1", elsewhere.address));
        let (peer, _asked) = peer(move |_, _| (302, location.clone()), "").await;
        let told =
            format!("the connection to {}, to which the service redirected, failed", elsewhere.address);
        let mut operation = DownloadFile::new("file-1");
        operation.range = Some(ByteRange::From { first: 0, last: None });
        let mut download = peer.client(options()).download(&operation).await.unwrap();
        let error = loop {
            if let Err(error) = download.chunk().await {
                break error;
            }
        };
        assert!(line(&error).starts_with(&told), "{}", line(&error));
        let (folder, mut plan) = (Folder::new(), plan("file-1", MIB));
        plan.retry = Some(RetryPolicy::never());
        let error = peer.client(options()).download_to(plan, folder.target()).await.unwrap_err();
        assert!(line(&error).contains(&told), "{}", line(&error));
    }
}

#[tokio::test]
async fn a_long_page_beside_a_redirect_is_not_read() {
    let (peer, _asked) = peer(
        |path, _| match path.ends_with("/content") {
            true => (302, to("/blob/1")),
            false => (200, String::new()),
        },
        "the content",
    )
    .await;
    let endless = Peer::start({
        let target = format!("http://{}/blob/1", peer.address);
        move |mut stream, _| {
            let head =
                format!("HTTP/1.1 302 Found\r\nLocation: {target}\r\nTransfer-Encoding: chunked\r\n\r\n");
            async move {
                read_request(&mut stream).await.unwrap();
                stream.write_all(head.as_bytes()).await.unwrap();
                while stream.write_all(b"5\r\nmoved\r\n").await.is_ok() {}
            }
        }
    })
    .await;
    let mut download = endless.client(options()).download("file-1").await.unwrap();
    assert_eq!(download.chunk().await.unwrap().unwrap(), "the content");
}
