//! One connection: bytes from one side to the other, no faster than the line.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep, sleep_until};

use super::Shared;
use super::bucket::Bucket;
use super::exchanges::{Answers, Exchanges, Requests};
use super::messages::Messages;

/// The most that is read at once.
const PIECE: usize = 64 * 1024;
/// So many pieces are on their way at most.
const ON_THE_WAY: usize = 1024;
/// How often it is tried whether the client has left a silent connection.
const LEFT: Duration = Duration::from_millis(250);

/// What happens to all connections that are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Orders {
    /// How often they were to be closed,
    pub(super) cuts: u64,
    /// and how often they fell silent, for good.
    pub(super) silences: u64,
}

/// Relays until either side has gone, or both are made to.
pub(super) async fn serve(mut client: TcpStream, service: SocketAddr, shared: Rc<Shared>) {
    shared.book.borrow_mut().open();
    let relayed = relayed(&mut client, service, &shared).await;
    if relayed.is_err() {
        // A reset, as from a router that has forgotten the connection. One that is gone already cannot be reset.
        let _ = client.set_zero_linger();
    }
    shared.book.borrow_mut().close();
}

async fn relayed(client: &mut TcpStream, service: SocketAddr, shared: &Rc<Shared>) -> io::Result<()> {
    let mut orders = shared.orders.subscribe();
    let at_first = *orders.borrow_and_update();
    let is_silent = |orders: Orders| orders.silences > at_first.silences;
    if shared.is_silent.get() {
        return left(client, || orders.borrow().cuts > at_first.cuts).await;
    }
    client.set_nodelay(true)?;
    // The handshake took as long as a round trip.
    sleep(shared.latency).await;
    let mut service = TcpStream::connect(service).await?;
    service.set_nodelay(true)?;
    let relayed = {
        let both = both_ways(client, &mut service, shared);
        let ordered = async { orders.wait_for(|orders| *orders != at_first).await.map(|orders| *orders) };
        tokio::select! {
            // Nothing passes once it is not to.
            biased;
            ordered = ordered => ordered.is_ok_and(|orders| !is_silent(orders)).then(|| Err(io::ErrorKind::ConnectionReset.into())),
            relayed = both => Some(relayed),
        }
    };
    let relayed = match relayed {
        Some(relayed) => relayed,
        None => left(client, || orders.borrow().cuts > at_first.cuts).await,
    };
    if relayed.is_err() {
        let _ = service.set_zero_linger();
    }
    relayed
}

/// Keeps a silent connection until the client has left it, or it is cut.
async fn left(client: &TcpStream, is_cut: impl Fn() -> bool) -> io::Result<()> {
    loop {
        if is_cut() || client.ready(Interest::READABLE).await?.is_read_closed() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        sleep(LEFT).await;
    }
}

async fn both_ways(client: &mut TcpStream, service: &mut TcpStream, shared: &Rc<Shared>) -> io::Result<()> {
    let exchanges = Rc::new(Exchanges::default());
    let mut requests = Messages::new(Requests::new(shared.clone(), exchanges.clone()));
    let mut answers = Messages::new(Answers::new(shared.clone(), exchanges));
    let (from_client, to_client) = client.split();
    let (from_service, to_service) = service.split();
    let (up, up_end) = channel(ON_THE_WAY);
    let (down, down_end) = channel(ON_THE_WAY);
    let delay = shared.latency / 2;
    let up = read(from_client, &shared.up, delay, up, |bytes| {
        shared.book.borrow_mut().sent(shared.now(), bytes.len() as u64);
        requests.pass(bytes);
    });
    let down = read(from_service, &shared.down, delay, down, |_| {});
    let up_end = write(to_service, up_end, |_| {});
    let down_end = write(to_client, down_end, |bytes| {
        shared.book.borrow_mut().received(bytes.len() as u64);
        answers.pass(bytes);
    });
    tokio::try_join!(up, up_end, down, down_end).map(drop)
}

/// A piece, and when it is at the other end.
type Due = (Instant, Vec<u8>);

async fn read(
    from: ReadHalf<'_>,
    bucket: &Bucket,
    delay: Duration,
    into: Sender<Due>,
    mut seen: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        from.readable().await?;
        let taken = bucket.take(PIECE).await;
        let read = from.try_read(&mut buffer[..taken]);
        bucket.give_back(taken - read.as_ref().map_or(0, |read| *read));
        match read {
            Ok(0) => return Ok(()),
            Ok(read) => {
                seen(&buffer[..read]);
                let due = (Instant::now() + delay, buffer[..read].to_vec());
                if into.send(due).await.is_err() {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn write(
    mut to: WriteHalf<'_>,
    mut from: Receiver<Due>,
    mut seen: impl FnMut(&[u8]),
) -> io::Result<()> {
    while let Some((due, bytes)) = from.recv().await {
        sleep_until(due).await;
        to.write_all(&bytes).await?;
        seen(&bytes);
    }
    to.shutdown().await
}
