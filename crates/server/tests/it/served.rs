//! A world served on a socket, and bytes for it as they stand on the wire.

use std::{future::Future, net::SocketAddr, pin::Pin, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use partwise_server::{Server, Stopped};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

use crate::world::World;

/// A served world.
pub(crate) struct Served {
    world: Server,
    pub(crate) address: SocketAddr,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) server: JoinHandle<Stopped>,
}

pub(crate) async fn serve(world: &World) -> Served {
    let server = world.server.clone();
    Served::start(world, |listener, stopped| server.serve(listener, stopped)).await
}

/// With a number of threads that most connections have to share.
pub(crate) async fn serve_on_threads(world: &World) -> Served {
    let (server, two) = (world.server.clone(), 2.try_into().unwrap());
    Served::start(world, |listener, stopped| server.serve_on_threads(two, listener, stopped).unwrap()).await
}

type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Served {
    async fn start<F>(world: &World, serve: impl FnOnce(TcpListener, Stop) -> F) -> Self
    where
        F: Future<Output = Stopped> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(listener, Box::pin(async { drop(stopped.await) })));
        Self { world: world.server.clone(), address, stop, server }
    }

    /// The number of requests in flight.
    pub(crate) fn requests(&self) -> usize {
        self.world.requests_in_flight()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(crate) async fn client(&self) -> SendRequest<Full<Bytes>> {
        let (client, connection) = handshake(TokioIo::new(self.connect().await)).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

pub(crate) async fn send(client: &mut SendRequest<Full<Bytes>>, request: Request<Bytes>) -> Response<Bytes> {
    let response = client.send_request(in_origin_form(request)).await.unwrap();
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

fn in_origin_form(mut request: Request<Bytes>) -> Request<Full<Bytes>> {
    let target = request.uri().path_and_query().unwrap().to_string();
    *request.uri_mut() = target.parse().unwrap();
    request.headers_mut().insert("host", "partwise.test".parse().unwrap());
    request.map(Full::new)
}

/// Fails a test that would otherwise wait for ever.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it hangs")
}

pub(crate) fn post_head(key: &str, length: impl std::fmt::Display, more: &str) -> String {
    format!(
        "POST /v1/files HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {key}\r\n{more}\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Reads up to and including the head of an answer and `Content-Length` bytes more.
pub(crate) async fn read_answer(stream: &mut TcpStream) -> String {
    read_answer_to(stream, false).await
}

/// The same, without a body when the request has asked for the head alone.
pub(crate) async fn read_answer_to(stream: &mut TcpStream, is_head: bool) -> String {
    let mut text = Vec::new();
    loop {
        let text_so_far = String::from_utf8_lossy(&text).to_lowercase();
        if let Some(end) = text_so_far.find("\r\n\r\n") {
            let length =
                text_so_far.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            let length: usize = length.filter(|_| !is_head).map_or(0, |length| length.parse().unwrap());
            if text.len() >= end + 4 + length {
                return String::from_utf8(text).unwrap();
            }
        }
        let mut buffer = [0; 1024];
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "the connection ended within the answer: {text_so_far}");
        text.extend_from_slice(&buffer[..read]);
    }
}

pub(crate) const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n\
    --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nabc\r\n--b--\r\n";

/// Everything that the server sends until it closes the connection.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    in_time(stream.read_to_end(&mut text)).await.expect("the connection ends without a reset");
    String::from_utf8(text).unwrap()
}

/// An answer without what differs from time to time.
pub(crate) fn steady(answer: &str) -> String {
    let lines = answer.lines().map(|line| match line.split_once(": ") {
        Some((name @ ("date" | "x-request-id" | "apim-request-id"), _)) => format!("{name}: …"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
