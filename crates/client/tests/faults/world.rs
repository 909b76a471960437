//! The server on a disk of its own, a file for it, and clients with the default stack.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use futures_util::TryStreamExt;
use partwise::{
    CheckpointFile, Client, FileSource, Reading,
    stack::{Proxy as NoProxy, Stack, StackOptions, Timeouts},
};
use partwise_models::{File, Purpose};
use partwise_protocol::{
    Api, Credential, Dialect,
    operations::ListFiles,
    retry::RetryPolicy,
    upload::{Plan, RouteChoice},
};
use partwise_server::{Keys, Server, Stopped, Store, testing::Schedule};
use partwise_testkit::{
    certificates::Authority,
    content::noise,
    proxy::{ConnectionFault, Proxy},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

pub(crate) const KIB: u64 = 1024;
pub(crate) const KEY: &str = "a-secret-key";
/// A few parts, the last of them short.
const LENGTH: u64 = 3 * 1024 * KIB + 17;
/// For whoever waits for what must come.
pub(crate) const SAFETY: Duration = Duration::from_secs(120);

/// Set when the client speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    Plain,
    Tls,
}

/// A server with nothing wrong between it and whoever asks it here.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) content: Vec<u8>,
    server: SocketAddr,
    /// The address that the client connects to when nothing is between.
    pub(crate) front: SocketAddr,
    security: Security,
    authority: Authority,
    serving: JoinHandle<Stopped>,
}

impl World {
    pub(crate) async fn new(security: Security) -> Self {
        Self::with_file_of(LENGTH, security).await
    }

    pub(crate) async fn with_file_of(length: u64, security: Security) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let content = noise(length);
        std::fs::write(folder.path().join("content.jsonl"), &content).unwrap();
        let store = Store::local(folder.path().join("store")).unwrap();
        let keys = Keys::of_entries(&format!("team:{KEY}")).unwrap();
        let serve = Server::builder(store).keys(keys).build().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let serving = tokio::spawn(serve.serve(listener, std::future::pending()));
        let authority = Authority::new();
        let front = match security {
            Security::Plain => server,
            Security::Tls => terminate(authority.acceptor("localhost"), server).await,
        };
        Self { folder, content, server, front, security, authority, serving }
    }

    /// A proxy before the server.
    pub(crate) fn proxy(&self, faults: Schedule<ConnectionFault>) -> Proxy {
        Proxy::start(self.front, faults)
    }

    pub(crate) fn source(&self) -> FileSource {
        FileSource::open(self.folder.path().join("content.jsonl")).unwrap()
    }

    pub(crate) fn checkpoint(&self) -> CheckpointFile {
        CheckpointFile::at(self.path("checkpoint.json"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A client that comes in at this address.
    pub(crate) fn client(&self, address: SocketAddr) -> Client {
        self.client_that_waits(address, Timeouts::default())
    }

    /// A client that waits so long.
    pub(crate) fn client_that_waits(&self, address: SocketAddr, timeouts: Timeouts) -> Client {
        let options = StackOptions::new().proxy(NoProxy::none()).timeouts(timeouts);
        self.client_with(address, KEY, options)
    }

    pub(crate) fn client_with(&self, address: SocketAddr, key: &str, options: StackOptions) -> Client {
        let scheme = if self.security == Security::Tls { "https" } else { "http" };
        let base = format!("{scheme}://localhost:{}/v1", address.port());
        // A proxy's port changes; the place does not.
        let api = Api::with_base(&base, Dialect::OpenAi).unwrap().with_identity("the server of this test");
        let options = options.trust_ca_pem(self.authority.pem().as_bytes()).unwrap();
        // Where nothing lies between HTTP and the socket, the system sends the file, on the systems that can.
        let reading = match self.security {
            Security::Plain => Reading::Inline,
            Security::Tls => Reading::Blocking,
        };
        Client::builder(api, Credential::key(key).unwrap())
            .transport(Stack::new(options))
            .reading(reading)
            .build()
    }

    /// A client of the server itself.
    fn truthful(&self) -> Client {
        let api = Api::with_base(&format!("http://{}/v1", self.server), Dialect::OpenAi).unwrap();
        Client::builder(api, Credential::key(KEY).unwrap())
            .transport(Stack::new(StackOptions::new().proxy(NoProxy::none())))
            .build()
    }

    pub(crate) async fn files(&self) -> Vec<File> {
        self.truthful().call(&ListFiles::new()).await.unwrap().data
    }

    /// This is the only file on the server, and it is the one that was sent.
    pub(crate) async fn assert_whole(&self, file: &File) {
        let files = self.files().await;
        assert_eq!(files.iter().map(|file| &file.id).collect::<Vec<_>>(), [&file.id]);
        let download = self.truthful().download(&file.id).await.unwrap();
        let pieces: Vec<_> = download.try_collect().await.unwrap();
        assert!(pieces.concat() == self.content, "other bytes came back");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Takes TLS connections on the address that it gives back, and speaks plainly to `behind`.
async fn terminate(acceptor: TlsAcceptor, behind: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut outside) = acceptor.accept(stream).await else { return };
                let mut inside = TcpStream::connect(behind).await.unwrap();
                // That one side broke off is what the other sees as well.
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    address
}

/// Soon enough of silence, and yet time for a machine that is busy with other things.
pub(crate) fn impatience() -> Timeouts {
    let mut timeouts = Timeouts::default();
    (timeouts.connect, timeouts.stall) = (Duration::from_secs(3), Duration::from_secs(1));
    timeouts.answer = Duration::from_secs(3);
    timeouts
}

/// Of all that was sent, next to nothing but the `rest` of the file: forms and heads, and not one part more.
pub(crate) fn assert_only_the_rest(sent: u64, rest: u64) {
    assert!(sent < rest + 64 * KIB, "{sent} bytes were sent for {rest}");
}

/// In parts of 256 KiB, three at a time, and patient without waiting long.
pub(crate) fn plan() -> Plan {
    let mut plan = Plan::new("content.jsonl", "application/jsonl", Purpose::Batch);
    (plan.route, plan.part_size, plan.parallel) = (RouteChoice::Parts, Some(256 * KIB), 3.into());
    let mut retry = RetryPolicy::default();
    (retry.base_wait, retry.max_wait) = (Duration::from_millis(5), Duration::from_millis(50));
    (retry.give_up_after, retry.give_up_before_contact) = (Duration::from_secs(10), Duration::from_secs(2));
    plan.retry = Some(retry);
    plan
}
