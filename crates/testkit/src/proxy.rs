//! A proxy that passes bytes on, until it does something else.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    task::{AbortHandle, JoinSet},
    time::sleep,
};

/// What happens to one connection.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Nothing.
    None,
    /// Every piece of at most 64 KiB is held up for so long, in both directions.
    Delay(Duration),
    /// It ends once the client has sent so many bytes.
    Cut {
        /// The number of bytes.
        after: u64,
        /// The way it ends.
        by: Ending,
    },
    /// It ends once so many bytes of answers have come back.
    CutAnswers {
        /// The number of bytes.
        after: u64,
        /// The way it ends.
        by: Ending,
    },
    /// Of the answers, or of those from a request on whose first line ends so, only so many bytes are what they were.
    GarbleAnswers {
        /// The end of the request's first line; any request when there is none.
        to: Option<&'static str>,
        /// The number of bytes.
        after: u64,
    },
    /// Once the client has sent so many bytes, nobody reads any more, and nobody says so.
    Stall {
        /// The number of bytes.
        after: u64,
    },
    /// Once so many bytes of answers have come back, no more come, and nobody says so.
    StallAnswers {
        /// The number of bytes.
        after: u64,
    },
    /// Once the client has sent so many bytes it is told that no answer will come; what it sends is still read.
    HalfClose {
        /// The number of bytes.
        after: u64,
    },
    /// Once the client has sent so many bytes it is told to come back later, and the connection is closed.
    SendAway {
        /// The number of bytes.
        after: u64,
    },
    /// The client's bytes are read slowly, out of small buffers.
    SlowReader,
}

impl Fault {
    /// Whether nobody may ever say that anything is wrong: a garbled length is one to wait for.
    pub fn may_be_silent(self) -> bool {
        matches!(self, Self::Stall { .. } | Self::StallAnswers { .. } | Self::GarbleAnswers { .. })
    }
}

/// What a client is told that shall come back later.
const SENT_AWAY: &str = "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// As if nothing were wrong.
    Fin,
    /// By a reset.
    Reset,
}

/// Accepts connections until it is dropped.
pub struct Proxy {
    /// The address that it listens at.
    pub address: SocketAddr,
    counts: Arc<Counts>,
    task: AbortHandle,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    open: AtomicUsize,
    faults: AtomicUsize,
    taken: AtomicU64,
}

/// A connection that the client has open, until this is dropped.
struct Open(Arc<Counts>);

impl Proxy {
    /// Passes connections on to `upstream`; `fault` says what becomes of each, counted from 0.
    pub async fn start(upstream: SocketAddr, fault: impl Fn(usize) -> Fault + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Inherited by what it accepts: what nobody reads soon stops whoever writes.
        SockRef::from(&listener).set_recv_buffer_size(64 * 1024).unwrap();
        let (address, counts) = (listener.local_addr().unwrap(), Arc::new(Counts::default()));
        let counting = counts.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let fault = fault(counting.accepted.fetch_add(1, SeqCst));
                counting.open.fetch_add(1, SeqCst);
                let open = Open(counting.clone());
                connections.spawn(async move {
                    // That one side breaks off is what tests are about.
                    let _ = connection(client, upstream, fault, &open.0).await;
                });
            }
        });
        Self { address, counts, task: task.abort_handle() }
    }

    /// How many connections the client has open.
    pub fn open(&self) -> usize {
        self.counts.open.load(SeqCst)
    }

    /// How many connections met with their fault.
    pub fn faults(&self) -> usize {
        self.counts.faults.load(SeqCst)
    }

    /// How many bytes clients have sent that were passed on.
    pub fn taken(&self) -> u64 {
        self.counts.taken.load(SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, SeqCst);
    }
}

/// How one direction of a connection ended.
enum Passed {
    /// The sender has closed it.
    All,
    /// As many bytes as were allowed.
    Limit,
}

