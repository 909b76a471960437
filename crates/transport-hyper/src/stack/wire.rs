//! The socket below TLS and HTTP: what was sent is measured here, and an early answer is kept here.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use partwise_net::{
    files::{FileError, Files},
    pacing::do_not_pace_within_machine,
};
use partwise_protocol::transport::{SendBuffer, SourceError};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};

use super::{
    backlog::Backlog,
    silence::{Mark, Traffic},
};

/// A TCP stream that keeps on reading after a write has failed.
///
/// A service that refuses an upload early answers and closes while we still write. The write then fails although the
/// answer already lies in the kernel, and HTTP above would end before it reads. So a write error is stored, writing
/// stays pending from then on, and the error comes out of reading, once everything that had arrived has been read.
/// That begins with [`Gauge::defer_write_errors`]: a TLS handshake does not read while it has something to write.
#[derive(Debug)]
pub(super) struct Wire {
    tcp: TcpStream,
    files: Option<Files>,
    write_error: Option<io::Error>,
    /// What the kernel may hold that it cannot send yet.
    unsent: u32,
    gauge: Arc<Gauge>,
}

/// What can be seen of a [`Wire`] from outside, whoever owns it: HTTP, or who reads a long answer.
#[derive(Debug)]
pub(super) struct Gauge {
    opened: Instant,
    /// What all connections have moved.
    traffic: Arc<Traffic>,
    backlog: Option<Backlog>,
    /// Nanoseconds from `opened` to the last moment at which a byte moved, either way.
    moved: AtomicU64,
    /// The same for the last byte that was written.
    wrote: AtomicU64,
    /// What all connections had moved by then.
    moved_by_all: AtomicU64,
    /// What the kernel is to hold at most that it cannot send yet.
    unsent: AtomicU32,
    /// A write found no room, or failed, and none has succeeded since.
    blocked: AtomicBool,
    /// The first byte that ever came in, plus `FIRST_BYTE_SEEN`.
    first_byte: AtomicU16,
    /// HTTP is spoken now: a write error waits until everything has been read.
    defers_write_errors: AtomicBool,
    /// Close by a reset instead of delivering what the kernel still holds.
    reset: AtomicBool,
}

const FIRST_BYTE_SEEN: u16 = 0x100;

impl Wire {
    pub(super) fn new(tcp: TcpStream, traffic: Arc<Traffic>) -> Self {
        do_not_pace_within_machine(&tcp);
        traffic.opened();
        let gauge = Gauge {
            opened: Instant::now(),
            moved_by_all: AtomicU64::new(traffic.bytes()),
            traffic,
            backlog: Backlog::of(&tcp),
            moved: AtomicU64::new(0),
            wrote: AtomicU64::new(0),
            unsent: AtomicU32::new(MOST_UNSENT),
            blocked: AtomicBool::new(false),
            first_byte: AtomicU16::new(0),
            defers_write_errors: AtomicBool::new(false),
            reset: AtomicBool::new(false),
        };
        let files = Files::of_connection();
        Self { tcp, files, write_error: None, unsent: 0, gauge: Arc::new(gauge) }
    }

    pub(super) fn gauge(&self) -> Arc<Gauge> {
        self.gauge.clone()
    }

    pub(super) fn files(&self) -> Option<Files> {
        self.files.clone()
    }

    fn wrote(&mut self, cx: &Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(written)) => {
                self.gauge.blocked.store(false, Relaxed);
                self.gauge.note_movement(written as u64);
                self.gauge.wrote.store(self.gauge.moved.load(Relaxed), Relaxed);
                Poll::Ready(Ok(written))
            }
            // The socket is well, and so nobody will ever come to read the error.
            Poll::Ready(Err(error)) if matches!(error.get_ref(), Some(cause) if cause.is::<FileError>()) => {
                Poll::Ready(Err(io::Error::other(BrokenSource(SourceError::new(error)))))
            }
            Poll::Ready(Err(error)) if !self.gauge.defers_write_errors.load(Relaxed) => {
                Poll::Ready(Err(error))
            }
            Poll::Ready(Err(error)) => {
                self.gauge.blocked.store(true, Relaxed);
                self.write_error = Some(error);
                // Whoever writes must now come back to read.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => {
                self.gauge.blocked.store(true, Relaxed);
                Poll::Pending
            }
        }
    }
}

