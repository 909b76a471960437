//! Services that refuse a part before they have read it, and close at once: the refusal is what is reported, a hundred
//! times out of a hundred.

use bytes::Bytes;
use http::StatusCode;
use partwise::{
    Client,
    stack::{Proxy, Stack, StackOptions},
};
use partwise_protocol::{
    Api, Credential, Dialect, multipart::Boundary, operations::AddUploadPart, retry::RetryPolicy,
    transport::SourceRange,
};
use partwise_testkit::{
    certificates::Authority,
    errors::line,
    http1::{answer, read_head, read_some},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::world::{KIB, Security};

const TRIES: usize = 100;
/// More than all buffers on the way hold.
const LENGTH: u64 = 12 * 1024 * KIB;
const WORDS: &str = r#"{"error":{"message":"This is refused","type":"invalid_request_error"}}"#;

/// Takes the head and so much of the body, answers, and closes: with bytes unread the kernel sends a reset.
async fn refuse(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), status: u16, reads: u64) {
    let Some(head) = read_head(stream).await else { return };
    read_some(stream, head, reads).await.unwrap();
    answer(stream, status, "Connection: close\r\n", WORDS).await;
}

/// A service that refuses whatever comes.
async fn refusing(tls: Option<TlsAcceptor>, status: u16, reads: u64) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            // Else the answer may still wait to be sent when the reset throws it away.
            stream.set_nodelay(true).unwrap();
            let tls = tls.clone();
            tokio::spawn(async move {
                match tls {
                    None => refuse(&mut stream, status, reads).await,
                    Some(tls) => refuse(&mut tls.accept(stream).await.unwrap(), status, reads).await,
                }
            });
        }
    });
    port
}

async fn is_reported(status: StatusCode) {
    let content = Bytes::from(vec![0; LENGTH as usize]);
    let part = AddUploadPart::new("upload_1", SourceRange::new(0, LENGTH), Boundary::from_entropy([7; 16]));
    for security in [Security::Plain, Security::Tls] {
        for reads in [0, 1024 * KIB] {
            let authority = Authority::new();
            let (scheme, tls) = match security {
                Security::Plain => ("http", None),
                Security::Tls => ("https", Some(authority.acceptor("localhost"))),
            };
            let port = refusing(tls, status.as_u16(), reads).await;
            let api = Api::with_base(&format!("{scheme}://localhost:{port}/v1"), Dialect::OpenAi).unwrap();
            let options = StackOptions::new().proxy(Proxy::none());
            let options = options.trust_ca_pem(authority.pem().as_bytes()).unwrap();
            let key = Credential::key("a-key").unwrap();
            let client =
                Client::builder(api, key).transport(Stack::new(options)).retry(RetryPolicy::never()).build();
            for number in 0..TRIES {
                let error = client.call_with(&part, content.clone()).await.unwrap_err();
                let story = format!("try {number}, {security:?}, {reads} bytes read");
                let refusal = error.rejection().unwrap_or_else(|| panic!("{story}: {}", line(&error)));
                assert_eq!(refusal.status, status, "{story}");
                assert_eq!(refusal.error.message.as_deref(), Some("This is refused"), "{story}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_wrong_key_is_reported_and_not_a_broken_pipe() {
    is_reported(StatusCode::UNAUTHORIZED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_part_that_is_too_large_is_reported_and_not_a_broken_pipe() {
    is_reported(StatusCode::PAYLOAD_TOO_LARGE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_service_that_asks_for_patience_is_reported_and_not_a_broken_pipe() {
    is_reported(StatusCode::TOO_MANY_REQUESTS).await;
}
