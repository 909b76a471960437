//! The state that all clients share, and the one function that sends their requests.

use std::io;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::book::Book;
use crate::disk::Disk;
use crate::findings::Findings;
use crate::http::{Connection, Failure, PATIENCE, Request, Response};
use crate::server::Server;

/// The room that a file takes besides its bytes: records, folders, and the rest of the last page of each.
const OVERHEAD: u64 = 24 << 10;
/// Servers close connections that are idle for a minute or so: one is not used again much later.
const FRESH: Duration = Duration::from_secs(10);

/// One of the servers over the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Side(pub(crate) usize);

/// The state that all clients share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) servers: Vec<Server>,
    pub(crate) keys: Vec<String>,
    pub(crate) book: Book,
    /// The disk of the store; `None` for a store elsewhere.
    pub(crate) disk: Option<Disk>,
    pub(crate) findings: Findings,
    pub(crate) budget: Budget,
    pub(crate) counts: Counts,
    /// Clients read while they have a turn; a caller that needs quiet writes.
    pub(crate) gate: RwLock<()>,
    /// Set while slow clients have to finish.
    pub(crate) hush: AtomicBool,
    pub(crate) over: AtomicBool,
}

/// Counters for the summary.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) answers: AtomicU64,
    pub(crate) unanswered: AtomicU64,
    pub(crate) full: AtomicU64,
    pub(crate) cuts: AtomicU64,
    pub(crate) audits: AtomicU64,
    pub(crate) compared: AtomicU64,
}

/// A limit on the bytes written, so that the load alone never fills the disk: what is deleted stays on it for an hour.
#[derive(Debug)]
pub(crate) struct Budget {
    total: u64,
    spent: AtomicU64,
    begin: Instant,
    duration: Duration,
}

impl Budget {
    pub(crate) fn new(total: u64, duration: Duration) -> Self {
        Self { total, spent: AtomicU64::new(0), begin: Instant::now(), duration }
    }

    /// Returns true if a client may write now.
    pub(crate) fn allows(&self) -> bool {
        let share = 0.1 + 0.9 * self.begin.elapsed().as_secs_f64() / self.duration.as_secs_f64();
        (self.spent.load(SeqCst) as f64) < self.total as f64 * share.min(1.0)
    }

    pub(crate) fn spend(&self, bytes: u64) {
        self.spent.fetch_add(bytes + OVERHEAD, SeqCst);
    }
}

/// A request with what may come of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// The request in words, the same for all of its kind.
    pub(crate) what: &'static str,
    pub(crate) request: &'a Request,
    /// The statuses that are right.
    pub(crate) expected: &'a [u16],
    /// Set if it needs room, so that 507 is right on a full disk.
    pub(crate) needs_room: bool,
    /// The time limit of its answer.
    pub(crate) patience: Duration,
}

impl<'a> Question<'a> {
    pub(crate) fn new(what: &'static str, request: &'a Request, expected: &'a [u16]) -> Self {
        Self { what, request, expected, needs_room: false, patience: PATIENCE }
    }

    pub(crate) fn with_room(self) -> Self {
        Self { needs_room: true, ..self }
    }
}

/// The outcome of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    Got(Response),
    /// It was certainly not executed.
    Never,
    /// It may have been executed.
    Unknown,
}

/// A connection that may be used again.
#[derive(Debug, Default)]
pub(crate) struct Line(Option<Kept>);

#[derive(Debug)]
struct Kept {
    side: Side,
    life: u64,
    since: Instant,
    connection: Connection,
}

impl Line {
    fn take(&mut self, side: Side, life: u64) -> Option<Connection> {
        let kept = self.0.take()?;
        let is_fresh = kept.since.elapsed() < FRESH;
        (kept.side == side && kept.life == life && is_fresh).then_some(kept.connection)
    }

    pub(crate) fn close(&mut self) {
        self.0 = None;
    }
}

/// The state of a server and of the disk when a request began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    side: Side,
    life: u64,
    phase: u64,
}

impl Watch {
    pub(crate) fn life(self) -> u64 {
        self.life
    }
}

