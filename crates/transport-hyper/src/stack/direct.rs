//! The rest of an answer as its connection has it: HTTP's part is over once the head has said how many bytes follow.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_util::future::BoxFuture;
use http::Uri;
use partwise_net::{BoxError, answer::DirectRead};
use tokio::io::{AsyncRead, ReadBuf};

use super::{
    connect::host_and_port,
    connection::{Lease, RawStream},
    error::StackError,
    silence::ReadSilence,
    stream::Stream,
};

/// The rest of an answer, read straight into the memory where it is wanted. Read to its end it frees its connection for
/// the next request; dropped before, it closes it.
pub(super) struct DirectAnswer {
    /// Before the stream, so that it can still say how the stream is to be closed.
    lease: Lease,
    stream: Stream,
    /// What HTTP has read already.
    early: VecDeque<Bytes>,
    /// How much is to be read from the stream once there is nothing early.
    remaining: u64,
    /// Something stood behind the answer. It belongs to nobody, and so the connection serves nobody any more.
    is_overfull: bool,
    silence: ReadSilence,
    uri: Uri,
}

impl DirectAnswer {
    /// What HTTP has read and handed out, and what is to come from the stream, which are `remaining` bytes.
    pub(super) fn new(
        mut early: VecDeque<Bytes>,
        taken: RawStream,
        remaining: u64,
        lease: Lease,
        silence: ReadSilence,
        uri: Uri,
    ) -> Self {
        let RawStream { stream, mut read } = taken;
        let wanted = usize::try_from(remaining).unwrap_or(usize::MAX);
        let is_overfull = read.len() > wanted;
        read.truncate(wanted);
        let remaining = remaining - read.len() as u64;
        early.push_back(read);
        Self { lease, stream, early, remaining, is_overfull, silence, uri }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<Result<usize, StackError>> {
        while let Some(bytes) = self.early.front_mut() {
            if bytes.is_empty() {
                self.early.pop_front();
                continue;
            }
            let count = bytes.len().min(room.len());
            bytes.copy_to_slice(&mut room[..count]);
            return Poll::Ready(Ok(count));
        }
        if self.remaining == 0 {
            return Poll::Ready(Ok(0));
        }
        let wanted = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(room.len());
        let count = ready!(self.poll_stream(cx, &mut room[..wanted]))?;
        self.remaining -= count as u64;
        Poll::Ready(Ok(count))
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<Result<usize, StackError>> {
        let mut room = ReadBuf::new(room);
        match Pin::new(&mut self.stream).poll_read(cx, &mut room) {
            Poll::Ready(Ok(())) if !room.filled().is_empty() => {
                self.silence.ended();
                Poll::Ready(Ok(room.filled().len()))
            }
            Poll::Ready(Ok(())) => Poll::Ready(Err(self.broken(self.cut_short()))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.broken(error))),
            Poll::Pending => self.silence.poll(cx).map(|after| {
                self.lease.distrust(after);
                Err(StackError::NoAnswer { after })
            }),
        }
    }

    fn cut_short(&self) -> io::Error {
        io::Error::new(io::ErrorKind::UnexpectedEof, format!("{} bytes are missing", self.remaining))
    }

    fn broken(&self, error: io::Error) -> StackError {
        let at = host_and_port(&self.uri).unwrap_or_default();
        StackError::Interrupted { at, source: error.into() }
    }

    async fn free(mut self) {
        let is_read = self.remaining == 0 && self.early.iter().all(Bytes::is_empty);
        if is_read && !self.is_overfull && self.lease.connection.go_on(self.stream).await.is_ok() {
            self.lease.give_back();
        }
    }
}

impl DirectRead for DirectAnswer {
    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<Result<usize, BoxError>> {
        self.poll_next(cx, room).map_err(Into::into)
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(self.free())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

    use std::{future::poll_fn, sync::Arc, time::Duration};

    use tokio::net::TcpListener;

    use super::*;
    use crate::stack::{Proxy, StackOptions, connection::Slots};

    /// Reads an answer of five bytes to its end, of which HTTP has read `handed_out` and `read`, and says whether the
    /// connection is used again.
    async fn is_used_again(handed_out: &'static str, read: &'static str) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = Uri::try_from(format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let slots = Arc::new(Slots::new(StackOptions::new().proxy(Proxy::none()).connector(), 1));
        let mut lease = slots.lease(&uri).await.unwrap();
        let taken = RawStream { read: read.into(), ..lease.connection.take().await.unwrap() };
        let early = VecDeque::from([Bytes::from(handed_out)]);
        let remaining = 5 - handed_out.len() as u64;
        let silence = ReadSilence::new(Duration::from_secs(60), lease.connection.gauge.traffic());
        let mut body = DirectAnswer::new(early, taken, remaining, lease, silence, uri.clone());
        let mut room = [0; 2];
        let mut all = Vec::new();
        while let count @ 1.. = poll_fn(|cx| body.poll_read(cx, &mut room)).await.unwrap() {
            all.extend_from_slice(&room[..count]);
        }
        assert_eq!(all, b"12345");
        body.free().await;
        slots.lease(&uri).await.unwrap().reused
    }

    #[tokio::test]
    async fn what_http_has_read_comes_first_and_what_stands_behind_the_answer_ends_the_connection() {
        for (handed_out, read) in [("", "12345"), ("123", "45"), ("12345", "")] {
            assert!(is_used_again(handed_out, read).await, "{handed_out:?}, {read:?}");
        }
        for (handed_out, read) in [("", "12345HTTP/1.1 200"), ("12345", "x")] {
            assert!(!is_used_again(handed_out, read).await, "{handed_out:?}, {read:?}");
        }
    }
}
