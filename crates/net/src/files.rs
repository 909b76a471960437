//! Content that goes from the disk to a socket without being copied: the kernel sends the pages that it has of the file.
//!
//! hyper writes bytes and knows no files. So a stretch of a file goes through hyper as slices of a stand-in, and where the
//! socket is given the stand-in, which it knows by its address, it sends that many bytes of the file instead. The two
//! count each other's bytes: should hyper ever copy the stand-in, the connection breaks before a byte of the copy leaves.
//!
//! A body gives hyper [`FileOrBytes`]s, and the stream below hyper writes through [`Files::poll_write_vectored`]; one [`Files`]
//! belongs to one connection. Where the system has no such way (anything but 64-bit Linux), there are no [`Files`]; where
//! a file system has none, its files are read and written by the way.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, IoSlice},
    ops::Range,
    pin::Pin,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncWrite as _, Interest},
    net::TcpStream,
};

/// At most this much is sent at once. Nobody ever reads it, and so it takes no memory; in the program's file it would
/// take room.
static STAND_IN: LazyLock<Vec<u8>> = LazyLock::new(|| vec![0; 4 * 1024 * 1024]);

/// Whether this system sends files by itself.
const IS_AVAILABLE: bool = cfg!(all(target_os = "linux", target_pointer_width = "64"));

fn is_stand_in(slice: &[u8]) -> bool {
    !slice.is_empty() && std::ptr::eq(slice.as_ptr(), STAND_IN.as_ptr())
}

/// The files that one connection is sending, shared by its bodies and its socket.
#[derive(Clone, Debug)]
pub struct Files(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    stretches: VecDeque<(Arc<File>, Range<u64>)>,
    /// How much was sent that hyper has not counted yet.
    uncounted: usize,
    /// Whether hyper counted what was not sent (it has made a copy of the stand-in), or gave up what was not sent yet.
    is_broken: bool,
    /// For files that the system does not send by itself.
    buffer: Vec<u8>,
}

/// What was to be sent cannot be had. It is what an [`io::Error`] of [`Files::poll_write_vectored`] holds when the socket
/// is not to blame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file ends before the stretch does.
    #[error("the file ends at byte {end}, and bytes up to {wanted} were to be sent")]
    Ends {
        /// Where it ends.
        end: u64,
        /// Where the stretch ends.
        wanted: u64,
    },
    /// The system cannot read it.
    #[error("the file cannot be read")]
    Unreadable(#[source] io::Error),
    /// HTTP has not sent what it was given, in its order.
    #[error("the bytes of a file and what stands for them do not agree")]
    Miscounted,
}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        // Of another kind, the cause's for example, it could be taken for one of the socket.
        match &error {
            FileError::Ends { .. } => Self::new(io::ErrorKind::UnexpectedEof, error),
            FileError::Unreadable(_) | FileError::Miscounted => Self::other(error),
        }
    }
}

impl Files {
    /// Those of a new connection; `None` where the system sends no files by itself.
    #[must_use]
    pub fn of_connection() -> Option<Self> {
        IS_AVAILABLE.then(|| Self(Arc::default()))
    }

    /// These bytes of the file, which is held open until they have left. Pieces leave in the order in which they are made,
    /// so each has to be given to the connection before the next is made.
    #[must_use]
    pub fn piece(&self, file: Arc<File>, range: Range<u64>) -> FileOrBytes {
        let remaining = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        if remaining > 0 {
            self.lock().stretches.push_back((file, range));
        }
        FileOrBytes::File(StandIn { remaining, files: self.clone() })
    }

