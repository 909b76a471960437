//! Comparing what a service has with a source, byte by byte as it comes.

use std::{future::poll_fn, sync::Arc};

use bytes::{Buf, Bytes};
use futures_util::future::BoxFuture;
use http::StatusCode;
use partwise_protocol::{
    operations::{ByteRange, DownloadFile},
    retry::{RetryPolicy, Verdict},
    transport::{Failure, Repeat, SourceError, SourceRange},
    upload::Comparison,
};

use crate::{
    Client, Error, IntoSource,
    digest::{Digest, Digester},
    download::Download,
    reading::{Pieces, Reader},
    source::OnceSource,
};

/// A comparison that runs; it ends when this is dropped.
pub(crate) type Comparing = BoxFuture<'static, Result<Comparison, SourceError>>;

impl Client {
    /// Waits for as long as an overloaded service asks, if that is kept to: what comes next knows nothing of this answer.
    async fn wait_as_asked(&self, error: &Error) {
        let asked = error.rejection().filter(|rejection| rejection.is_overload());
        let wait = asked.and_then(|rejection| rejection.retry.wait(self.clocks().now()));
        if let Some(wait) = wait.filter(|wait| *wait <= self.retry.max_hinted_wait) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Compares the content of a file on the service with `source`, without keeping either in memory. An interrupted
    /// answer is resumed; the failures without progress that the client's retry policy allows in a row are its limit.
    ///
    /// The time of the whole comparison has no limit: a caller that cannot wait for a slow service drops the future.
    ///
    /// A service that rejects the download with 400 or 403 is [`Comparison::NotServed`]; any other rejection says nothing
    /// about the content, and is [`Comparison::Unknown`], as is content that does not come to its end.
    ///
    /// # Errors
    /// [`Error::Source`] when the source cannot be read.
    pub async fn compare(&self, file_id: &str, source: impl IntoSource) -> Result<Comparison, Error> {
        let reader = Reader::new(source.into_source(), self.reading);
        let length = reader.clone().stamp().await?.length;
        Ok(compare(self.clone(), reader, length, file_id.to_owned()).await?)
    }
}

/// Compares the content of a file with the source, which has `length` bytes.
pub(crate) async fn compare(
    client: Client,
    reader: Reader,
    length: u64,
    file_id: String,
) -> Result<Comparison, SourceError> {
    compare_with(client, Expected::Source(reader), length, file_id).await
}

/// Compares the content of a file with a source that cannot be read again: with the digest of what it gave.
pub(crate) async fn compare_once(
    client: Client,
    source: Arc<OnceSource>,
    length: u64,
    file_id: String,
) -> Result<Comparison, SourceError> {
    let Some(digest) = source.digest().await else { return Ok(Comparison::Unknown) };
    compare_with(client, Expected::Digest { digest, came: Box::new(Digester::new()) }, length, file_id).await
}

async fn compare_with(
    client: Client,
    expected: Expected,
    length: u64,
    file_id: String,
) -> Result<Comparison, SourceError> {
    let mut failures = Failures { policy: client.retry.clone(), in_a_row: 0 };
    let mut furthest = 0;
    let mut compared = Compared { expected, length, at: 0, differs: false };
    loop {
        let ended = match client.download_unchecked(&compared.request(&file_id)).await {
            Ok(download) => compared.read(download).await?,
            Err(Error::Rejected(refusal)) if is_not_served(refusal.status) => {
                return Ok(Comparison::NotServed);
            }
            // The client has repeated it already, or the rejection says nothing about the content.
            Err(error) => {
                client.wait_as_asked(&error).await;
                return Ok(Comparison::Unknown);
            }
        };
        let failure = match ended {
            Ended::Decided(comparison) => return Ok(comparison),
            Ended::BrokeOff(failure) => failure,
        };
        // Bytes that came before, of content that is sent from its start again, are no progress.
        if compared.at > furthest {
            (furthest, failures.in_a_row) = (compared.at, 0);
        }
        if compared.at == length {
            // All of it came, but not its end.
            compared.start_over();
        }
        let Ok(random) = client.system.random() else { return Ok(Comparison::Unknown) };
        match failures.judge(&failure, random) {
            Verdict::Retry { wait, .. } => tokio::time::sleep(wait).await,
            Verdict::GiveUp => return Ok(Comparison::Unknown),
        }
    }
}

/// Returns `true` if a service rejects the download of a file that it has with this status. With 401 or 404 it does not even say
/// whether it has the file.
fn is_not_served(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN)
}

/// Compares the digest of the source as it is now with that of what was sent.
pub(crate) async fn compare_digest(
    reader: Reader,
    length: u64,
    sent: Digest,
) -> Result<Comparison, SourceError> {
    let mut pieces = reader.read(SourceRange::new(0, length));
    let mut digester = Digester::new();
    while let Some(piece) = poll_fn(|cx| pieces.poll_next(cx)).await {
        digester.update(&piece.map_err(SourceError::new)?);
        // A source that is read on this thread would hold up all else.
        tokio::task::yield_now().await;
    }
    Ok(if digester.digest() == sent { Comparison::Equal } else { Comparison::Different })
}

