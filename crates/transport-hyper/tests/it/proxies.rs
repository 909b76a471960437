//! Requests that go through a proxy. The names of the services exist nowhere: only the proxy knows them.

use std::net::SocketAddr;

use partwise_protocol::{Api, Dialect, FailureKind, RetrieveFile};
use partwise_transport_hyper::stack::{Proxy, StackOptions};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::TcpStream,
    sync::mpsc,
};

use crate::{
    certificates::Authority,
    peer::{
        A_FILE, A_PART, MIB, Peer, answer, answer_all, client, line, options, part, read_head, read_request,
        tls_peer, zeros,
    },
};

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
    let client = client.allow_plain_http();
    for _ in 0..2 {
        client.call(&RetrieveFile::new("file-1")).await.unwrap();
        let head = was_asked.recv().await.unwrap().to_ascii_lowercase();
        assert!(head.starts_with("get http://service.invalid/v1/files/file-1 http/1.1\r\n"), "{head}");
        assert!(head.contains("\r\nhost: service.invalid\r\n"), "{head}");
        assert!(head.contains("\r\nproxy-authorization: basic dxnlcjpwyxnz\r\n"), "{head}");
    }
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_in_one_line() {
    let proxy = Peer::start(|mut stream, _| async move {
        read_head(&mut stream).await.unwrap();
        answer(&mut stream, 407, "Connection: close\r\n", "who are you?").await;
    })
    .await;
    let client = client(service("https"), through(&format!("http://{}", proxy.address)));
    let error = client.call(&RetrieveFile::new("file-1")).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Connect));
    assert_eq!(
        line(&error),
        format!(
            "the service could not be reached: the proxy at {} opens no way to service.invalid:443: tunnel error: \
             proxy authorization required",
            proxy.address
        )
    );
}
