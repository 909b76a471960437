//! One HTTP/1.1 connection with its one task, and the slots that limit how many there are.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::Uri;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use partwise_net::files::Files;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    task::{JoinError, JoinHandle},
    time::{Instant, timeout},
};

use super::{
    body::StackBody,
    connect::{Connector, Opened},
    error::StackError,
    proxy::Server,
    stream::Stream,
    use_time::{Use, UseTime},
    wire::Gauge,
};
use partwise_net::sleep::SHORTEST_SLEEP;

/// A connection that nobody used for this long is not used again: what lies between may have forgotten it without a
/// word, and the request would wait for an answer that never comes.
const LONGEST_IDLE: Duration = Duration::from_secs(60);
/// One that nobody needed while others were used for this long is closed: fewer are wanted by now.
const LONGEST_SURPLUS: Duration = Duration::from_secs(1);

/// Getting ready for the next request is a matter of microseconds; whatever takes this long is not worth waiting for.
const LONGEST_TO_READY: Duration = Duration::from_secs(1);

/// An open connection. Its task ends with it, at once and whatever the peer does. While its stream is taken it has none,
/// and is good for nothing but getting the stream back.
pub(super) struct Connection {
    pub(super) sender: SendRequest<StackBody>,
    /// Where the files of its bodies go.
    pub(super) files: Option<Files>,
    pub(super) gauge: Arc<Gauge>,
    /// The proxy that forwards each request.
    pub(super) forwarded: Option<Server>,
    task: JoinHandle<Ended>,
    /// Asks the task for the stream.
    release: Option<oneshot::Sender<()>>,
    /// How the task ended, once that was asked for.
    ended: Option<Result<hyper::Result<()>, JoinError>>,
    /// Closed now, it would cut a request or an answer in two.
    in_use: bool,
}

impl Connection {
    async fn open(connector: &Connector, uri: &Uri) -> Result<Self, StackError> {
        let Opened { stream, forwarded } = connector.open(uri).await?;
        let (gauge, files) = (stream.gauge(), stream.files());
        gauge.defer_write_errors();
        let Speaking { sender, task, release } = Speaking::begin(stream).await?;
        let release = Some(release);
        Ok(Self { sender, files, gauge, forwarded, task, release, ended: None, in_use: false })
    }

    /// Takes the stream out of HTTP's hands, with what HTTP has read of the answer and not handed out; `None` when the
    /// connection has ended.
    pub(super) async fn take(&mut self) -> Option<RawStream> {
        // A task that has ended asks nobody.
        let _ = self.release.take()?.send(());
        self.join().await
    }

    /// Waits until the task has ended. Who asked for the stream gets it.
    async fn join(&mut self) -> Option<RawStream> {
        if self.ended.is_some() {
            return None;
        }
        let (ended, taken) = match (&mut self.task).await {
            Ok(Ended::Closed(closed)) => (Ok(closed), None),
            Ok(Ended::Taken(taken)) => (Ok(Ok(())), Some(*taken)),
            Err(stopped) => (Err(stopped), None),
        };
        self.ended = Some(ended);
        taken
    }

    /// Gives HTTP the stream back that was taken, for the next request.
    pub(super) async fn go_on(&mut self, stream: Stream) -> Result<(), StackError> {
        let Speaking { sender, task, release } = Speaking::begin(stream).await?;
        (self.sender, self.task, self.release, self.ended) = (sender, task, Some(release), None);
        Ok(())
    }

    /// Waits until the connection has ended. Whatever it had to say to a request has been said by then.
    pub(super) async fn ended(&mut self) {
        self.join().await;
    }

    /// How the connection ended, when it takes no requests any more; `None` is an ordinary end.
    async fn end(mut self) -> Result<Option<hyper::Error>, StackError> {
        // Late is no other end than an ordinary one.
        let _ = timeout(LONGEST_TO_READY, self.ended()).await;
        match self.ended.take() {
            Some(Ok(ended)) => Ok(ended.err()),
            // Only the runtime ends the task of a connection that is still held.
            Some(Err(_)) => Err(StackError::Closed),
            None => Ok(None),
        }
    }
}

impl Connection {
    /// Closes the connection at once, and waits until nothing can be written to it any more.
    pub(super) async fn close(&mut self) {
        self.gauge.reset_on_close();
        self.task.abort();
        drop(self.join().await);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.in_use {
            self.gauge.reset_on_close();
        }
        self.task.abort();
    }
}

/// A stream on which HTTP is spoken.
struct Speaking {
    sender: SendRequest<StackBody>,
    task: JoinHandle<Ended>,
    release: oneshot::Sender<()>,
}

/// How the task of a connection ended.
enum Ended {
    Closed(hyper::Result<()>),
    Taken(Box<RawStream>),
}

/// A stream that HTTP is no longer spoken on.
pub(super) struct RawStream {
    pub(super) stream: Stream,
    /// What HTTP has read from it and not handed out.
    pub(super) read: Bytes,
}

impl Speaking {
    async fn begin(stream: Stream) -> Result<Self, StackError> {
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(StackError::Exchange)?;
        let (release, wanted) = oneshot::channel();
        // What goes wrong in there is told to the request that it goes wrong for, if one was sent by then.
        let task = tokio::spawn(speak(connection, wanted));
        Ok(Self { sender, task, release })
    }
}

