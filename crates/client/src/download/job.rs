//! A download to a target, as the driver needs it.

use std::sync::{Arc, atomic::AtomicU64};

use futures_util::future::BoxFuture;
use partwise_models::File;
use partwise_net::BoxError;
use partwise_protocol::{
    download::{DownloadError, DownloadMachine, DownloadProgress, DownloadTask},
    error::ResponseError,
    machine::{Machine as _, Now, RequestId},
    transport::{Failure, FailureKind},
};
use tokio::sync::watch;
use tracing::Span;

use super::{
    Download,
    receive::{Beginning, receive},
};
use crate::{
    Client, Error,
    driver::{Attempts, EndOf, Job},
    writing::Writer,
};

pub(super) struct DownloadJob {
    client: Client,
    machine: Box<DownloadMachine>,
    writer: Writer,
    progress: watch::Sender<DownloadProgress>,
    /// The length that the target was given before it was written.
    length: Option<u64>,
    /// Requests were abandoned that may still be writing.
    has_abandoned: bool,
}

/// What a task of a download came to.
pub(super) enum DownloadTaskResult {
    /// The head has come; the bytes wait.
    Answered(Result<Box<Download>, Error>),
    /// The answer has been written to its end, or as far as it came. With it the first bytes of the content, when the answer
    /// begins with them.
    Received(Result<(), Error>, Vec<u8>),
    /// The file's object was asked for.
    Retrieved(Result<Box<File>, Error>),
}

impl DownloadJob {
    pub(super) fn new(
        client: Client,
        machine: Box<DownloadMachine>,
        writer: Writer,
        progress: watch::Sender<DownloadProgress>,
    ) -> Self {
        Self { length: machine.length(), client, machine, writer, progress, has_abandoned: false }
    }

    async fn answered(
        &mut self,
        id: RequestId,
        download: Download,
        now: Now,
        attempts: &mut Attempts<DownloadTaskResult>,
    ) -> Result<(), Error> {
        let head = download.head().clone();
        let Some(offset) = self.machine.handle_answer(id, Ok(head), now) else { return Ok(()) };
        let length = self.machine.length();
        if let Some(length) = length.filter(|_| length != self.length) {
            self.writer.set_length(length).await.map_err(Error::target)?;
            self.length = Some(length);
        }
        let (writer, written) = (self.writer.clone(), Arc::new(AtomicU64::new(0)));
        // Once nobody else writes, when that is to be waited for.
        let settles = self.has_abandoned;
        attempts.start_moving(id, written.clone(), Span::none(), async move {
            if settles {
                writer.settled().await;
            }
            let mut beginning = Beginning::from(offset);
            let received = receive(download, &writer, offset, written, &mut beginning).await;
            DownloadTaskResult::Received(received, beginning.into_bytes())
        });
        Ok(())
    }

    fn received(
        &mut self,
        id: RequestId,
        received: Result<(), Error>,
        beginning: &[u8],
        now: Now,
    ) -> Result<(), Error> {
        match received {
            Ok(()) => {
                self.machine.handle_beginning(id, beginning);
                self.machine.handle_end(id, now);
            }
            Err(Error::Failed(failure)) => self.machine.handle_failure(id, failure, now),
            Err(error @ Error::WrongLength { .. }) => {
                let failure = Failure::with_cause(FailureKind::Interrupted, error);
                self.machine.handle_failure(id, failure, now);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn retrieved(&mut self, id: RequestId, retrieved: Result<File, Error>, now: Now) {
        let answer = match retrieved {
            Ok(file) => Ok(file),
            Err(Error::Rejected(refusal)) => Err(ResponseError::Rejected(refusal)),
            Err(Error::Garbled(garbled)) => Err(ResponseError::Garbled(garbled)),
            Err(Error::Failed(failure)) => return self.machine.handle_failure(id, failure, now),
            Err(error) => {
                let failure = Failure::with_cause(FailureKind::Other, error);
                return self.machine.handle_failure(id, failure, now);
            }
        };
        self.machine.handle_retrieved(id, answer, now);
    }
}

impl Job for DownloadJob {
    type Machine = DownloadMachine;
    type Outcome = DownloadTaskResult;
    /// The length of the file in bytes.
    type Output = u64;

    fn machine(&mut self) -> &mut DownloadMachine {
        &mut self.machine
    }

    fn start(&mut self, id: RequestId, task: DownloadTask, attempts: &mut Attempts<DownloadTaskResult>) {
        let client = self.client.clone();
        match task {
            DownloadTask::Send { attempt, operation } => attempts.start(id, async move {
                let answer = client.download_once(&operation, attempt.number).await;
                DownloadTaskResult::Answered(answer.map(Box::new).map_err(|failed| failed.error))
            }),
            DownloadTask::Retrieve { attempt, operation } => attempts.start(id, async move {
                let object = client.execute_once(&operation, None, attempt.number).await;
                let object = object.map(|answer| Box::new(answer.into_body()));
                DownloadTaskResult::Retrieved(object.map_err(|failed| failed.error))
            }),
        }
    }

    async fn ended(
        &mut self,
        id: RequestId,
        outcome: DownloadTaskResult,
        now: Now,
        attempts: &mut Attempts<DownloadTaskResult>,
    ) -> Result<(), Error> {
        match outcome {
            DownloadTaskResult::Answered(Ok(download)) => {
                return self.answered(id, *download, now, attempts).await;
            }
            DownloadTaskResult::Answered(Err(Error::Rejected(refusal))) => {
                self.machine.handle_answer(id, Err(ResponseError::Rejected(refusal)), now);
            }
            DownloadTaskResult::Answered(Err(Error::Garbled(garbled))) => {
                self.machine.handle_answer(id, Err(ResponseError::Garbled(garbled)), now);
            }
            DownloadTaskResult::Answered(Err(Error::Failed(failure))) => {
                self.machine.handle_failure(id, failure, now);
            }
            DownloadTaskResult::Answered(Err(error)) => return Err(error),
            DownloadTaskResult::Received(received, beginning) => {
                return self.received(id, received, &beginning, now);
            }
            DownloadTaskResult::Retrieved(retrieved) => self.retrieved(id, retrieved.map(|file| *file), now),
        }
        Ok(())
    }

    fn abandoned(&mut self) {
        self.has_abandoned = true;
    }

    fn sync(&self) -> BoxFuture<'static, Result<(), BoxError>> {
        let target = self.writer.target().clone();
        Box::pin(async move { Ok(target.sync().await?) })
    }

    fn publish(&mut self) {
        self.progress.send_replace(self.machine.progress());
    }

    async fn conclude(&mut self, end: EndOf<DownloadMachine>) -> Result<u64, Error> {
        self.writer.settled().await;
        let end = end.and_then(|end| end.map_err(|error: DownloadError| Error::Download(error.into())));
        let target = self.writer.target();
        if let Err(error) = end {
            target.abort().await;
            return Err(error);
        }
        let length = self.machine.length().unwrap_or_default();
        target.finish(length).await.map_err(Error::target)?;
        Ok(length)
    }
}
