//! Requests that go through a proxy. The names of the services exist nowhere: only the proxy knows them.

use std::net::SocketAddr;

use partwise::stack::{Proxy, StackOptions};
use partwise_protocol::{Api, Dialect, operations::RetrieveFile, transport::FailureKind};
use partwise_testkit::{
    certificates::Authority,
    errors::line,
    http1::{answer, answer_all, read_head, read_request},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::TcpStream,
    sync::mpsc,
};

use crate::peer::{A_FILE, A_PART, MIB, Peer, client, options, part, tls_peer, zeros};

fn through(proxy: &str) -> StackOptions {
    options().proxy(Proxy::at(proxy).unwrap())
}

fn service(scheme: &str) -> Api {
    Api::with_base(&format!("{scheme}://service.invalid/v1"), Dialect::OpenAi).unwrap()
}

/// Opens a way to `target`, whatever is asked for, and says what was.
async fn tunnel(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    target: SocketAddr,
    asked: mpsc::UnboundedSender<String>,
) {
    let head = read_head(&mut stream).await.unwrap();
    asked.send(head.text).unwrap();
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    let mut target = TcpStream::connect(target).await.unwrap();
    let _ = copy_bidirectional(&mut stream, &mut target).await;
}

#[tokio::test]
async fn https_goes_through_a_tunnel_and_the_proxy_never_sees_the_key() {
    let authority = Authority::new();
    let behind = tls_peer(authority.acceptor("service.invalid"), |stream| answer_all(stream, A_PART)).await;
    let (asked, mut was_asked) = mpsc::unbounded_channel();
    let target = behind.address;
    let proxy = Peer::start(move |stream, _| tunnel(stream, target, asked.clone())).await;

    let options = through(&format!("http://user:pass@{}", proxy.address));
    let client = client(service("https"), options.trust_ca_pem(authority.pem().as_bytes()).unwrap());
    for _ in 0..2 {
        client.call_with(&part(3 * MIB), zeros(3 * MIB)).await.unwrap();
    }
    assert_eq!(
        was_asked.recv().await.unwrap(),
        "CONNECT service.invalid:443 HTTP/1.1\r\nHost: service.invalid:443\r\n\
         Proxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n"
    );
    assert_eq!((proxy.accepted(), behind.accepted()), (1, 1));
}

#[tokio::test]
async fn a_proxy_may_itself_be_reached_over_tls() {
    let authority = Authority::new();
    let behind = tls_peer(authority.acceptor("service.invalid"), |stream| answer_all(stream, A_FILE)).await;
    let (asked, _was_asked) = mpsc::unbounded_channel();
    let target = behind.address;
    let proxy =
        tls_peer(authority.acceptor("localhost"), move |stream| tunnel(stream, target, asked.clone())).await;
    let options = through(&format!("https://localhost:{}", proxy.address.port()));
    let client = client(service("https"), options.trust_ca_pem(authority.pem().as_bytes()).unwrap());
    assert_eq!(client.call(&RetrieveFile::new("file-1")).await.unwrap().id, "file-1");
}

#[tokio::test]
async fn plain_http_is_forwarded_by_its_whole_url() {
    let (asked, mut was_asked) = mpsc::unbounded_channel();
    let proxy = Peer::start(move |mut stream, _| {
        let asked = asked.clone();
        async move {
            while let Some((head, _)) = read_request(&mut stream).await {
                asked.send(head).unwrap();
                answer(&mut stream, 200, "", A_FILE).await;
            }
        }
    })
    .await;
    let client = client(service("http"), through(&format!("http://user:pass@{}", proxy.address)));
    let client = client.to_builder().allow_plain_http().build();
    for _ in 0..2 {
        client.call(&RetrieveFile::new("file-1")).await.unwrap();
        let head = was_asked.recv().await.unwrap().to_ascii_lowercase();
        assert!(head.starts_with("get http://service.invalid/v1/files/file-1 http/1.1\r\n"), "{head}");
        assert!(head.contains("\r\nhost: service.invalid\r\n"), "{head}");
        assert!(head.contains("\r\nproxy-authorization: basic dxnlcjpwyxnz\r\n"), "{head}");
    }
    assert_eq!(proxy.accepted(), 1);
}

