//! Downloads: a head that was checked, and bytes as they come.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use http::Response;
use http_body::Body as _;
use partwise_protocol::{ContentRange, DownloadFile, DownloadHead, Operation, OperationId};

use crate::{
    Client, Error, RequestBody,
    attempt::read_whole,
    failure::classify,
    retries::Retries,
    service::AnyBody,
    stack::DirectBody,
    trace::{self, attempt_span},
};

const ID: OperationId = DownloadFile::ID;

impl Client {
    /// Asks for a file's content and hands it out while it comes. Only the asking is repeated; a download that breaks
    /// off is gone on with by asking for the rest with [`DownloadFile::range`], or by whoever wants the whole file
    /// somewhere with [`download_to`](Self::download_to).
    ///
    /// # Errors
    /// As for [`call`](Self::call).
    pub async fn download(&self, operation: &DownloadFile) -> Result<Download, Error> {
        let mut retries = Retries::new(self, ID.repeat());
        loop {
            match self.download_once(operation, retries.attempt()).await {
                Ok(download) => return Ok(download),
                Err(error) => retries.after(error).await?,
            }
        }
    }

    pub(super) async fn download_once(
        &self,
        operation: &DownloadFile,
        attempt: u64,
    ) -> Result<Download, Error> {
        let request = operation.encode_request(&self.api)?.map(|body| RequestBody::new(body, None));
        let response = trace::attempt(attempt_span(ID, None, attempt), self.send(request)).await?;
        if !response.status().is_success() {
            let refusal = read_whole(response, ID.answer_limit()).await?;
            return Ok(Download::new(DownloadFile::decode_response(refusal)?, None));
        }
        let (head, body) = response.into_parts();
        let head = DownloadFile::decode_response(Response::from_parts(head, Bytes::new()))?;
        Ok(Download::new(head, Some(body)))
    }
}

/// The content of a file, or of a range of it, as it comes.
///
/// It is a [`Stream`] of [`Bytes`]; [`chunk`](Self::chunk) does without one. Its end comes only after as many bytes as the
/// service had announced: a download that is cut short ends with an error.
pub struct Download {
    head: DownloadHead,
    received: u64,
    body: Option<AnyBody>,
}

impl Download {
    fn new(head: DownloadHead, body: Option<AnyBody>) -> Self {
        Self { head, received: 0, body }
    }

    /// What the service says about the bytes.
    #[must_use]
    pub fn head(&self) -> &DownloadHead {
        &self.head
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Failed`] when the connection breaks, [`Error::WrongLength`] when bytes are missing or too many. After an
    /// error there is nothing more.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.poll_chunk(cx)).await.transpose()
    }

    /// The same content, to be read without HTTP in between; itself where that cannot be.
    pub(super) async fn direct(self) -> Result<DirectBody, Self> {
        let Self { head, received, body: Some(body) } = self else { return Err(self) };
        // What else has to be found out about lengths is found out here.
        if announced(&head) != body.size_hint().exact() || received > 0 {
            return Err(Self { head, received, body: Some(body) });
        }
        body.direct().await.map_err(|body| Self { head, received, body: Some(body) })
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            let frame = match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return self.end(Some(Error::Failed(classify(error)))),
                None => {
                    let wrong = self.wrong_length(|announced, received| received != announced);
                    return self.end(wrong);
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            self.received += data.len() as u64;
            if let Some(wrong) = self.wrong_length(|announced, received| received > announced) {
                return self.end(Some(wrong));
            }
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(data)));
            }
        }
    }

    fn end(&mut self, error: Option<Error>) -> Poll<Option<Result<Bytes, Error>>> {
        self.body = None;
        Poll::Ready(error.map(Err))
    }

    fn wrong_length(&self, is_wrong: impl Fn(u64, u64) -> bool) -> Option<Error> {
        let announced = announced(&self.head)?;
        is_wrong(announced, self.received)
            .then_some(Error::WrongLength { announced, received: self.received })
    }
}

fn announced(head: &DownloadHead) -> Option<u64> {
    head.length.or_else(|| head.range.map(ContentRange::len))
}

impl Stream for Download {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_chunk(cx)
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("head", &self.head)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}