impl World {
    pub(crate) fn server(&self, side: Side) -> &Server {
        &self.servers[side.0]
    }

    pub(crate) fn sides(&self) -> impl Iterator<Item = Side> + use<> {
        (0..self.servers.len()).map(Side)
    }

    /// One of the servers, by chance.
    pub(crate) fn draw(&self, random: &mut Rng) -> Side {
        Side(random.usize(0..self.servers.len()))
    }

    /// The server that lives as long as the load; with a store elsewhere any of them is killed.
    pub(crate) fn steady(&self) -> Option<&Server> {
        self.disk.as_ref().and(self.servers.last())
    }

    /// As of [`Disk::phase`].
    pub(crate) fn phase(&self) -> u64 {
        self.disk.as_ref().map_or(0, Disk::phase)
    }

    pub(crate) fn was_full_since(&self, phase: u64) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.was_full_since(phase))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    pub(crate) fn watch(&self, side: Side) -> Watch {
        Watch { side, life: self.server(side).life(), phase: self.phase() }
    }

    /// Waits, but not longer than slow clients may; says whether they may go on.
    pub(crate) fn dawdle(&self, time: Duration) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < time && !self.hush.load(SeqCst) {
            thread::sleep(Duration::from_millis(20).min(time));
        }
        !self.hush.load(SeqCst)
    }

    /// A connection to one of the servers; `None` while it is being killed.
    pub(crate) fn connect(&self, watch: Watch, window: Option<usize>) -> Option<Connection> {
        let server = self.server(watch.side);
        let address = server.address().ok()?;
        let opened = match window {
            None => Connection::open(address),
            Some(window) => Connection::narrow(address, window),
        };
        opened.inspect_err(|error| self.lost(watch, "connect", error)).ok()
    }

    /// Sends a request, and notes what is wrong with its answer.
    pub(crate) fn ask(&self, side: Side, line: &mut Line, question: Question<'_>) -> Answer {
        let watch = self.watch(side);
        let kept = line.take(side, watch.life);
        let Some(mut connection) = kept.or_else(|| self.connect(watch, None)) else { return Answer::Never };
        if connection.set_patience(question.patience).is_err() {
            return Answer::Never;
        }
        match connection.exchange(question.request) {
            Ok(response) => {
                if response.head.field("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"))
                {
                    let since = Instant::now();
                    line.0 = Some(Kept { side, life: watch.life, since, connection });
                }
                self.judge(watch, question, &response);
                Answer::Got(response)
            }
            Err(failure) => {
                let is_impatience = question.patience < PATIENCE && is_time_out(failure.error());
                if !is_impatience {
                    self.lost(watch, question.what, failure.error());
                }
                self.counts.unanswered.fetch_add(1, SeqCst);
                if matches!(failure, Failure::Receive(_)) { Answer::Unknown } else { Answer::Never }
            }
        }
    }

    /// Notes an answer that is none of those that are right.
    pub(crate) fn judge(&self, watch: Watch, question: Question<'_>, response: &Response) {
        self.counts.answers.fetch_add(1, SeqCst);
        let status = response.status();
        if question.expected.contains(&status) {
            return;
        }
        let was_full = self.was_full_since(watch.phase);
        if status == 507 && question.needs_room && was_full {
            self.counts.full.fetch_add(1, SeqCst);
            return;
        }
        let disk = if was_full { " on a full disk" } else { "" };
        let kind = format!("{}: {status}{disk}, expected {:?}", question.what, question.expected);
        let line = question.request.head.lines().next().unwrap_or_default();
        self.findings
            .note(kind, format!("server {}: {line}: {}", self.server(watch.side).name(), response.words()));
    }

    /// Notes that a connection was lost, or an answer did not come, although nobody killed the server.
    pub(crate) fn lost(&self, watch: Watch, what: &str, error: &io::Error) {
        let server = self.server(watch.side);
        if server.has_lived_since(watch.life) {
            let kind = if is_time_out(error) {
                "no answer in time"
            } else {
                "the connection is lost without a kill"
            };
            self.findings.note(format!("{what}: {kind}"), format!("server {}: {error}", server.name()));
        }
    }
}

fn is_time_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
