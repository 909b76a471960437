//! A line that is slow, breaks, or falls silent: a TCP proxy in front of a service, in a process of its own.
//!
//! All connections share one rate in each direction. HTTP/1.1 is read as it passes, so that the line knows which bytes of a file
//! were acknowledged; it changes nothing. It listens on loopback only.

mod book;
mod bucket;
mod exchanges;
mod form;
mod messages;
mod ranges;
mod relay;
mod schedule;
mod units;

use std::cell::{Cell, RefCell};
use std::io::{BufRead as _, stdin};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::Instant;

use book::Book;
pub(crate) use book::{Sample, Told, WidestCut};
use bucket::Bucket;
use relay::Orders;
pub(crate) use units::{Span, rate};

/// Connections that are not accepted yet.
const WAITING: u32 = 1024;
/// A connection holds what the line carries in so long, within these limits: what queues on the way.
const QUEUE: Duration = Duration::from_millis(100);
const LEAST_QUEUE: u64 = 64 * 1024;
const MOST_QUEUE: u64 = 512 * 1024;
/// How often a person is told how it stands.
const TOLD_EVERY_S: u64 = 10;

/// The line. Times are in seconds since the first connection.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// The service behind it, such as `http://127.0.0.1:8080`.
    #[arg(long)]
    to: String,
    /// The port to listen on, at 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The rate that all connections share, for each direction: 1MB is 1,000,000 bytes a second, 8Mbit is the same. No limit by default.
    #[arg(long, value_parser = rate)]
    rate: Option<u64>,
    /// The round trip, in milliseconds.
    #[arg(long, default_value_t = 0)]
    latency: u64,
    /// Reset all connections every so many seconds.
    #[arg(long, value_parser = units::seconds)]
    cut_every: Option<f64>,
    /// Reset all connections and refuse others from A to B, as in 30..90.
    #[arg(long, value_name = "A..B")]
    away: Vec<Span>,
    /// Accept connections from A to B, and reset them at once.
    #[arg(long, value_name = "A..B")]
    reset: Vec<Span>,
    /// Let all connections fall silent that are open at any time from A to B; they stay so.
    #[arg(long, value_name = "A..B")]
    silent: Vec<Span>,
    /// End when standard input does, and say nothing meanwhile.
    #[arg(long, hide = true)]
    until_input_ends: bool,
}

/// What all connections share.
struct Shared {
    up: Bucket,
    down: Bucket,
    latency: Duration,
    book: RefCell<Book>,
    orders: watch::Sender<Orders>,
    /// When the first connection came.
    begin: watch::Sender<Option<Instant>>,
    is_away: watch::Sender<bool>,
    is_resetting: Cell<bool>,
    is_silent: Cell<bool>,
    is_quiet: bool,
}

impl Shared {
    fn new(options: &Options) -> Self {
        Self {
            up: Bucket::of_rate(options.rate),
            down: Bucket::of_rate(options.rate),
            latency: Duration::from_millis(options.latency),
            book: RefCell::default(),
            orders: watch::Sender::default(),
            begin: watch::Sender::default(),
            is_away: watch::Sender::default(),
            is_resetting: Cell::new(false),
            is_silent: Cell::new(false),
            is_quiet: options.until_input_ends,
        }
    }

    /// Since the first connection.
    fn now(&self) -> Duration {
        self.begin.borrow().map_or(Duration::ZERO, |begin| begin.elapsed())
    }

    fn tell(&self) -> Result<String> {
        Ok(serde_json::to_string(&self.book.borrow().tell(self.now()))?)
    }

    /// Tells a person what happens.
    fn say(&self, what: &str) {
        if !self.is_quiet {
            eprintln!("{:6.1} s: {what}", self.now().as_secs_f64());
        }
    }

    fn say_how_it_stands(&self, sample: Sample) {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let Sample { open, sent, acknowledged, .. } = sample;
        let (sent, acknowledged) = (mib(sent), mib(acknowledged));
        self.say(&format!("{open} open, {sent:.1} MiB sent, {acknowledged:.1} MiB acknowledged"));
    }
}

/// Serves until it is interrupted, or standard input ends if it is to; then, and for each line of standard input, tells as a line of
/// JSON what passed. The first line of standard output says where it listens.
pub(crate) fn run(options: &Options) -> Result<()> {
    let service = address(&options.to)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let line = Line::open(options, service)?;
        println!("listening on http://{}", line.address);
        tokio::select! {
            ended = line.accepting => ended?,
            asked = answer(&line.shared, options.until_input_ends) => asked,
        }
    })
}

