//! Content that goes from the disk to a socket without being copied: the kernel sends the pages that it has of the file.
//!
//! hyper writes bytes and knows no files. So a stretch of a file goes through hyper as slices of a stand-in, and where the
//! socket is given the stand-in, which it knows by its address, it sends that many bytes of the file instead. The two
//! count each other's bytes: should hyper ever copy the stand-in, the connection breaks before a byte of the copy leaves.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, IoSlice},
    ops::Range,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use rustix::fs::{Advice, fadvise, sendfile};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use crate::service::{BrokenContent, Portion, ResponseBody};

/// At most this much is sent at once. Nobody ever reads it.
static STAND_IN: [u8; 1024 * 1024] = [0; 1024 * 1024];

fn is_stand_in(slice: &[u8]) -> bool {
    !slice.is_empty() && std::ptr::eq(slice.as_ptr(), STAND_IN.as_ptr())
}

/// The files that a connection is sending, shared by its bodies and its socket.
#[derive(Clone, Default)]
pub(crate) struct Files(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    stretches: VecDeque<(File, Range<u64>)>,
    /// How much was sent that hyper has not counted yet.
    uncounted: usize,
    /// Whether hyper counted what was not sent (it has made a copy of the stand-in), or gave up what was not sent yet.
    is_broken: bool,
}

impl Files {
    fn queue(&self, file: File, range: Range<u64>) -> Piece {
        // Only a hint to read ahead further.
        let _ = fadvise(&file, range.start, None, Advice::Sequential);
        let remaining = (range.end - range.start) as usize;
        self.lock().stretches.push_back((file, range));
        Piece::File(StandIn { remaining, files: self.clone() })
    }

    /// Sends up to `most` bytes of the next file.
    fn send(&self, socket: &TcpStream, most: usize) -> io::Result<usize> {
        let mut queue = self.lock();
        let Some((file, range)) = queue.stretches.front_mut() else { return Err(broken()) };
        let most = usize::try_from(range.end - range.start).unwrap_or(most).min(most);
        let sent = sendfile(socket, file, Some(&mut range.start), most)?;
        if sent == 0 {
            tracing::error!("a download broke off: a file in the store is shorter than it was");
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if range.is_empty() {
            queue.stretches.pop_front();
        }
        queue.uncounted += sent;
        Ok(sent)
    }

    fn count(&self, bytes: usize) {
        let mut queue = self.lock();
        match queue.uncounted.checked_sub(bytes) {
            Some(rest) => queue.uncounted = rest,
            None => queue.is_broken = true,
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.lock().is_broken { Err(broken()) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn broken() -> io::Error {
    io::Error::other("the bytes of a file and what stands for them do not agree")
}

/// A body whose files are read by the kernel.
pub(crate) struct SocketBody {
    body: ResponseBody,
    files: Files,
}

impl SocketBody {
    pub(crate) fn new(body: ResponseBody, files: Files) -> Self {
        Self { body, files }
    }
}

impl Body for SocketBody {
    type Data = Piece;
    type Error = BrokenContent;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, BrokenContent>>> {
        let Some(portion) = ready!(self.body.poll_portion(context)?) else { return Poll::Ready(None) };
        let piece = match portion {
            Portion::Bytes(bytes) => Piece::Bytes(bytes),
            Portion::File(file, range) => self.files.queue(file, range),
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What hyper is given to write.
pub(crate) enum Piece {
    Bytes(Bytes),
    File(StandIn),
}

/// As much of the stand-in as there is to send of a file.
pub(crate) struct StandIn {
    remaining: usize,
    files: Files,
}

impl Drop for StandIn {
    /// What hyper gave up of a file would otherwise be sent in the place of the next one.
    fn drop(&mut self) {
        if self.remaining > 0 {
            self.files.lock().is_broken = true;
        }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.remaining(),
            Self::File(file) => file.remaining,
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::File(file) => &STAND_IN[..STAND_IN.len().min(file.remaining)],
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(count),
            Self::File(file) => {
                file.remaining = file.remaining.saturating_sub(count);
                file.files.count(count);
            }
        }
    }
}

/// A connection's socket, which knows files when it sees them.
pub(crate) struct Socket {
    stream: TcpStream,
    files: Files,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, files: Files) -> Self {
        Self { stream, files }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.files.check()?;
        let before_file = slices.iter().take_while(|slice| !is_stand_in(slice)).count();
        let Some(file) = slices.first().filter(|_| before_file == 0) else {
            return Pin::new(&mut self.stream).poll_write_vectored(context, &slices[..before_file]);
        };
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            let send = || self.files.send(&self.stream, file.len());
            match self.stream.try_io(Interest::WRITABLE, send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, io::Write as _};

    use tokio::{io::AsyncReadExt as _, net::TcpListener};

    use super::*;

    async fn connection() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        (Socket::new(stream, Files::default()), client)
    }

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    async fn write(socket: &mut Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        poll_fn(|context| Pin::new(&mut *socket).poll_write_vectored(context, slices)).await
    }

    #[tokio::test]
    async fn bytes_and_files_leave_in_their_order() {
        let (mut socket, mut client) = connection().await;
        let mut pieces = [
            Piece::Bytes(Bytes::from_static(b"head ")),
            socket.files.queue(file(b"0123456789"), 2..5),
            Piece::Bytes(Bytes::from_static(b" tail ")),
            socket.files.queue(file(b"abc"), 0..3),
        ];
        while let Some(first) = pieces.iter().position(Buf::has_remaining) {
            let slices: Vec<_> = pieces[first..].iter().map(|piece| IoSlice::new(piece.chunk())).collect();
            let mut sent = write(&mut socket, &slices).await.unwrap();
            for piece in &mut pieces[first..] {
                let of_this = sent.min(piece.remaining());
                piece.advance(of_this);
                sent -= of_this;
            }
        }
        drop(socket);
        let mut received = String::new();
        client.read_to_string(&mut received).await.unwrap();
        assert_eq!(received, "head 234 tail abc");
    }

    #[tokio::test]
    async fn a_copy_of_the_stand_in_never_leaves() {
        let (mut socket, mut client) = connection().await;
        let copy = socket.files.queue(file(b"secret"), 0..6).copy_to_bytes(6);
        assert!(write(&mut socket, &[IoSlice::new(&copy)]).await.is_err());
        drop(socket);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_was_given_up_of_a_file_is_not_sent_for_the_next_one() {
        let (mut socket, mut client) = connection().await;
        drop(socket.files.queue(file(b"secret"), 0..6));
        let next = socket.files.queue(file(b"public"), 0..6);
        assert!(write(&mut socket, &[IoSlice::new(next.chunk())]).await.is_err());
        drop(socket);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_breaks_the_connection() {
        let (mut socket, _client) = connection().await;
        let piece = socket.files.queue(file(b""), 0..1);
        let error = write(&mut socket, &[IoSlice::new(piece.chunk())]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
