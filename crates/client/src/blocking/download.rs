//! Content that is handed out as it comes, to callers that wait for it.

use std::{
    io::{self, Read},
    sync::Arc,
};

use bytes::{Buf as _, Bytes};
use partwise_protocol::{download::DownloadWarning, operations::DownloadHead};
use tokio::{io::AsyncReadExt as _, runtime::Runtime};

use crate::{DownloadReader, Error};

/// A request for content that is sent when it is [run](Self::run), made by [`Client::download`](super::Client::download).
///
/// ```no_run
/// use partwise::{blocking::Client, protocol::operations::ByteRange};
///
/// # fn example(client: Client) -> Result<(), partwise::Error> {
/// let first = ByteRange::From { first: 0, last: Some(1023) };
/// let bytes = client.download("file-abc123").with(|download| download.range(first)).bytes(1024)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is asked for before it runs"]
pub struct DownloadRequest {
    pub(super) request: crate::DownloadRequest,
    pub(super) runtime: Arc<Runtime>,
}

impl DownloadRequest {
    /// Returns the request with other settings: see [`partwise::DownloadRequest`](crate::DownloadRequest).
    pub fn with(self, set: impl FnOnce(crate::DownloadRequest) -> crate::DownloadRequest) -> Self {
        Self { request: set(self.request), runtime: self.runtime }
    }

    /// Asks for the content, and waits for the head of the answer.
    ///
    /// # Errors
    /// As for [`partwise::DownloadRequest`](crate::DownloadRequest).
    pub fn run(self) -> Result<Download, Error> {
        let Self { request, runtime } = self;
        let download = runtime.block_on(async { request.await })?;
        Ok(Download { download, chunk: Bytes::new(), runtime })
    }

    /// Returns the whole content in memory, if it has at most `limit` bytes: see
    /// [`DownloadRequest::bytes`](crate::DownloadRequest::bytes).
    ///
    /// # Errors
    /// As there.
    pub fn bytes(self, limit: u64) -> Result<Bytes, Error> {
        self.runtime.block_on(self.request.bytes(limit))
    }

    /// Returns a reader of the content, which asks for it when it is first read. Its errors hold an [`Error`].
    #[must_use]
    pub fn into_read(self) -> Reader {
        Reader { reader: self.request.into_async_read(), runtime: self.runtime }
    }
}

/// Content as it comes, after the head of its answer: a reader, made by [`DownloadRequest::run`]. The errors of the reader hold an
/// [`Error`]; after one there is nothing more.
///
/// ```no_run
/// use std::io::{BufRead as _, BufReader};
///
/// use partwise::blocking::Client;
///
/// # fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let download = client.download("file-abc123").run()?;
/// println!("{:?} bytes", download.head().length);
/// for line in BufReader::new(download).lines() {
///     println!("{}", line?);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Download {
    download: crate::Download,
    /// The bytes that have come and were not read yet.
    chunk: Bytes,
    runtime: Arc<Runtime>,
}

impl Download {
    /// The head of the answer: see [`Download::head`](crate::Download::head).
    #[must_use]
    pub fn head(&self) -> &DownloadHead {
        self.download.head()
    }

    /// Waits for the next bytes; `None` at the end.
    ///
    /// # Errors
    /// As for [`Download::chunk`](crate::Download::chunk).
    pub fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        if self.chunk.has_remaining() {
            return Ok(Some(std::mem::take(&mut self.chunk)));
        }
        self.runtime.block_on(self.download.chunk())
    }

    /// The warning for a person, once the end has come: see [`Download::warning`](crate::Download::warning).
    #[must_use]
    pub fn warning(&self) -> Option<DownloadWarning> {
        self.download.warning()
    }
}

impl Read for Download {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if room.is_empty() {
            return Ok(0);
        }
        let Some(mut chunk) = self.chunk().map_err(io::Error::other)? else { return Ok(0) };
        let count = chunk.len().min(room.len());
        chunk.copy_to_slice(&mut room[..count]);
        self.chunk = chunk;
        Ok(count)
    }
}

/// Reads content as it comes: made by [`DownloadRequest::into_read`].
///
/// ```no_run
/// use partwise::blocking::Client;
///
/// # fn example(client: Client) -> std::io::Result<()> {
/// let mut reader = client.download("file-abc123").into_read();
/// std::io::copy(&mut reader, &mut std::io::stdout())?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Reader {
    reader: DownloadReader,
    runtime: Arc<Runtime>,
}

impl Read for Reader {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.reader.read(room))
    }
}
