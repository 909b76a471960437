//! A proxy that passes bytes on, until it does something else: to single connections by a schedule, or to the whole line.

mod connection;
mod fault;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use partwise_server::testing::Schedule;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Notify,
    task::{AbortHandle, JoinSet},
};

pub use self::fault::{ConnectionFault, Ending};

/// Accepts connections until it is dropped.
///
/// ```
/// use partwise_server::testing::Schedule;
/// use partwise_testkit::proxy::{ConnectionFault, Ending, Proxy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let service = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// // The second connection is reset after a kilobyte.
/// let cut = ConnectionFault::Cut { after: 1000, by: Ending::Reset };
/// let proxy = Proxy::start(service.local_addr()?, Schedule::new().nth(2, cut));
/// assert_eq!(proxy.faults(), 0);
/// # Ok(())
/// # }
/// ```
pub struct Proxy {
    /// The address that it listens at.
    pub address: SocketAddr,
    state: Arc<State>,
    task: AbortHandle,
}

struct State {
    upstream: SocketAddr,
    schedule: Mutex<Schedule<ConnectionFault>>,
    /// The bytes a second that each connection carries in each direction.
    rate: Option<u64>,
    counts: Counts,
    /// Connections with a lower number carry nothing any more.
    silent_below: AtomicUsize,
    is_refusing: AtomicBool,
    /// Told when `is_refusing` changes.
    changed: Notify,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    open: AtomicUsize,
    faults: AtomicUsize,
    /// Bytes of clients that were passed on.
    taken: AtomicU64,
    /// Bytes of answers that were.
    returned: AtomicU64,
}

impl Proxy {
    /// Passes connections on to `upstream`, in the runtime that it is called in; the schedule says what becomes of each.
    pub fn start(upstream: SocketAddr, schedule: Schedule<ConnectionFault>) -> Self {
        Self::with(upstream, schedule, None)
    }

    /// The same without faults, as a line on which each connection carries so many bytes a second in each direction.
    pub fn limited(upstream: SocketAddr, rate: u64) -> Self {
        Self::with(upstream, Schedule::new(), Some(rate))
    }

    fn with(upstream: SocketAddr, schedule: Schedule<ConnectionFault>, rate: Option<u64>) -> Self {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            upstream,
            schedule: schedule.into(),
            rate,
            counts: Counts::default(),
            silent_below: AtomicUsize::new(0),
            is_refusing: AtomicBool::new(false),
            changed: Notify::new(),
        });
        let task = tokio::spawn(state.clone().accept(listener, address));
        Self { address, state, task: task.abort_handle() }
    }

    /// Returns the origin for a client behind it.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns how many connections there were.
    pub fn accepted(&self) -> usize {
        self.state.counts.accepted.load(SeqCst)
    }

    /// Returns how many connections the client has open.
    pub fn open(&self) -> usize {
        self.state.counts.open.load(SeqCst)
    }

    /// Returns how many connections met with their fault.
    pub fn faults(&self) -> usize {
        self.state.counts.faults.load(SeqCst)
    }

    /// Returns how many bytes clients have sent that were passed on.
    pub fn taken(&self) -> u64 {
        self.state.counts.taken.load(SeqCst)
    }

    /// Returns how many bytes were passed on, either way.
    pub fn passed(&self) -> u64 {
        self.taken() + self.state.counts.returned.load(SeqCst)
    }

    /// Lets the connections that are open carry nothing any more, and nobody says so. New ones do.
    pub fn go_silent(&self) {
        self.state.silent_below.store(self.accepted(), SeqCst);
    }

    /// Ends all connections, and refuses new ones.
    pub fn refuse(&self) {
        self.set_refusing(true);
    }

    /// Accepts connections again.
    pub fn accept_again(&self) {
        self.set_refusing(false);
    }

    fn set_refusing(&self, is_refusing: bool) {
        self.state.is_refusing.store(is_refusing, SeqCst);
        self.state.changed.notify_one();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A listener whose connections hold so little that a peer which reads nothing soon stops the one that writes.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    // Inherited by what it accepts.
    socket.set_recv_buffer_size(64 * 1024)?;
    socket.bind(address)?;
    socket.listen(1024)
}

impl State {
    async fn accept(self: Arc<Self>, listener: TcpListener, address: SocketAddr) {
        let mut listener = Some(listener);
        loop {
            if self.is_refusing.load(SeqCst) {
                listener = None;
                self.changed.notified().await;
                continue;
            }
            let listening = listener.get_or_insert_with(|| listen(address).unwrap());
            // Dropped when it refuses, and with it all connections.
            self.accept_until_changed(listening).await;
        }
    }

    async fn accept_until_changed(self: &Arc<Self>, listener: &TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    connections.spawn(self.clone().carry(accepted.unwrap().0));
                }
                () = self.changed.notified() => return,
            }
        }
    }

    async fn carry(self: Arc<Self>, client: TcpStream) {
        let number = self.counts.accepted.fetch_add(1, SeqCst);
        let fault = self.schedule.lock().unwrap().advance();
        self.counts.open.fetch_add(1, SeqCst);
        let open = Open(&self.counts);
        // Tests interrupt connections on purpose.
        let _ = self.connection(client, number, fault).await;
        drop(open);
    }

    /// Returns the time for which a piece of so many bytes is held up.
    fn pause(&self, bytes: usize, fault: Option<ConnectionFault>) -> Duration {
        let micros = self.rate.map_or(0, |rate| bytes as u64 * 1_000_000 / rate);
        Duration::from_micros(micros) + fault.map_or(Duration::ZERO, ConnectionFault::pause)
    }

    fn is_silent(&self, number: usize) -> bool {
        number < self.silent_below.load(SeqCst)
    }
}

/// A connection that the client has open, until this is dropped.
struct Open<'c>(&'c Counts);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, SeqCst);
    }
}
