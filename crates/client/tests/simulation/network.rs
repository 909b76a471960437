//! A faulty layer between the client and the server: each request has its fate.

use std::{
    convert::Infallible,
    error::Error,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream};
use http::{Request, Response, header, request::Parts};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use partwise::RequestBody;
use partwise_protocol::{Api, operations::OperationId};
use partwise_server::Server;
use partwise_testkit::dice::Dice;
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};
use tower_service::Service;

use crate::{
    body::{Incoming, Outgoing, Sent},
    books::Books,
    clocks::Clocks,
    fate::{Ending, Fate, Rates, Way, quota_exhausted},
    journal::Journal,
    source::Content,
};

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;
type BoxError = Box<dyn Error + Send + Sync>;

/// What is between the two sides, and the server's side.
pub(crate) struct Wires {
    pub(crate) seed: u64,
    pub(crate) server: Server,
    pub(crate) api: Api,
    pub(crate) rates: Rates,
    /// Whether answers say what time it is.
    pub(crate) sends_date: bool,
    pub(crate) clocks: Clocks,
    pub(crate) books: Arc<Books>,
    pub(crate) source: Arc<Content>,
    pub(crate) journal: Journal,
    pub(crate) requests: AtomicU64,
    pub(crate) quota_exhausted: AtomicBool,
    /// What a named story wants: the next request of an operation takes the first that is meant for it.
    pub(crate) script: Mutex<Vec<(OperationId, Fate)>>,
}

/// The client's end of it. As long as a clone of `client` is anywhere, something of the client is left.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) wires: Arc<Wires>,
    pub(crate) client: Arc<()>,
}

impl Service<Request<RequestBody>> for Network {
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let Self { wires, client } = self.clone();
        Box::pin(async move {
            let _client = client;
            wires.carry(request).await
        })
    }
}

impl Wires {
    async fn carry(self: Arc<Self>, request: Request<RequestBody>) -> Result<Answer, BoxError> {
        let (head, body) = request.into_parts();
        let operation = self.api.route(&head.method, &head.uri)?.operation;
        let number = self.requests.fetch_add(1, Relaxed);
        let mut dice = Dice::of(self.seed, "request", number);
        self.quota_exhausted.fetch_or(dice.chance(self.rates.quota), Relaxed);
        let fate =
            self.scripted(operation).unwrap_or_else(|| Fate::draw(&self.rates, &mut dice, &self.clocks));
        let body = Outgoing::new(body).await?;
        let is_part = operation == OperationId::AddUploadPart;
        let part = if is_part { self.source.offset_of(body.content()) } else { None };
        self.journal.write(&self.clocks, || format!("{number} leaves: {operation} {part:?}, {fate:?}"));
        let flight = self.books.take_off(number, operation, part);
        let answer = self.clone().travel(operation, fate, head, body).await;
        let told = match &answer {
            Ok((answer, _)) => format!("{}: {:?}", answer.status(), answer.body()),
            Err(error) => error.to_string(),
        };
        self.journal.write(&self.clocks, || format!("{number} ends: {told}"));
        let (answer, is_whole) = answer?;
        if is_whole {
            self.books.deliver(operation, part, &answer);
        }
        drop(flight);
        Ok(answer.map(|body| in_frames(body, is_whole)))
    }

    fn scripted(&self, operation: OperationId) -> Option<Fate> {
        let mut script = self.script.lock().unwrap();
        let next = script.iter().position(|(wanted, _)| *wanted == operation)?;
        Some(script.remove(next).1)
    }

    /// The answer, and whether it comes to its end.
    async fn travel(
        self: Arc<Self>,
        operation: OperationId,
        fate: Fate,
        head: Parts,
        body: Outgoing,
    ) -> Result<(Response<Bytes>, bool), BoxError> {
        let Fate { there, back, patience, way } = fate;
        let (limit, ending) = match way {
            Way::NoConnection => return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into()),
            Way::Lost => {
                sleep(patience).await;
                return Err(io::Error::from(io::ErrorKind::TimedOut).into());
            }
            Way::Rejected(refusal) => {
                sleep(back).await;
                return Ok((refusal, true));
            }
            Way::Cut(per_mille) => (body.len() * per_mille / 1000, Ending::Answered),
            Way::Done(ending) => (u64::MAX, ending),
        };
        let answer = match self.clone().deliver_to_server(operation, head, body, there, limit).await? {
            Some(answer) => answer,
            None => return Err(io::Error::from(io::ErrorKind::ConnectionReset).into()),
        };
        sleep(back).await;
        let was_done = answer.status().is_success();
        match ending {
            Ending::Lost => {
                sleep(patience).await;
                Err(io::Error::from(io::ErrorKind::TimedOut).into())
            }
            Ending::Reset => Err(io::Error::from(io::ErrorKind::ConnectionReset).into()),
            Ending::Replaced(other) if was_done => Ok((other, true)),
            Ending::Truncated if was_done => Ok((answer.map(|body| body.slice(..body.len() / 2)), true)),
            Ending::BrokenOff => Ok((answer, false)),
            _ => Ok((answer, true)),
        }
    }

    /// The server's answer; `None` when the connection broke before.
    async fn deliver_to_server(
        self: Arc<Self>,
        operation: OperationId,
        head: Parts,
        body: Outgoing,
        takes: std::time::Duration,
        limit: u64,
    ) -> Result<Option<Response<Bytes>>, BoxError> {
        if self.quota_exhausted.load(Relaxed) {
            return Ok(Some(quota_exhausted()));
        }
        if body.len() == 0 {
            sleep(takes).await;
            if limit == 0 {
                return Ok(None);
            }
        }
        let (sender, receiver) = mpsc::channel(1);
        let incoming = Incoming::new(receiver, body.len());
        let (tell, mut answered) = oneshot::channel();
        // The server goes on by itself, whatever becomes of the client.
        tokio::spawn(self.serve(operation, Request::from_parts(head, incoming), tell));
        let sent = tokio::select! {
            biased;
            answer = &mut answered => return Ok(Some(answer?)),
            sent = body.send(sender, takes, limit) => sent?,
        };
        match sent {
            Sent::Cut => Ok(None),
            Sent::All => Ok(Some(answered.await?)),
        }
    }

    async fn serve(
        self: Arc<Self>,
        operation: OperationId,
        request: Request<Incoming>,
        tell: oneshot::Sender<Response<Bytes>>,
    ) {
        let answer =
            self.server.clone().call(request).await.unwrap_or_else(|never: Infallible| match never {});
        let (mut head, body) = answer.into_parts();
        let body = body.collect().await.expect("a store in memory never fails").to_bytes();
        if head.status.is_success() {
            self.books.done(operation);
        }
        if self.sends_date {
            let date = Clocks::http_date(self.clocks.server());
            head.headers.insert(header::DATE, date.parse().unwrap());
        }
        self.journal.write(&self.clocks, || format!("  the server: {operation}, {} {body:?}", head.status));
        // Nobody may be waiting any more.
        let _ = tell.send(Response::from_parts(head, body));
    }
}

fn in_frames(body: Bytes, is_whole: bool) -> UnsyncBoxBody<Bytes, io::Error> {
    let frames = if is_whole {
        vec![Ok(Frame::data(body))]
    } else {
        vec![Ok(Frame::data(body.slice(..body.len() / 2))), Err(io::ErrorKind::ConnectionReset.into())]
    };
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}