/// What was to be sent cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the body was interrupted")]
struct BrokenSource(#[source] SourceError);

const LEAST_UNSENT: u32 = 16 * 1024;
const MOST_UNSENT: u32 = 512 * 1024;
/// What a connection holds of the bytes that it has taken: what the kernel cannot send yet, and at most what systems let a socket hold.
pub(super) const SEND_BUFFER: SendBuffer = SendBuffer::new(MOST_UNSENT as u64, 4 << 20);
/// A body takes a line some seconds, as long as it is cut for the line.
const BODIES_UNSENT: u64 = 16;

/// Lets the kernel take no more than a moment's worth of bytes that it cannot send yet. Else it takes megabytes, and on a
/// slow line nothing can be written for minutes although all is well. What is on its way does not count, so a fast line is
/// filled as before. A connection without it works too.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn limit_unsent(tcp: &TcpStream, bytes: u32) {
    let _ = socket2::SockRef::from(tcp).set_tcp_notsent_lowat(bytes);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn limit_unsent(_: &TcpStream, _: u32) {}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = ready!(Pin::new(&mut self.tcp).poll_read(cx, buf));
        if let Some(first) = buf.filled().get(before) {
            self.gauge.note_first_byte(*first);
            self.gauge.note_movement((buf.filled().len() - before) as u64);
            return Poll::Ready(outcome);
        }
        // The end of the stream, or an error: what went wrong first is the better explanation.
        match self.write_error.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => Poll::Ready(outcome),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.write_error.is_some() {
            return Poll::Pending;
        }
        let unsent = self.gauge.unsent.load(Relaxed);
        if unsent != self.unsent {
            limit_unsent(&self.tcp, unsent);
            self.unsent = unsent;
        }
        let Self { tcp, files, .. } = &mut *self;
        let written = match files {
            Some(files) => files.poll_write_vectored(tcp, cx, bufs),
            None => Pin::new(tcp).poll_write_vectored(cx, bufs),
        };
        self.wrote(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.gauge.traffic.closed();
        if self.gauge.reset.load(Relaxed) {
            // The peer learns of it even when it does not read, and the kernel lets go of what it holds. When it
            // cannot be set, the kernel delivers the rest by itself and closes then.
            let _ = socket2::SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
        }
    }
}

impl Gauge {
    /// When a byte last moved on this connection, either way; the opening counts.
    pub(super) fn moved(&self) -> Mark {
        let at = self.opened + Duration::from_nanos(self.moved.load(Relaxed));
        Mark { at, bytes: self.moved_by_all.load(Relaxed) }
    }

    /// How long it is that something was written.
    pub(super) fn since_written(&self) -> Duration {
        self.opened.elapsed().saturating_sub(Duration::from_nanos(self.wrote.load(Relaxed)))
    }

    /// What all connections of the stack have moved.
    pub(super) fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    /// How much of what was written the peer has not acknowledged; `None` where the system does not tell.
    pub(super) async fn unacknowledged(&self) -> Option<u64> {
        self.traffic.backlogs.of(self.backlog?).await
    }

    /// Makes ready for a request whose body is so long: what is small is for a slow line.
    pub(super) fn expect(&self, body: u64) {
        let unsent = u32::try_from(body / BODIES_UNSENT).unwrap_or(MOST_UNSENT);
        self.unsent.store(unsent.clamp(LEAST_UNSENT, MOST_UNSENT), Relaxed);
        self.restart();
    }

    /// Whether bytes wait to be written and the kernel takes none.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.load(Relaxed)
    }

    /// The first byte that came in on this connection.
    pub(super) fn first_byte(&self) -> Option<u8> {
        let seen = self.first_byte.load(Relaxed);
        (seen >= FIRST_BYTE_SEEN).then_some((seen & 0xFF) as u8)
    }

    /// From now on, write errors come out of reading.
    pub(super) fn defer_write_errors(&self) {
        self.defers_write_errors.store(true, Relaxed);
    }

    /// From now on, closing discards what the kernel has not sent yet.
    pub(super) fn reset_on_close(&self) {
        self.reset.store(true, Relaxed);
    }

    /// So many bytes were moved, or acknowledged, just now.
    pub(super) fn note_movement(&self, bytes: u64) {
        self.traffic.note(bytes);
        self.restart();
    }

    /// Restarts the measurement of silence, for the next request on this connection.
    fn restart(&self) {
        let moved = u64::try_from(self.opened.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.moved.store(moved, Relaxed);
        self.moved_by_all.store(self.traffic.bytes(), Relaxed);
    }

    fn note_first_byte(&self, byte: u8) {
        // Only whoever holds the stream stores here, so looking first is no race.
        if self.first_byte.load(Relaxed) == 0 {
            self.first_byte.store(FIRST_BYTE_SEEN | u16::from(byte), Relaxed);
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use socket2::SockRef;
    use tokio::net::TcpListener;

    use super::*;
    use partwise_net::sleep::SleepClock;

    #[tokio::test]
    async fn what_stays_on_this_machine_is_not_sent_with_bbr() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        // Where the system does not have it, or does not let everybody choose it, there is nothing to replace.
        let _ = SockRef::from(&tcp).set_tcp_congestion(b"bbr");
        let wire = Wire::new(tcp, Arc::new(Traffic::new(SleepClock::default())));
        assert!(!SockRef::from(&wire.tcp).tcp_congestion().unwrap().starts_with(b"bbr"));
    }
}