    /// Writes the slices as the socket would, and what is a stand-in among them as the file that it stands for.
    ///
    /// # Errors
    /// Those of the socket, and else a [`FileError`]. After any of them the connection is of no use.
    pub fn poll_write_vectored(
        &self,
        socket: &mut TcpStream,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let before_file = slices.iter().take_while(|slice| !is_stand_in(slice)).count();
        let Some(file) = slices.first().filter(|_| before_file == 0) else {
            return Pin::new(socket).poll_write_vectored(context, &slices[..before_file]);
        };
        loop {
            ready!(socket.poll_write_ready(context))?;
            match socket.try_io(Interest::WRITABLE, || self.send(socket, file.len())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    /// Sends up to `most` bytes of the next file.
    fn send(&self, socket: &TcpStream, most: usize) -> io::Result<usize> {
        let queue = &mut *self.lock();
        if queue.uncounted > 0 {
            return Err(FileError::Miscounted.into());
        }
        let Some((file, range)) = queue.stretches.front_mut() else {
            return Err(FileError::Miscounted.into());
        };
        let most = usize::try_from(range.end - range.start).unwrap_or(most).min(most);
        let sent = match by_the_system(socket, file, range.start, most) {
            Some(sent) => sent?,
            None => by_hand(socket, file, range.start, most, &mut queue.buffer)?,
        };
        if sent == 0 {
            return Err(FileError::Ends { end: range.start, wanted: range.end }.into());
        }
        range.start += sent as u64;
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
        if self.lock().is_broken { Err(FileError::Miscounted.into()) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` when the system does not do that with this file, or when it may be the file's fault that it does not.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn by_the_system(socket: &TcpStream, file: &File, at: u64, most: usize) -> Option<io::Result<usize>> {
    use rustix::io::Errno;

    let mut at = at;
    match rustix::fs::sendfile(socket, file, Some(&mut at), most) {
        Ok(sent) => Some(Ok(sent)),
        Err(error @ (Errno::AGAIN | Errno::INTR | Errno::PIPE | Errno::CONNRESET)) => Some(Err(error.into())),
        Err(_) => None,
    }
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
fn by_the_system(_: &TcpStream, _: &File, _: u64, _: usize) -> Option<io::Result<usize>> {
    None
}

/// As much as one write takes, through a buffer. Whose fault an error is shows here.
#[cfg(unix)]
fn by_hand(socket: &TcpStream, file: &File, at: u64, most: usize, buffer: &mut Vec<u8>) -> io::Result<usize> {
    use std::os::unix::fs::FileExt as _;

    buffer.resize(BUFFER, 0);
    let read = file.read_at(&mut buffer[..most.min(BUFFER)], at).map_err(FileError::Unreadable)?;
    match read {
        0 => Ok(0),
        read => socket.try_write(&buffer[..read]),
    }
}

#[cfg(unix)]
const BUFFER: usize = 256 * 1024;

#[cfg(not(unix))]
fn by_hand(_: &TcpStream, _: &File, _: u64, _: usize, _: &mut Vec<u8>) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What hyper is given to write.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileOrBytes {
    /// These bytes.
    Bytes(Bytes),
    /// Bytes of a file, made by [`Files::piece`].
    File(StandIn),
}

/// As much of the stand-in as there is to send of a file.
#[derive(Debug)]
pub struct StandIn {
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

impl Buf for FileOrBytes {
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

#[cfg(test)]
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod tests {
    use std::{future::poll_fn, io::Write as _};

    use tokio::{io::AsyncReadExt as _, net::TcpListener};

    use super::*;

    struct Connection {
        files: Files,
        socket: TcpStream,
        client: TcpStream,
    }

    impl Connection {
        async fn open() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (socket, _) = listener.accept().await.unwrap();
            Self { files: Files::of_connection().unwrap(), socket, client }
        }

        async fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            poll_fn(|context| self.files.poll_write_vectored(&mut self.socket, context, slices)).await
        }

        /// What arrives before the end.
        async fn received(self) -> Vec<u8> {
            let Self { socket, mut client, .. } = self;
            drop(socket);
            let mut received = Vec::new();
            client.read_to_end(&mut received).await.unwrap();
            received
        }
    }

    fn file(content: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.into()
    }

    #[tokio::test]
    async fn bytes_and_files_leave_in_their_order() {
        let mut connection = Connection::open().await;
        let mut pieces = [
            FileOrBytes::Bytes(Bytes::from_static(b"head ")),
            connection.files.piece(file(b"0123456789"), 2..5),
            FileOrBytes::Bytes(Bytes::from_static(b" tail ")),
            connection.files.piece(file(b"nothing"), 3..3),
            connection.files.piece(file(b"abc"), 0..3),
        ];
        while let Some(first) = pieces.iter().position(Buf::has_remaining) {
            let slices: Vec<_> = pieces[first..].iter().map(|piece| IoSlice::new(piece.chunk())).collect();
            let mut sent = connection.write(&slices).await.unwrap();
            for piece in &mut pieces[first..] {
                let of_this = sent.min(piece.remaining());
                piece.advance(of_this);
                sent -= of_this;
            }
        }
        assert_eq!(connection.received().await, b"head 234 tail abc");
    }

    #[tokio::test]
    async fn a_copy_of_the_stand_in_never_leaves() {
        let mut connection = Connection::open().await;
        let copy = connection.files.piece(file(b"secret"), 0..6).copy_to_bytes(6);
        assert!(connection.write(&[IoSlice::new(&copy)]).await.is_err());
        assert_eq!(connection.received().await, b"");
    }

    #[tokio::test]
    async fn what_was_not_counted_yet_is_not_followed_by_more() {
        let mut connection = Connection::open().await;
        let piece = connection.files.piece(file(b"abcdef"), 0..6);
        assert_eq!(connection.write(&[IoSlice::new(&piece.chunk()[..4])]).await.unwrap(), 4);
        assert!(connection.write(&[IoSlice::new(piece.chunk())]).await.is_err());
        assert_eq!(connection.received().await, b"abcd");
    }

    #[tokio::test]
    async fn what_was_given_up_of_a_file_is_not_sent_for_the_next_one() {
        let mut connection = Connection::open().await;
        drop(connection.files.piece(file(b"secret"), 0..6));
        let next = connection.files.piece(file(b"public"), 0..6);
        assert!(connection.write(&[IoSlice::new(next.chunk())]).await.is_err());
        assert_eq!(connection.received().await, b"");
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_is_to_blame_and_not_the_socket() {
        let mut connection = Connection::open().await;
        let mut piece = connection.files.piece(file(b"abc"), 1..5);
        assert_eq!(connection.write(&[IoSlice::new(piece.chunk())]).await.unwrap(), 2);
        piece.advance(2);
        let error = connection.write(&[IoSlice::new(piece.chunk())]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let error = error.get_ref().unwrap().downcast_ref::<FileError>().unwrap();
        assert_eq!(error.to_string(), "the file ends at byte 3, and bytes up to 5 were to be sent");
    }

    #[tokio::test]
    async fn a_file_that_the_system_does_not_send_is_read_and_written() {
        let connection = Connection::open().await;
        let (file, mut buffer) = (file(b"0123456789"), Vec::new());
        connection.socket.writable().await.unwrap();
        let sent = by_hand(&connection.socket, &file, 3, 4, &mut buffer).unwrap();
        assert_eq!((sent, by_hand(&connection.socket, &file, 10, 4, &mut buffer).unwrap()), (4, 0));
        assert_eq!(connection.received().await, b"3456");
    }
}