/// Speaks HTTP until the connection ends, or its stream is wanted.
async fn speak(
    mut connection: http1::Connection<TokioIo<Stream>, StackBody>,
    wanted: oneshot::Receiver<()>,
) -> Ended {
    tokio::select! {
        biased;
        Ok(()) = wanted => {
            let http1::Parts { io, read_buf, .. } = connection.into_parts();
            Ended::Taken(Box::new(RawStream { stream: io.into_inner(), read: read_buf }))
        }
        closed = &mut connection => Ended::Closed(closed),
    }
}

/// The connections of one stack: at most so many at a time, kept between requests.
pub(super) struct Slots {
    connector: Connector,
    free: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    use_time: Arc<UseTime>,
    /// Where somebody has answered in HTTP.
    speak_http: Mutex<HashSet<Origin>>,
}

struct Idle {
    origin: Origin,
    connection: Connection,
    since: Instant,
    /// The same on the clock of use.
    used: Duration,
    /// How long the machine had slept by then.
    slept: Duration,
}

/// What a connection is good for: scheme and authority.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Origin(Option<http::uri::Scheme>, Option<http::uri::Authority>);

/// The use of one connection for one request. Dropped before the answer is complete, it closes the connection.
pub(super) struct Lease {
    pub(super) connection: Connection,
    origin: Origin,
    slots: Arc<Slots>,
    /// Whether requests were sent on this connection before.
    pub(super) reused: bool,
    _in_use: Use,
    _slot: OwnedSemaphorePermit,
}

impl Slots {
    pub(super) fn new(connector: Connector, limit: usize) -> Self {
        Self {
            connector,
            free: Arc::new(Semaphore::new(limit)),
            idle: Mutex::default(),
            use_time: Arc::default(),
            speak_http: Mutex::default(),
        }
    }

    /// A connection for `uri`: one that is open and idle, else a new one. Waits while all slots are taken.
    pub(super) async fn lease(self: &Arc<Self>, uri: &Uri) -> Result<Lease, StackError> {
        let slot = self.free.clone().acquire_owned().await.map_err(|_| StackError::Closed)?;
        let origin = Origin(uri.scheme().cloned(), uri.authority().cloned());
        let (mut connection, reused) = match self.take_idle(&origin).await {
            Some(connection) => (connection, true),
            None => (Connection::open(&self.connector, uri).await?, false),
        };
        connection.in_use = true;
        let in_use = Use::begin(&self.use_time);
        Ok(Lease { connection, origin, slots: self.clone(), reused, _in_use: in_use, _slot: slot })
    }

    /// A connection was silent for so long: those that lay idle meanwhile have shown nothing better, and are closed.
    pub(super) fn distrust(&self, silent: Duration) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| kept.since.elapsed() < silent);
    }

    async fn take_idle(&self, origin: &Origin) -> Option<Connection> {
        loop {
            let mut connection = self.pop_idle(origin)?;
            // The last exchange was complete, so this takes a moment, or shows that the peer has closed.
            if let Ok(Ok(())) = timeout(LONGEST_TO_READY, connection.sender.ready()).await {
                return Some(connection);
            }
        }
    }

    fn pop_idle(&self, origin: &Origin) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let slept = self.connector.traffic().slept();
        idle.retain(|kept| {
            let has_slept = slept.saturating_sub(kept.slept) >= SHORTEST_SLEEP;
            !has_slept && !kept.connection.sender.is_closed() && kept.since.elapsed() < LONGEST_IDLE
        });
        match idle.iter().rposition(|kept| kept.origin == *origin) {
            Some(position) => {
                let connection = idle.remove(position).connection;
                let used = self.use_time.now();
                let is_surplus = |kept: &Idle| used.saturating_sub(kept.used) >= LONGEST_SURPLUS;
                idle.retain(|kept| kept.origin != *origin || !is_surplus(kept));
                Some(connection)
            }
            None => {
                // One for another origin would be a connection beyond the limit.
                if idle.len() > self.free.available_permits() {
                    idle.remove(0);
                }
                None
            }
        }
    }
}

impl Lease {
    /// How the connection ended, when it takes no requests any more; `None` is an ordinary end.
    pub(super) async fn end(self) -> Result<Option<hyper::Error>, StackError> {
        self.connection.end().await
    }

    /// It was silent for so long.
    pub(super) fn distrust(&self, silent: Duration) {
        self.slots.distrust(silent);
    }

    /// An answer has come.
    pub(super) fn note_http(&self) {
        let mut speak_http = self.slots.speak_http.lock().unwrap_or_else(PoisonError::into_inner);
        if !speak_http.contains(&self.origin) {
            speak_http.insert(self.origin.clone());
        }
    }

    /// Whether an answer ever came from there, on this connection or on another.
    pub(super) fn speaks_http(&self) -> bool {
        self.slots.speak_http.lock().unwrap_or_else(PoisonError::into_inner).contains(&self.origin)
    }

    /// The answer is complete: the next request may use the connection.
    pub(super) fn give_back(self) {
        let Self { mut connection, origin, slots, _slot, .. } = self;
        connection.in_use = false;
        let slept = slots.connector.traffic().slept();
        let used = slots.use_time.now();
        let kept = Idle { origin, connection, since: Instant::now(), used, slept };
        slots.idle.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
    }
}
