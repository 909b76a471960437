//! The rest of an answer as its connection has it: HTTP's part is over once the head has said how many bytes follow.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http::Uri;
use tokio::io::{AsyncRead, ReadBuf};

use super::{
    answer::Silence,
    connect::host_and_port,
    connection::{Lease, Taken},
    error::StackError,
    stream::Stream,
};

/// The rest of an answer, read straight into the memory where it is wanted. Read to its end it frees its connection for
/// the next request; dropped before, it closes it.
pub(crate) struct DirectBody {
    /// What HTTP has read already.
    early: VecDeque<Bytes>,
    stream: Stream,
    /// How much is to be read from the stream once there is nothing early.
    remaining: u64,
    lease: Lease,
    silence: Silence,
    uri: Uri,
    is_kept: bool,
}

/// What stands around a body.
pub(super) struct Setting {
    pub(super) lease: Lease,
    pub(super) silence: Silence,
    pub(super) uri: Uri,
    /// Whether the connection may serve another request.
    pub(super) is_kept: bool,
}

impl DirectBody {
    /// A body of which `remaining` bytes are to come from this stream.
    pub(super) fn new(early: VecDeque<Bytes>, taken: Taken, remaining: u64, setting: Setting) -> Self {
        let Setting { lease, silence, uri, is_kept } = setting;
        let Taken { stream, read } = taken;
        let mut body = Self { early, stream, remaining, lease, silence, uri, is_kept };
        body.put_early(read);
        body
    }

    /// What follows the answer belongs to nobody, and neither does the connection then.
    fn put_early(&mut self, mut read: Bytes) {
        let wanted = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        self.is_kept &= read.len() <= wanted;
        read.truncate(wanted);
        self.remaining -= read.len() as u64;
        self.early.push_back(read);
    }

    /// Puts the next bytes at the beginning of `room`, which must not be empty, and says how many they are; 0 is the end.
    pub(crate) async fn read(&mut self, room: &mut [u8]) -> Result<usize, StackError> {
        while let Some(bytes) = self.early.front_mut() {
            if bytes.is_empty() {
                self.early.pop_front();
                continue;
            }
            let count = bytes.len().min(room.len());
            bytes.copy_to_slice(&mut room[..count]);
            return Ok(count);
        }
        if self.remaining == 0 {
            return Ok(0);
        }
        let wanted = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(room.len());
        let count = poll_fn(|cx| self.poll_read(cx, &mut room[..wanted])).await?;
        self.remaining -= count as u64;
        Ok(count)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<Result<usize, StackError>> {
        let mut room = ReadBuf::new(room);
        match Pin::new(&mut self.stream).poll_read(cx, &mut room) {
            Poll::Ready(Ok(())) if !room.filled().is_empty() => {
                self.silence.is_over();
                Poll::Ready(Ok(room.filled().len()))
            }
            Poll::Ready(Ok(())) => Poll::Ready(Err(self.broken(io::ErrorKind::UnexpectedEof.into()))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.broken(error))),
            Poll::Pending => self.silence.poll(cx).map(|after| Err(StackError::NoAnswer { after })),
        }
    }

    fn broken(&self, error: io::Error) -> StackError {
        let at = host_and_port(&self.uri).unwrap_or_default();
        StackError::Interrupted { at, source: error.into() }
    }

    /// Frees the connection for the next request, when everything was read and it takes one.
    pub(crate) async fn finish(mut self) {
        let is_read = self.remaining == 0 && self.early.iter().all(Bytes::is_empty);
        if is_read && self.is_kept && self.lease.connection.go_on(self.stream).await.is_ok() {
            self.lease.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

    use http::{Request, Response};
    use http_body_util::BodyExt as _;
    use partwise_protocol::Body;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };
    use tower_service::Service as _;

    use super::*;
    use crate::{
        RequestBody,
        service::AnyBody,
        stack::{Proxy, Stack, StackOptions},
    };

    /// What a service answers with `head` and `body`.
    async fn answer(head: String, body: Vec<u8>) -> AnyBody {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/v1/files/file-1/content", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes()).await.unwrap();
            stream.write_all(&body).await.unwrap();
        });
        let request = Request::get(uri).body(RequestBody::new(Body::empty(), None)).unwrap();
        let mut stack = Stack::new(StackOptions::new().proxy(Proxy::none()));
        AnyBody::new(Response::into_body(stack.call(request).await.unwrap()))
    }

    fn noise(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 251) as u8).collect()
    }

    #[tokio::test]
    async fn a_long_answer_is_read_without_http_in_between_into_rooms_of_any_size() {
        let content = noise(1_000_000);
        let length = format!("Content-Length: {}\r\n", content.len());
        for room in [1000, 70_000, 2_000_000] {
            let Ok(mut body) = answer(length.clone(), content.clone()).await.direct().await else {
                panic!("it is to be read directly")
            };
            let mut room = vec![0; room];
            let mut read = Vec::new();
            while let count @ 1.. = body.read(&mut room).await.unwrap() {
                read.extend_from_slice(&room[..count]);
            }
            assert!(read == content, "with room for {}", room.len());
        }
    }

    #[tokio::test]
    async fn a_short_answer_and_one_without_a_length_are_read_as_ever() {
        let (short, long) = (noise(1000), noise(1_000_000));
        let length = format!("Content-Length: {}\r\n", short.len());
        let mut chunked = format!("{:x}\r\n", long.len()).into_bytes();
        chunked.extend(&long);
        chunked.extend(b"\r\n0\r\n\r\n");
        for (head, sent, content) in
            [(length, short.clone(), short), ("Transfer-Encoding: chunked\r\n".to_owned(), chunked, long)]
        {
            let Err(body) = answer(head, sent).await.direct().await else {
                panic!("it is not to be read directly")
            };
            assert!(body.collect().await.unwrap().to_bytes() == content);
        }
    }
}
