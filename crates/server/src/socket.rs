//! A connection's socket, and the bodies that it sends: where the system can, it sends files without a copy.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use partwise_net::{
    files::{FileError, FileOrBytes, Files},
    hint::read_ahead,
    pacing::do_not_pace_within_machine,
};
use partwise_protocol::{Operation as _, operations::DownloadFile};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::{
    serve::{Activity, OpenAnswer, READ_BUFFER, Speed},
    service::{BrokenContent, Portion, ResponseBody},
};

/// Bytes from which a stretch of a file is sent by the system. A shorter one is read: HTTP gathers short pieces before it writes, and each would keep a file open.
const WORTH_SENDING: u64 = READ_BUFFER as u64;
/// The silence after which the system asks a peer for a sign of life, and the time after which it asks again.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_AGAIN: Duration = Duration::from_secs(15);

/// A body whose files are sent by the system, when there are `files`.
pub(crate) struct SocketBody {
    body: ResponseBody,
    files: Option<Files>,
    _answer: OpenAnswer,
}

impl SocketBody {
    pub(crate) fn new(body: ResponseBody, files: Option<Files>, answer: OpenAnswer) -> Self {
        Self { body, files, _answer: answer }
    }
}

impl Body for SocketBody {
    type Data = FileOrBytes;
    type Error = BrokenContent;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<FileOrBytes>, BrokenContent>>> {
        let Some(files) = self.files.clone() else {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context)?);
            return Poll::Ready(frame.map(|frame| Ok(frame.map_data(FileOrBytes::Bytes))));
        };
        loop {
            let Some(portion) = ready!(self.body.poll_portion(context)?) else { return Poll::Ready(None) };
            let piece = match portion {
                Portion::Bytes(bytes) => FileOrBytes::Bytes(bytes),
                Portion::File(file, range) if range.end - range.start < WORTH_SENDING => {
                    self.body.read(file, range);
                    continue;
                }
                Portion::File(file, range) => {
                    read_ahead(&file);
                    files.piece(Arc::new(file), range)
                }
            };
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection's socket.
pub(crate) struct Socket {
    stream: TcpStream,
    files: Option<Files>,
    activity: Activity,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, files: Option<Files>, activity: Activity) -> Self {
        // Answers are small and whole: nothing is gained by waiting for more.
        let _ = stream.set_nodelay(true);
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_AGAIN);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        do_not_pace_within_machine(&stream);
        Speed::Slow.adapt(&stream);
        Self { stream, files, activity }
    }

    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.activity.blocked(),
            Poll::Ready(Ok(bytes)) => {
                if let Some(speed) = self.activity.sent(*bytes) {
                    speed.adapt(&self.stream);
                }
            }
            Poll::Ready(Err(error)) => {
                if let Some(cause) = error.get_ref().filter(|cause| cause.is::<FileError>()) {
                    let (id, operation) = (self.activity.request(), DownloadFile::ID.name());
                    tracing::error!(
                        id,
                        operation,
                        error = cause as &dyn std::error::Error,
                        "a download was interrupted"
                    );
                }
            }
        }
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer)?);
        self.activity.received(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
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
        let first = slices.first().map_or(&[][..], |slice| slice);
        if self.activity.hold_back(first) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let Self { stream, files, .. } = &mut *self;
        let written = match files {
            Some(files) => files.poll_write_vectored(stream, context, slices),
            None => Pin::new(stream).poll_write_vectored(context, slices),
        };
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.activity.flushed();
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever takes the stream back ends it, after an answer of its own perhaps.
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use rustix::net::sockopt::{set_tcp_congestion, tcp_congestion};
    use tokio::net::TcpListener;

    use super::*;
    use crate::Limits;

    #[tokio::test]
    async fn a_peer_that_is_gone_without_a_word_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let socket = Socket::new(accepted, None, Activity::new(&Limits::default()));
        let socket = SockRef::from(&socket.stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE);
    }

    #[tokio::test]
    async fn what_stays_on_this_machine_is_not_sent_with_bbr() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        // Where the system does not have it, or does not let everybody choose it, there is nothing to replace.
        let _ = set_tcp_congestion(&accepted, "bbr");
        let socket = Socket::new(accepted, None, Activity::new(&Limits::default()));
        assert!(!tcp_congestion(&socket.stream).unwrap().starts_with("bbr"));
    }
}