/// A line that listens.
struct Line {
    address: SocketAddr,
    shared: Rc<Shared>,
    accepting: JoinHandle<Result<()>>,
}

impl Line {
    fn open(options: &Options, service: SocketAddr) -> Result<Self> {
        let port = port(options.port)?;
        let address = port.local_addr()?;
        let queue = options.rate.map_or(MOST_QUEUE, |rate| (rate as f64 * QUEUE.as_secs_f64()) as u64);
        let queue = u32::try_from(queue.clamp(LEAST_QUEUE, MOST_QUEUE))?;
        // From here on nobody is refused.
        let listener = listen(address, queue)?;
        let shared = Rc::new(Shared::new(options));
        schedule::begin(options, &shared);
        spawn_local(sampled(shared.clone()));
        let again = move || {
            // It stays taken for as long.
            let _port = &port;
            listen(address, queue)
        };
        let accepting = spawn_local(accept(shared.clone(), listener, again, service));
        Ok(Self { address, shared, accepting })
    }
}

/// Answers each line of standard input, until the end.
async fn answer(shared: &Shared, until_input_ends: bool) -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (mut lines, mut is_input_open) = (lines(), true);
    loop {
        tokio::select! {
            line = lines.recv(), if is_input_open => match line {
                Some(()) => println!("{}", shared.tell()?),
                None if until_input_ends => return Ok(()),
                None => is_input_open = false,
            },
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    println!("{}", shared.tell()?);
    Ok(())
}

/// The lines of standard input, which is read on a thread.
fn lines() -> mpsc::UnboundedReceiver<()> {
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::spawn(move || {
        let mut lines = stdin().lock().lines();
        while lines.next().is_some_and(|line| line.is_ok()) && sender.send(()).is_ok() {}
    });
    receiver
}

/// Takes the port and does not listen on it: connections are refused, and nobody else can have it.
fn port(port: u16) -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into()).with_context(|| format!("port {port} of 127.0.0.1"))?;
    Ok(socket)
}

fn listen(at: SocketAddr, queue: u32) -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_recv_buffer_size(queue)?;
    socket.bind(at)?;
    Ok(socket.listen(WAITING)?)
}

/// Accepts connections whenever the line is there.
async fn accept(
    shared: Rc<Shared>,
    mut listener: TcpListener,
    listen_again: impl Fn() -> Result<TcpListener>,
    service: SocketAddr,
) -> Result<()> {
    let mut away = shared.is_away.subscribe();
    loop {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = away.wait_for(|away| *away) => break,
            };
            // One that left before it was accepted was none.
            let Ok((client, _)) = accepted else { continue };
            shared
                .begin
                .send_if_modified(|begin| begin.replace(begin.unwrap_or_else(Instant::now)).is_none());
            if shared.is_resetting.get() {
                let mut book = shared.book.borrow_mut();
                book.open();
                book.close();
                let _ = client.set_zero_linger();
            } else {
                spawn_local(relay::serve(client, service, shared.clone()));
            }
        }
        drop(listener);
        away.wait_for(|away| !away).await?;
        listener = listen_again()?;
    }
}

/// Takes down each second how it stands.
async fn sampled(shared: Rc<Shared>) {
    let begin = shared.begin.subscribe().wait_for(Option::is_some).await.map(|begin| *begin);
    let Ok(Some(begin)) = begin else { return };
    for second in 1.. {
        tokio::time::sleep_until(begin + Duration::from_secs(second)).await;
        let sample = shared.book.borrow_mut().sample(shared.now());
        if second % TOLD_EVERY_S == 0 {
            shared.say_how_it_stands(sample);
        }
    }
}

/// The address in an origin.
fn address(origin: &str) -> Result<SocketAddr> {
    let address = origin.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let address = address.map(|address| address.replace("localhost:", "127.0.0.1:"));
    let address = address.and_then(|address| address.parse::<SocketAddr>().ok());
    let address =
        address.with_context(|| format!("--to {origin}: it has to be as in http://127.0.0.1:8080"))?;
    ensure!(address.ip().is_loopback(), "--to {origin}: only services on this machine are put behind a line");
    Ok(address)
}

#[cfg(test)]
mod tests;