/// A proxy that answers every connection so, whatever is asked for, and says how it was asked.
async fn saying(answer: impl Into<String>) -> (Peer, mpsc::UnboundedReceiver<String>) {
    let (asked, was_asked) = mpsc::unbounded_channel();
    let answer = answer.into();
    let peer = Peer::start(move |mut stream, _| {
        let (answer, asked) = (answer.clone(), asked.clone());
        async move {
            asked.send(read_head(&mut stream).await.unwrap().text).unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    (peer, was_asked)
}

/// The error of a request through a proxy that answers so, with `PROXY` for its address.
async fn refused(scheme: &str, answer: impl Into<String>) -> (FailureKind, String) {
    let (proxy, _asked) = saying(answer).await;
    let client = client(service(scheme), through(&format!("http://{}", proxy.address)))
        .to_builder()
        .allow_plain_http()
        .build();
    let error = client.call(&RetrieveFile::new("file-1")).await.unwrap_err();
    (error.failure().unwrap(), line(&error).replace(&proxy.address.to_string(), "PROXY"))
}

#[tokio::test]
async fn a_proxy_that_opens_no_way_is_told_with_what_it_says() {
    let page = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n\r\n<html><title>Blocked by policy: AI category</title>";
    let login = "HTTP/1.0 407 X\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n";
    let text = "HTTP/1.1 502 X\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nno n\r\n3\r\name\r\n0\r\n\r\n";
    for (answer, told) in [
        (page, "403 Forbidden: a page with the title “Blocked by policy: AI category”"),
        (login, "407 Proxy Authentication Required"),
        ("HTTP/1.1 429 X\r\nContent-Length: 0\r\n\r\n", "429 Too Many Requests"),
        ("HTTP/1.1 302 X\r\nLocation: http://login/\r\n\r\n", "redirected to http://login/ (302 Found)"),
        ("HTTP/1.1 500 X\r\n\r\n", "500 Internal Server Error"),
        (text, "502 Bad Gateway: no name"),
        ("HTTP/1.1 503 X\r\n\r\n", "503 Service Unavailable"),
        ("HTTP/1.1 504 X\r\n\r\n", "504 Gateway Timeout"),
    ] {
        let (kind, line) = refused("https", answer).await;
        assert_eq!(
            line,
            format!(
                "the request could not be sent: the proxy at PROXY refused the way to service.invalid:443: {told}"
            )
        );
        assert_eq!(kind, FailureKind::Unsent, "{line}");
    }
}

#[tokio::test]
async fn a_proxy_that_says_nothing_after_its_status_is_told_with_the_status() {
    let proxy = Peer::start(|mut stream, _| async move {
        read_head(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 403 X\r\nContent-Length: 100\r\n\r\nwait").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let client = client(service("https"), through(&format!("http://{}", proxy.address)));
    let error = client.call(&RetrieveFile::new("file-1")).await.unwrap_err();
    assert!(line(&error).ends_with("403 Forbidden: wait"), "{}", line(&error));
}

#[tokio::test]
async fn a_proxy_that_says_too_much_is_told_with_the_beginning() {
    let page = format!("HTTP/1.1 403 X\r\n\r\n<title>No</title>{}", " ".repeat(1 << 20));
    let (_, line) = refused("https", page).await;
    assert!(line.ends_with("403 Forbidden: a page with the title “No”"), "{line}");
    // A head without an end is none.
    let endless = format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(1 << 18));
    let (kind, line) = refused("https", endless).await;
    assert_eq!(kind, FailureKind::Unsent, "{line}");
}

#[tokio::test]
async fn a_proxy_that_speaks_no_http_or_nothing_is_named() {
    let (kind, line) = refused("https", "SSH-2.0-OpenSSH_9.6\r\n").await;
    assert!(line.contains(": the proxy at PROXY opens no way to service.invalid:443: "), "{line}");
    assert_eq!(kind, FailureKind::Unsent);
    let (kind, line) = refused("https", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await;
    let told = "the proxy at PROXY sends something of its own on the way to service.invalid:443";
    assert_eq!((kind, line), (FailureKind::Unsent, format!("the request could not be sent: {told}")));
    let (kind, line) = refused("https", "").await;
    assert!(line.contains(": the proxy at PROXY opens no way to service.invalid:443: "), "{line}");
    assert_eq!(kind, FailureKind::Connect);
}

#[tokio::test]
async fn a_forwarding_proxy_that_wants_a_login_is_not_taken_for_the_service() {
    let page = "HTTP/1.1 407 X\r\nContent-Length: 22\r\n\r\n<title>Log in</title>\r\n";
    let (kind, line) = refused("http", page).await;
    assert_eq!(
        line,
        "the request could not be sent: the proxy at PROXY refused the way to service.invalid:80: 407 Proxy \
         Authentication Required: a page with the title “Log in”"
    );
    assert_eq!(kind, FailureKind::Unsent);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for scheme in ["https", "http"] {
        let client = client(service(scheme), through(&format!("http://{address}")))
            .to_builder()
            .allow_plain_http()
            .build();
        let error = client.call(&RetrieveFile::new("file-1")).await.unwrap_err();
        assert_eq!(error.failure(), Some(FailureKind::Connect));
        let told = line(&error).replace(&address.to_string(), "PROXY");
        let expected = "the service could not be reached: the proxy at PROXY cannot be reached: cannot connect to PROXY: ";
        assert!(told.starts_with(expected), "{told}");
    }
}
