//! The way of a request through the store, in process and over sockets.

use std::{io, net::SocketAddr, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
        HttpService,
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet, yield_now},
    time::sleep,
};

use super::{
    BUCKET, FakeCloud, KEY, Seen,
    answer::Answer,
    azure,
    fault::Fault,
    problem::Problem,
    request::{Dialect, Kind, Request},
    s3,
};

/// The time between the look and the write of a store that does not do both at once.
const BETWEEN: Duration = Duration::from_millis(5);

impl FakeCloud {
    /// Answers a request; `None` when the connection ends instead.
    async fn answer(&self, request: http::Request<Bytes>) -> Option<Answer> {
        // Requests in process meet each other, too.
        yield_now().await;
        let dialect = Dialect::of(request.headers());
        let is_head = request.method() == http::Method::HEAD;
        let Some(request) = Request::read(request) else { return Some(Problem::Unknown.answer(dialect)) };
        let keys = keys(&request);
        let fault = self.faults().next(request.kind, &keys);
        let answer = self.answer_faulty(&request, fault).await;
        let status = answer.as_ref().map(|answer| answer.response.status().as_u16());
        self.note(Seen { kind: request.kind, key: keys.join(" "), bytes: request.body.len(), fault, status });
        answer.map(|answer| if is_head { answer.without_body() } else { answer })
    }

    async fn answer_faulty(&self, request: &Request, fault: Option<Fault>) -> Option<Answer> {
        let wanted = |status| Problem::Wanted(status).answer(request.dialect);
        match fault {
            Some(Fault::Reject(status)) => return Some(wanted(status)),
            Some(Fault::RejectFor { status, seconds }) => {
                return Some(wanted(status).with(http::header::RETRY_AFTER, seconds.to_string()));
            }
            Some(Fault::LoseRequest) => return None,
            Some(Fault::Delay(time)) => sleep(time).await,
            _ => {}
        }
        let done = self.carry_out(request, fault).await;
        let mut answer = done.unwrap_or_else(|problem| problem.answer(request.dialect));
        match fault {
            Some(Fault::FailAfterwards(status)) => return Some(wanted(status)),
            Some(Fault::LoseAnswer) => return None,
            Some(Fault::Truncate(bytes)) if answer.response.status().is_success() => {
                answer.cut = (bytes < answer.response.body().len()).then_some(bytes);
            }
            _ => {}
        }
        Some(answer)
    }

    async fn carry_out(&self, request: &Request, fault: Option<Fault>) -> Result<Answer, Problem> {
        if request.access_key() != Some(KEY) {
            return Err(Problem::Stranger);
        }
        if request.bucket != BUCKET {
            return Err(Problem::NoSuchBucket);
        }
        if fault == Some(Fault::LookThenWrite) {
            self.bucket().check(&request.key, request.condition)?;
            sleep(BETWEEN).await;
        }
        let mut bucket = self.bucket();
        if !matches!(fault, Some(Fault::Overwrite | Fault::LookThenWrite)) {
            bucket.check(&request.key, request.condition)?;
        }
        match request.dialect {
            Dialect::S3 | Dialect::Gcs => s3::carry_out(&mut bucket, request, self.page(s3::PAGE)),
            Dialect::Azure => azure::carry_out(&mut bucket, request, self.page(azure::PAGE)),
        }
    }
}

/// The keys that a request is about; the prefix of a list.
fn keys(request: &Request) -> Vec<String> {
    match (request.kind, request.dialect) {
        (Kind::List, _) => vec![request.parameter("prefix").unwrap_or_default().to_owned()],
        (Kind::DeleteMany, Dialect::Azure) => azure::removed(request).unwrap_or_default(),
        (Kind::DeleteMany, _) => s3::removed(request).unwrap_or_default(),
        _ => vec![request.key.clone()],
    }
}

impl HttpConnector for FakeCloud {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for FakeCloud {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let answer = self.answer(http::Request::from_parts(head, body)).await;
        let answer = answer.ok_or_else(|| interrupted(io::ErrorKind::ConnectionReset.into()))?;
        let (head, frames) = answer.into_frames();
        Ok(head.map(|()| HttpResponseBody::new(StreamBody::new(frames.map_err(interrupted)))))
    }
}

/// The error of a connection that has ended: whether the request was carried out is not known.
fn interrupted(error: io::Error) -> HttpError {
    HttpError::new(HttpErrorKind::Interrupted, error)
}

/// A store that listens at a socket, until this is dropped.
#[derive(Debug)]
pub struct Listening {
    scheme: &'static str,
    address: SocketAddr,
    task: AbortHandle,
}

impl Listening {
    /// Returns the origin that it listens at, which is the endpoint of all dialects.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeCloud {
    /// Listens at a socket of this machine.
    ///
    /// # Panics
    /// When there is none.
    pub async fn listen(&self) -> Listening {
        self.listen_with("http", Self::serve).await
    }

    /// Listens at a socket of this machine, behind TLS.
    ///
    /// # Panics
    /// When there is none.
    #[cfg(feature = "net")]
    pub async fn listen_over_tls(&self, tls: tokio_rustls::TlsAcceptor) -> Listening {
        let serve = move |cloud: Self, stream| {
            let tls = tls.clone();
            async move {
                // Who does not trust the certificate ends it here.
                if let Ok(stream) = tls.accept(stream).await {
                    cloud.serve(stream).await;
                }
            }
        };
        self.listen_with("https", serve).await
    }

    async fn listen_with<F: Future<Output = ()> + Send + 'static>(
        &self,
        scheme: &'static str,
        serve: impl Fn(Self, TcpStream) -> F + Send + 'static,
    ) -> Listening {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, cloud) = (listener.local_addr().unwrap(), self.clone());
        let task = tokio::spawn(async move {
            // With it end the connections.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                connections.spawn(serve(cloud.clone(), stream));
            }
        });
        Listening { scheme, address, task: task.abort_handle() }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(move |request: http::Request<Incoming>| {
            let cloud = self.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
                let answer = cloud.answer(http::Request::from_parts(head, body)).await;
                let answer = answer.ok_or(io::ErrorKind::ConnectionReset)?;
                let (head, frames) = answer.into_frames();
                Ok::<_, io::Error>(head.map(|()| StreamBody::new(frames)))
            }
        });
        // A connection that ends is meant to, or is the client's affair.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }
}