async fn connection(
    mut client: TcpStream,
    upstream: SocketAddr,
    fault: Fault,
    counts: &Counts,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut server = TcpStream::connect(upstream).await?;
    server.set_nodelay(true)?;
    let pause = match fault {
        Fault::Delay(duration) => duration,
        Fault::SlowReader => Duration::from_millis(5),
        _ => Duration::ZERO,
    };
    if !pause.is_zero() {
        counts.faults.fetch_add(1, SeqCst);
    }
    let Passed::Limit = pass_both(&mut client, &mut server, fault, pause, counts).await? else {
        return Ok(());
    };
    counts.faults.fetch_add(1, SeqCst);
    match fault {
        Fault::Cut { by: Ending::Reset, .. } | Fault::CutAnswers { by: Ending::Reset, .. } => {
            SockRef::from(&client).set_linger(Some(Duration::ZERO))
        }
        Fault::Stall { .. } | Fault::StallAnswers { .. } => gone(&client).await,
        Fault::SendAway { .. } => client.write_all(SENT_AWAY.as_bytes()).await,
        Fault::HalfClose { .. } => {
            drop(server);
            client.shutdown().await?;
            tokio::io::copy(&mut client, &mut tokio::io::sink()).await?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Passes on what comes from either side, until one side has closed or the fault's number of bytes was passed on.
async fn pass_both(
    client: &mut TcpStream,
    server: &mut TcpStream,
    fault: Fault,
    pause: Duration,
    counts: &Counts,
) -> io::Result<Passed> {
    let (there, back) = match fault {
        Fault::Cut { after, .. }
        | Fault::Stall { after }
        | Fault::HalfClose { after }
        | Fault::SendAway { after } => (after, u64::MAX),
        Fault::CutAnswers { after, .. } | Fault::StallAnswers { after } => (u64::MAX, after),
        _ => (u64::MAX, u64::MAX),
    };
    let (to, mut kept) = match fault {
        Fault::GarbleAnswers { to, after } => (to, after),
        _ => (None, u64::MAX),
    };
    let garbles = AtomicBool::new(to.is_none());
    let asked = |piece: &mut [u8]| {
        counts.taken.fetch_add(piece.len() as u64, SeqCst);
        let line = piece.split(|byte| *byte == b'\r').next().unwrap_or_default();
        if to.is_some_and(|to| line.ends_with(to.as_bytes())) {
            garbles.store(true, SeqCst);
        }
    };
    let answered = |piece: &mut [u8]| {
        if garbles.load(SeqCst) {
            let right = piece.len().min(usize::try_from(kept).unwrap_or(usize::MAX));
            kept -= right as u64;
            piece[right..].iter_mut().for_each(|byte| *byte ^= 0x80);
            counts.faults.fetch_add(usize::from(right < piece.len()), SeqCst);
        }
    };
    let ((mut client_reads, mut client_writes), (mut server_reads, mut server_writes)) =
        (client.split(), server.split());
    tokio::select! {
        passed = pass(&mut client_reads, &mut server_writes, there, pause, asked) => passed,
        passed = pass(&mut server_reads, &mut client_writes, back, pause, answered) => passed,
    }
}

/// Passes on at most `limit` bytes.
async fn pass(
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    mut limit: u64,
    pause: Duration,
    mut on_its_way: impl FnMut(&mut [u8]),
) -> io::Result<Passed> {
    let mut buffer = vec![0; 64 * 1024];
    while limit > 0 {
        let room = buffer.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        let read = from.read(&mut buffer[..room]).await?;
        if read == 0 {
            return Ok(Passed::All);
        }
        sleep(pause).await;
        on_its_way(&mut buffer[..read]);
        to.write_all(&buffer[..read]).await?;
        limit -= read as u64;
    }
    Ok(Passed::Limit)
}

/// Waits until the client has closed a connection that nobody reads from.
pub async fn gone(client: &TcpStream) -> io::Result<()> {
    loop {
        let ready = client.ready(Interest::ERROR | Interest::READABLE).await?;
        if ready.is_error() || ready.is_read_closed() {
            return Ok(());
        }
        // It is readable, and stays so.
        sleep(Duration::from_millis(5)).await;
    }
}
