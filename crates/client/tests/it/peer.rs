//! Peers written by hand: what they do with a connection is up to each test.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Once,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use partwise::{
    Client,
    stack::{Proxy, Stack, StackOptions},
};
use partwise_protocol::{
    Api, Credential, Dialect, multipart::Boundary, operations::AddUploadPart, retry::RetryPolicy,
    transport::SourceRange,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing_subscriber::Registry;

/// Accepts connections until it is dropped, and counts them.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Peer {
    /// Serves every connection by `serve`; the number counts connections from 0.
    pub(crate) async fn start<F, Served>(serve: F) -> Self
    where
        F: Fn(TcpStream, usize) -> Served + Send + Sync + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        listen_to_everything();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = accepted.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // Else an answer may still wait to be sent when a reset throws it away.
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream, counter.fetch_add(1, SeqCst)));
            }
        });
        Self { address, accepted, task }
    }

    /// How many connections there were.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(SeqCst)
    }

    pub(crate) fn api(&self) -> Api {
        Api::with_base(&format!("http://{}/v1", self.address), Dialect::OpenAi).unwrap()
    }

    /// A client of this peer that tries everything once.
    pub(crate) fn client(&self, options: StackOptions) -> Client {
        client(self.api(), options)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A peer that speaks TLS. Connections whose handshake fails are not served.
pub(crate) async fn tls_peer<F, Served>(acceptor: TlsAcceptor, serve: F) -> Peer
where
    F: Fn(TlsStream<TcpStream>) -> Served + Clone + Send + Sync + 'static,
    Served: Future<Output = ()> + Send + 'static,
{
    Peer::start(move |stream, _| {
        let (acceptor, serve) = (acceptor.clone(), serve.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream).await;
            }
        }
    })
    .await
}

/// A span that is first reached while nobody listens, and at the very moment at which a test begins to, is not heard by
/// that test. So there is always somebody who listens.
fn listen_to_everything() {
    static LISTENER: Once = Once::new();
    LISTENER.call_once(|| tracing::subscriber::set_global_default(Registry::default()).unwrap());
}

/// Options that the environment does not change.
pub(crate) fn options() -> StackOptions {
    listen_to_everything();
    StackOptions::new().proxy(Proxy::none())
}

/// A client that tries everything once.
pub(crate) fn client(api: Api, options: StackOptions) -> Client {
    let key = Credential::key("a-secret-key").unwrap();
    Client::builder(api, key).transport(Stack::new(options)).retry(RetryPolicy::never()).build()
}

/// A request whose body is a form around so many bytes of a source.
pub(crate) fn part(len: u64) -> AddUploadPart {
    AddUploadPart::new("upload_1", SourceRange::new(0, len), Boundary::from_entropy([7; 16]))
}

pub(crate) fn zeros(len: u64) -> Bytes {
    Bytes::from(vec![0; usize::try_from(len).unwrap()])
}

pub(crate) const MIB: u64 = 1024 * 1024;
pub(crate) const A_PART: &str = r#"{"id":"part_1","object":"upload.part"}"#;
pub(crate) const A_FILE: &str = r#"{"id":"file-1","object":"file"}"#;

/// Whether this head asks for a file's content, and not for its object.
pub(crate) fn is_for_content(head: &str) -> bool {
    head.split(' ').nth(1).is_some_and(|path| path.ends_with("/content"))
}