/// What the content is compared with.
enum Expected {
    Source(Reader),
    /// The digest of all of it, and that of what came so far.
    Digest {
        digest: Digest,
        came: Box<Digester>,
    },
}

/// The progress of the comparison.
struct Compared {
    expected: Expected,
    length: u64,
    /// The bytes before this one came.
    at: u64,
    /// One of them is another than the source's.
    differs: bool,
}

/// The end of one answer.
enum Ended {
    Decided(Comparison),
    BrokeOff(Failure),
}

impl Compared {
    fn start_over(&mut self) {
        (self.at, self.differs) = (0, false);
        if let Expected::Digest { came, .. } = &mut self.expected {
            **came = Digester::new();
        }
    }

    fn request(&self, file_id: &str) -> DownloadFile {
        let mut operation = DownloadFile::new(file_id);
        if self.at > 0 {
            operation.range = Some(ByteRange::From { first: self.at, last: None });
        }
        operation
    }

    /// Compares one answer. Content of another length than the source's decides nothing: the service's list shows the
    /// source's length, so this is something else, such as a page of a gateway.
    async fn read(&mut self, mut download: Download) -> Result<Ended, SourceError> {
        let unknown = Ok(Ended::Decided(Comparison::Unknown));
        match download.head().range {
            Some(range) if self.at > 0 && range.first == self.at => {}
            Some(_) => return unknown,
            None => {
                self.start_over();
                if download.head().length.is_some_and(|length| length != self.length) {
                    return unknown;
                }
            }
        }
        let is_announced = download.head().length.is_some() || download.head().range.is_some();
        let mut source = self.cursor();
        loop {
            match download.chunk().await {
                Ok(Some(chunk)) => {
                    let end = self.at.saturating_add(chunk.len() as u64);
                    if end > self.length {
                        return unknown;
                    }
                    self.take(chunk, source.as_mut()).await?;
                    self.at = end;
                    // Where the length was announced, the rest shows nothing more.
                    if self.differs && is_announced {
                        return Ok(Ended::Decided(Comparison::Different));
                    }
                }
                Ok(None) if self.at < self.length => return unknown,
                Ok(None) if self.is_other_digest() => {
                    return Ok(Ended::Decided(Comparison::Different));
                }
                Ok(None) if self.differs => return Ok(Ended::Decided(Comparison::Different)),
                Ok(None) => return Ok(Ended::Decided(Comparison::Equal)),
                Err(Error::Failed(failure)) => return Ok(Ended::BrokeOff(failure)),
                Err(_) => return unknown,
            }
        }
    }
}

impl Compared {
    /// The source's bytes from where the comparison is.
    fn cursor(&self) -> Option<Cursor> {
        match &self.expected {
            Expected::Source(reader) => {
                Some(Cursor::new(reader.read(SourceRange::new(self.at, self.length))))
            }
            Expected::Digest { .. } => None,
        }
    }

    async fn take(&mut self, chunk: Bytes, source: Option<&mut Cursor>) -> Result<(), SourceError> {
        match (&mut self.expected, source) {
            (Expected::Digest { came, .. }, _) => came.update(&chunk),
            (Expected::Source(_), Some(source)) => {
                self.differs = self.differs || !source.is_next(chunk).await?;
            }
            (Expected::Source(_), None) => {}
        }
        Ok(())
    }

    /// Returns `true` if all that came has another digest than was expected.
    fn is_other_digest(&self) -> bool {
        matches!(&self.expected, Expected::Digest { digest, came } if came.digest() != *digest)
    }
}

/// The source's bytes in order.
struct Cursor {
    pieces: Pieces,
    piece: Bytes,
}

impl Cursor {
    fn new(pieces: Pieces) -> Self {
        Self { pieces, piece: Bytes::new() }
    }

    /// Returns `true` if the source goes on with these bytes. It is read only as far as they are equal.
    async fn is_next(&mut self, mut bytes: Bytes) -> Result<bool, SourceError> {
        while !bytes.is_empty() {
            if self.piece.is_empty() {
                match poll_fn(|cx| self.pieces.poll_next(cx)).await {
                    Some(piece) => self.piece = piece.map_err(SourceError::new)?,
                    None => return Ok(false),
                }
            }
            let count = bytes.len().min(self.piece.len());
            if bytes[..count] != self.piece[..count] {
                return Ok(false);
            }
            bytes.advance(count);
            self.piece.advance(count);
        }
        Ok(true)
    }
}

/// Answers that broke off without a new byte.
struct Failures {
    policy: RetryPolicy,
    in_a_row: u32,
}

impl Failures {
    fn judge(&mut self, failure: &Failure, random: u64) -> Verdict {
        self.in_a_row += 1;
        self.policy.on_failure(Repeat::Harmless, self.in_a_row, failure, random)
    }
}
