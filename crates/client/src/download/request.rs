//! Content that is asked for and handed out as it comes, whole, or through a reader.

use std::{
    fmt,
    future::IntoFuture,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_core::Stream as _;
use futures_util::future::BoxFuture;
use partwise_protocol::operations::{ByteRange, DownloadFile};
use tokio::io::{AsyncRead, ReadBuf};

use super::Download;
use crate::{Client, Error, deadline::Deadline};

impl Client {
    /// Asks for a file's content. Awaited it gives the content as it comes; it can also be had [whole](DownloadRequest::bytes) or
    /// through a [reader](DownloadRequest::into_async_read). For a file on the disk see [`download_file`](Self::download_file).
    ///
    /// Redirects are followed: to another host without the key, and never from https to http. Only the asking is retried; of a
    /// download that is interrupted the rest can be asked for with [`range`](DownloadRequest::range).
    ///
    /// The length of an answer with all of the content is compared with the one in the file's object, which is asked for at
    /// the same time (see [`ContentCheck`](partwise_protocol::download::ContentCheck)).
    ///
    /// ```no_run
    /// # async fn example(client: partwise::Client) -> Result<(), partwise::Error> {
    /// let bytes = client.download("file-abc123").bytes(1 << 20).await?;
    /// let mut download = client.download("file-abc123").await?;
    /// while let Some(bytes) = download.chunk().await? {
    ///     println!("{} bytes", bytes.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn download(&self, file: impl Into<DownloadFile>) -> DownloadRequest {
        DownloadRequest { client: self.clone(), operation: file.into(), limit: None }
    }
}

/// A request for content that is sent when it is awaited, made by [`Client::download`].
///
/// ```no_run
/// use partwise::{Client, protocol::operations::ByteRange};
///
/// # async fn example(client: Client) -> Result<(), partwise::Error> {
/// let first = ByteRange::From { first: 0, last: Some(1023) };
/// let bytes = client.download("file-abc123").range(first).bytes(1024).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As for [`Client::call`]; [`Error::Garbled`] also for a part of the content that was not asked for.
#[derive(Debug)]
#[must_use = "nothing is asked for before it is awaited"]
pub struct DownloadRequest {
    client: Client,
    operation: DownloadFile,
    limit: Option<Duration>,
}

impl DownloadRequest {
    /// Asks only for these bytes. A service may ignore it: see [`DownloadHead::range`](partwise_protocol::operations::DownloadHead).
    pub fn range(mut self, range: ByteRange) -> Self {
        self.operation.range = Some(range);
        self
    }

    /// Gives the download this long from when it is asked for, to the end of the content. What is not there by then ends with
    /// [`Error::TimedOut`]. By default the content may take as long as its bytes move; the asking has the limit of the
    /// [client](Client::with_timeout), if there is one.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Asks for the whole content in memory, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::TooLong`] when it has more, else those of [`Download::chunk`].
    pub async fn bytes(self, limit: u64) -> Result<Bytes, Error> {
        self.await?.bytes(limit).await
    }

    /// A reader of the content, which asks for it when it is first read. Its errors hold an [`Error`].
    pub fn into_async_read(self) -> DownloadReader {
        DownloadReader(State::Asking(self.into_future()))
    }
}

impl IntoFuture for DownloadRequest {
    type Output = Result<Download, Error>;
    type IntoFuture = BoxFuture<'static, Result<Download, Error>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let deadline = self.limit.map(Deadline::begin);
            let asking = deadline.or_else(|| self.client.deadline());
            Ok(self.client.open(&self.operation, asking).await?.until(deadline))
        })
    }
}

impl Download {
    /// The rest of the content in memory, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::TooLong`] when it has more, else those of [`chunk`](Self::chunk).
    pub async fn bytes(mut self, limit: u64) -> Result<Bytes, Error> {
        let mut whole = BytesMut::new();
        while let Some(bytes) = self.chunk().await? {
            if (whole.len() + bytes.len()) as u64 > limit {
                return Err(Error::TooLong { limit });
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    }

    /// A reader of the rest of the content. Its errors hold an [`Error`].
    #[must_use]
    pub fn into_async_read(self) -> DownloadReader {
        DownloadReader(State::Reading { download: Box::new(self), chunk: Bytes::new() })
    }
}

/// Reads content as it comes: made by [`DownloadRequest::into_async_read`] and [`Download::into_async_read`].
///
/// ```no_run
/// use partwise::Client;
/// use tokio::io::{AsyncBufReadExt as _, BufReader};
///
/// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let mut lines = BufReader::new(client.download("file-abc123").into_async_read()).lines();
/// while let Some(line) = lines.next_line().await? {
///     println!("{line}");
/// }
/// # Ok(())
/// # }
/// ```
pub struct DownloadReader(State);

enum State {
    Asking(BoxFuture<'static, Result<Download, Error>>),
    Reading { download: Box<Download>, chunk: Bytes },
    Ended,
}

impl AsyncRead for DownloadReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let read = match &mut self.0 {
                State::Ended => return Poll::Ready(Ok(())),
                State::Asking(asking) => match ready!(asking.as_mut().poll(cx)) {
                    Ok(download) => {
                        self.0 = State::Reading { download: Box::new(download), chunk: Bytes::new() };
                        continue;
                    }
                    Err(error) => Some(Err(error)),
                },
                State::Reading { chunk, .. } if !chunk.is_empty() => {
                    let bytes = chunk.split_to(chunk.len().min(room.remaining()));
                    room.put_slice(&bytes);
                    return Poll::Ready(Ok(()));
                }
                State::Reading { download, .. } => ready!(Pin::new(&mut **download).poll_next(cx)),
            };
            match (read, &mut self.0) {
                (Some(Ok(bytes)), State::Reading { chunk, .. }) => *chunk = bytes,
                (Some(Err(error)), state) => {
                    *state = State::Ended;
                    return Poll::Ready(Err(io::Error::other(error)));
                }
                (_, state) => *state = State::Ended,
            }
        }
    }
}

impl fmt::Debug for DownloadReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DownloadReader")
    }
}
