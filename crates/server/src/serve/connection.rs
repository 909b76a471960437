//! One connection, from its first request to its end.

use std::{
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use partwise_net::files::Files;
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep_until},
};
use tower_service::Service as _;

use super::{
    READ_BUFFER,
    activity::{Activity, Exchange, OpenAnswer, Overdue},
    admission::Admitted,
    bare,
};
use crate::{
    Limits, Peer, Server,
    service::{Arrival, REQUEST_ID},
    socket::{Socket, SocketBody},
};

/// A connection that was accepted, but for its stream, which belongs to the runtime that is to serve it.
pub(super) struct Connection {
    pub(super) server: Server,
    pub(super) peer: SocketAddr,
    /// Only this machine can reach the address that it came to.
    pub(super) is_on_loopback: bool,
    /// Changes when the server stops. Held by every connection, so that its sender sees the end of the last.
    pub(super) stopping: watch::Receiver<()>,
    pub(super) admitted: Admitted,
}

/// The end of a connection.
enum End {
    /// HTTP is done with it.
    Done(hyper::Result<()>),
    Overdue(Overdue),
}

type Answer = Result<Response<SocketBody>, Infallible>;
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

impl Connection {
    /// Serves what comes from this stream, on the runtime that the stream belongs to.
    pub(super) async fn serve(self, stream: TcpStream) {
        let Self { server, peer, is_on_loopback, stopping, admitted } = self;
        let limits = server.limits().clone();
        let activity = Activity::new(&limits);
        let files = Files::of_connection();
        let stream = Socket::new(stream, files.clone(), activity.clone());
        let seen = activity.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer::new(peer));
            request.extensions_mut().insert(Arrival { is_on_loopback });
            answer(server.clone(), request, seen.clone(), files.clone())
        });
        let mut connection = http1::Builder::new()
            // Times are kept here, where a connection that is idle is told from a head that does not end.
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_header_size(limits.max_head_bytes)
            .max_buf_size(READ_BUFFER.max(limits.max_head_bytes))
            .serve_connection(TokioIo::new(stream), service);
        let end = drive(&mut connection, &activity, stopping.clone()).await;
        let stream = connection.into_parts().io.into_inner().into_stream();
        finish(end, &activity, stream, &limits).await;
        drop((admitted, stopping));
    }
}

/// Serves one request, whose exchange lives as long as either of its bodies.
fn answer(
    mut server: Server,
    request: Request<Incoming>,
    activity: Activity,
    files: Option<Files>,
) -> Answering {
    let exchange = Arc::new(activity.begin(server.begin_request(), !request.body().is_end_stream()));
    let request = request.map(|body| Received {
        body,
        is_at_end: false,
        _exchange: exchange.clone(),
        activity: activity.clone(),
    });
    Box::pin(async move {
        let response = server.call(request).await.unwrap_or_else(|never| match never {});
        activity.answer(response.headers().get(REQUEST_ID));
        Ok(response.map(|body| SocketBody::new(body, files, OpenAnswer::new(exchange))))
    })
}

/// Has HTTP do its work until it is done, or the connection overdue.
async fn drive<S>(
    connection: &mut http1::Connection<TokioIo<Socket>, S>,
    activity: &Activity,
    mut stopping: watch::Receiver<()>,
) -> End
where
    S: hyper::service::HttpService<Incoming, ResBody = SocketBody> + Unpin,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Unpin,
{
    let mut stopped = pin!(async move { drop(stopping.changed().await) });
    let mut stopped_at = None;
    let mut timer = pin!(sleep_until(Instant::now()));
    poll_fn(|context| {
        if stopped_at.is_none() && stopped.as_mut().poll(context).is_ready() {
            stopped_at = Some(Instant::now());
            Pin::new(&mut *connection).graceful_shutdown();
        }
        activity.enter(context.waker());
        // It is done once all is written: the socket's part in this is no more than that, and its end comes later.
        let done = Pin::new(&mut *connection).poll(context);
        let is_to_look_again = activity.leave();
        if let Poll::Ready(done) = done {
            return Poll::Ready(End::Done(done));
        }
        if is_to_look_again {
            context.waker().wake_by_ref();
        }
        // All that moves a deadline happened above. A timer that goes off too early costs less than one that is reset each time.
        while let Some((deadline, overdue)) = activity.deadline(stopped_at) {
            if deadline <= Instant::now() {
                return Poll::Ready(End::Overdue(overdue));
            }
            if timer.is_elapsed() || timer.deadline() > deadline {
                timer.as_mut().reset(deadline);
            }
            ready!(timer.as_mut().poll(context));
        }
        Poll::Pending
    })
    .await
}

async fn finish(end: End, activity: &Activity, mut stream: TcpStream, limits: &Limits) {
    match end {
        End::Overdue(Overdue::Silent) => {}
        End::Overdue(Overdue::RestAtStop) => bare::end(&mut stream).await,
        End::Overdue(Overdue::Head) => {
            let seconds = limits.head_timeout.as_secs_f32();
            let message = format!("the head of the request was not complete within {seconds} seconds");
            bare::say(&mut stream, &bare::answer(StatusCode::REQUEST_TIMEOUT, &message, &[])).await;
        }
        End::Overdue(Overdue::HeadAtStop) => {
            let message = "the server is stopping: send the request again later";
            let answer = bare::answer(StatusCode::SERVICE_UNAVAILABLE, message, &[bare::COME_BACK]);
            bare::say(&mut stream, &answer).await;
        }
        End::Overdue(Overdue::Reader) => {
            let id = activity.request();
            tracing::info!(id, "a connection was cut off: its peer takes too little of what it is sent");
            // What the kernel still holds for it would otherwise be offered for minutes more.
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
        End::Done(done) => {
            if let Err(error) = &done {
                tracing::debug!(error = error as &dyn std::error::Error, "a connection was lost");
            }
            match (activity.held_back(), done) {
                (Some(status), Err(error)) => {
                    let (status, message) = unreadable(status, &error, limits);
                    bare::say(&mut stream, &bare::answer(status, &message, &[])).await;
                }
                // HTTP has no answer of its own to another version's beginning.
                (None, Err(error)) if error.is_parse() && activity.is_between_requests() => {
                    let (status, message) = unreadable(StatusCode::BAD_REQUEST, &error, limits);
                    bare::say(&mut stream, &bare::answer(status, &message, &[])).await;
                }
                (None, Ok(())) if activity.is_left_unread() => bare::end(&mut stream).await,
                _ => {}
            }
        }
    }
}

/// The answer to bytes that HTTP takes for no request.
fn unreadable(status: StatusCode, error: &hyper::Error, limits: &Limits) -> (StatusCode, String) {
    let cause = error.to_string();
    match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            let most = limits.max_head_bytes;
            (status, format!("the head of the request has more than {most} bytes, or more than 100 headers"))
        }
        StatusCode::URI_TOO_LONG => (status, "the path and query of the request are too long".to_owned()),
        _ if cause.contains("invalid transfer-encoding") => (
            StatusCode::NOT_IMPLEMENTED,
            "this server takes no other Transfer-Encoding than chunked".to_owned(),
        ),
        _ => (status, format!("the request cannot be read as HTTP/1.1: {cause}")),
    }
}

/// The body of a request, which tells the connection how it ends.
struct Received {
    body: Incoming,
    is_at_end: bool,
    /// Ends when this and the answer's body are gone.
    _exchange: Arc<Exchange>,
    activity: Activity,
}

impl Body for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.is_at_end = frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if !self.is_at_end && !self.body.is_end_stream() {
            self.activity.leave_unread();
        }
    }
}
