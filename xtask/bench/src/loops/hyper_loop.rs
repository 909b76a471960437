//! hyper's connections with a body that reads the file in place, and nothing around them: what a client is measured against.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{BOUNDARY, Options, Parts, around, authority, hurry};

const PIECE: usize = 256 * 1024;
const WORKERS: usize = 2;

pub(super) fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    runtime.block_on(async {
        let (authority, is_tls) = authority(&options.origin)?;
        let address = authority.to_socket_addrs()?.next().context("the origin has no address")?;
        let tls = is_tls.then(|| connector(options)).transpose()?;
        let parts = Arc::new(Parts::of(options)?);
        let mut senders = tokio::task::JoinSet::new();
        for _ in 0..options.parallel {
            senders.spawn(send(address, tls.clone(), parts.clone()));
        }
        while let Some(sent) = senders.join_next().await {
            sent??;
        }
        Ok(())
    })
}

fn connector(options: &Options) -> Result<TlsConnector> {
    let path = options.ca_cert.as_deref().context("--ca-cert is needed for https")?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(path)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn send(address: SocketAddr, tls: Option<TlsConnector>, parts: Arc<Parts>) -> Result<()> {
    let stream = TcpStream::connect(address).await?;
    hurry(&stream)?;
    match tls {
        None => send_over(stream, parts).await,
        Some(tls) => {
            let name = ServerName::try_from("localhost")?;
            send_over(tls.connect(name, stream).await?, parts).await
        }
    }
}

async fn send_over<S>(stream: S, parts: Arc<Parts>) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let spare = Spare::default();
    while let Some(range) = parts.next() {
        let request = Request::post("/v1/uploads/upload_1/parts")
            .header("host", "localhost")
            .header("authorization", "Bearer key")
            .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
            .body(Part::new(parts.clone(), range, spare.clone()))?;
        let mut answer = sender.send_request(request).await?;
        ensure!(answer.status().is_success(), "the sink answered {}", answer.status());
        while !answer.body().is_end_stream() {
            std::future::poll_fn(|cx| Pin::new(answer.body_mut()).poll_frame(cx)).await.transpose()?;
        }
    }
    drop(sender);
    connection.await??;
    Ok(())
}

/// A part's form, whose bytes are read when they are wanted.
struct Part {
    parts: Arc<Parts>,
    range: Range<u64>,
    head: Option<Bytes>,
    tail: Option<Bytes>,
    spare: Spare,
}

/// Buffers that hyper has done with.
type Spare = Arc<Mutex<Vec<Vec<u8>>>>;

/// A buffer that is kept for the next piece when hyper has done with it.
struct Piece {
    bytes: Vec<u8>,
    spare: Spare,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.bytes));
    }
}

impl Part {
    fn new(parts: Arc<Parts>, range: Range<u64>, spare: Spare) -> Self {
        let (head, tail) = around();
        Self { parts, range, head: Some(head.into()), tail: Some(tail.into()), spare }
    }

    fn read(&mut self) -> io::Result<Bytes> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bytes = spare.unwrap_or_else(|| vec![0; PIECE]);
        let wanted = PIECE.min(usize::try_from(self.range.end - self.range.start).unwrap_or(PIECE));
        let read = self.parts.file.read_at(&mut bytes[..wanted], self.range.start)?;
        self.range.start += read as u64;
        Ok(Bytes::from_owner(Piece { bytes, spare: self.spare.clone() }).slice(..read))
    }
}

impl Body for Part {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        let bytes = match this.head.take() {
            Some(head) => Ok(head),
            None if this.range.is_empty() => match this.tail.take() {
                Some(tail) => Ok(tail),
                None => return Poll::Ready(None),
            },
            None => this.read(),
        };
        Poll::Ready(Some(bytes.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len) as u64;
        SizeHint::with_exact(length(&self.head) + (self.range.end - self.range.start) + length(&self.tail))
    }
}
