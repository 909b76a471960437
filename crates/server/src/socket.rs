//! A connection's socket, and the bodies that it sends: where the system can, it sends files by itself.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use partwise_sendfile::{FileError, Files, Piece, do_not_pace_within_machine, read_ahead};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::service::{BrokenContent, Portion, ResponseBody};

/// A body whose files are sent by the system, when there are `files`.
pub(crate) struct SocketBody {
    body: ResponseBody,
    files: Option<Files>,
}

impl SocketBody {
    pub(crate) fn new(body: ResponseBody, files: Option<Files>) -> Self {
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
        let Some(files) = self.files.clone() else {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context)?);
            return Poll::Ready(frame.map(|frame| Ok(frame.map_data(Piece::Bytes))));
        };
        let Some(portion) = ready!(self.body.poll_portion(context)?) else { return Poll::Ready(None) };
        let piece = match portion {
            Portion::Bytes(bytes) => Piece::Bytes(bytes),
            Portion::File(file, range) => {
                read_ahead(&file);
                files.piece(Arc::new(file), range)
            }
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

/// A connection's socket.
pub(crate) struct Socket {
    stream: TcpStream,
    files: Option<Files>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, files: Option<Files>) -> Self {
        do_not_pace_within_machine(&stream);
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
        let Self { stream, files } = &mut *self;
        match files {
            Some(files) => files.poll_write_vectored(stream, context, slices),
            None => Pin::new(stream).poll_write_vectored(context, slices),
        }
        .map_err(|error| {
            if let Some(cause) = error.get_ref().filter(|cause| cause.is::<FileError>()) {
                tracing::error!(error = cause as &dyn std::error::Error, "a download broke off");
            }
            error
        })
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
#[cfg(target_os = "linux")]
mod tests {
    use rustix::net::sockopt::{set_tcp_congestion, tcp_congestion};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_stays_on_this_machine_is_not_sent_with_bbr() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        // Where the system does not have it, or does not let everybody choose it, there is nothing to replace.
        let _ = set_tcp_congestion(&accepted, "bbr");
        let socket = Socket::new(accepted, None);
        assert!(!tcp_congestion(&socket.stream).unwrap().starts_with("bbr"));
    }
}
