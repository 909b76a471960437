//! An upload, as the driver needs it.

use std::{future::ready, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use partwise_models::File;
use partwise_net::BoxError;
use partwise_protocol::{
    machine::{Attempt, Machine as _, Now, RequestId},
    operations::OperationId,
    transport::{Body, Failure, SendBuffer, SourceError},
    upload::{Comparison, Progress, SourceStamp, UploadMachine, UploadTask},
};
use tokio::sync::watch;
use tracing::{Instrument as _, Span};

use super::{hasher::Hashing, trace::Trace};
use crate::{
    Client, Error, RequestBody,
    attempt::Left,
    body::Handoff,
    compare::{Comparing, compare, compare_digest, compare_once},
    digest::Digest,
    driver::{Attempts, EndOf, Job, Moved},
    reading::Reader,
    trace::{attempt, attempt_span},
};

pub(super) struct UploadJob {
    client: Client,
    /// Boxed, so that the futures of those who upload stay small.
    transfer: Box<UploadMachine>,
    reader: Reader,
    progress: watch::Sender<Progress>,
    trace: Trace,
    /// The digest of what a request sent, which had all of the source.
    digest: Option<(RequestId, Digest)>,
    /// The request that was sent last, whose transport may have said what it holds of a body.
    latest: Option<Arc<Handoff>>,
}

/// What a transport that does not say it may hold of a body: sockets as systems make them.
const UNKNOWN_BUFFER: SendBuffer = SendBuffer::new(512 << 10, 4 << 20);

/// What a task of an upload came to.
pub(super) enum UploadTaskResult {
    Answered {
        answer: Result<Response<Bytes>, Failure>,
        /// Of the content that was sent, if it was taken.
        digest: Option<Digest>,
    },
    Compared(Result<Comparison, SourceError>),
    Hashed(Result<[u8; 16], SourceError>),
    Stamped(Result<SourceStamp, SourceError>),
    Prepared(Result<(), SourceError>),
}

impl Moved for Handoff {
    fn signs(&self) -> u64 {
        Handoff::signs(self)
    }

    fn bytes(&self) -> u64 {
        self.sent()
    }
}

impl UploadJob {
    pub(super) fn new(
        client: Client,
        mut transfer: Box<UploadMachine>,
        reader: Reader,
        progress: watch::Sender<Progress>,
    ) -> Self {
        let trace = Trace::begin(&transfer);
        transfer.handle_send_buffer(UNKNOWN_BUFFER);
        Self { client, transfer, reader, progress, trace, digest: None, latest: None }
    }

    /// The span in which it has to run.
    pub(super) fn span(&self) -> &Span {
        self.trace.span()
    }

    fn send(
        &mut self,
        id: RequestId,
        about: Attempt,
        request: Request<Body>,
        limit: u64,
        attempts: &mut Attempts<UploadTaskResult>,
    ) {
        let mut request = request.map(|body| RequestBody::new(body, Some(self.reader.clone())));
        request.extensions_mut().insert(about.operation.repeat());
        // The one request whose content cannot be looked at once more before it becomes a file.
        let is_whole = about.operation == OperationId::CreateFile;
        let request = if is_whole { request.map(RequestBody::with_digest) } else { request };
        let span = attempt_span(about.operation, about.part, about.number);
        let (client, handoff) = (self.client.clone(), request.body().handoff());
        self.latest = Some(handoff.clone());
        let (moved, within) = (handoff.clone(), span.clone());
        attempts.start_moving(id, moved, span, async move {
            let answer = attempt(within, client.exchange(request, limit)).await;
            UploadTaskResult::Answered { answer, digest: handoff.digest() }
        });
    }

    fn compare(&self, file_id: String, sent: Option<RequestId>) -> Comparing {
        let (reader, length) = (self.reader.clone(), self.transfer.progress().bytes_total);
        if let Some(source) = reader.once() {
            return Box::pin(compare_once(self.client.clone(), source.clone(), length, file_id));
        }
        match self.digest.filter(|(request, _)| Some(*request) == sent) {
            Some((_, digest)) => Box::pin(compare_digest(reader, length, digest)),
            None => Box::pin(compare(self.client.clone(), reader, length, file_id)),
        }
    }
}

impl Job for UploadJob {
    type Machine = UploadMachine;
    type Outcome = UploadTaskResult;
    type Output = File;

    fn machine(&mut self) -> &mut UploadMachine {
        &mut self.transfer
    }

    fn start(&mut self, id: RequestId, task: UploadTask, attempts: &mut Attempts<UploadTaskResult>) {
        match task {
            UploadTask::Send { attempt, request, answer_limit } => {
                self.send(id, attempt, request, answer_limit, attempts);
            }
            UploadTask::Compare { file_id, sent, .. } => {
                let comparing = self.compare(file_id, sent);
                let comparing = comparing.instrument(self.trace.span().clone());
                attempts.start(id, async move { UploadTaskResult::Compared(comparing.await) });
            }
            UploadTask::Hash(range) => {
                let mut hashing = Hashing::start(self.reader.source().clone(), range);
                attempts.start(id, async move { UploadTaskResult::Hashed(hashing.finish().await) });
            }
            UploadTask::Prepare(range) => {
                let preparing = self.reader.clone().prepare(range);
                attempts.start(id, async move { UploadTaskResult::Prepared(preparing.await) });
            }
            UploadTask::Stamp => {
                let stamping = self.reader.clone().stamp();
                attempts.start(id, async move { UploadTaskResult::Stamped(stamping.await) });
            }
        }
    }

    async fn ended(
        &mut self,
        id: RequestId,
        outcome: UploadTaskResult,
        now: Now,
        _: &mut Attempts<UploadTaskResult>,
    ) -> Result<(), Error> {
        match outcome {
            UploadTaskResult::Answered { answer, digest } => {
                self.digest = digest.map(|digest| (id, digest)).or(self.digest);
                match answer {
                    Ok(response) => {
                        let left = response.extensions().get::<Left>().map(|left| left.0);
                        self.transfer.handle_response(id, response, left, now);
                    }
                    Err(failure) => self.transfer.handle_failure(id, failure, now),
                }
            }
            UploadTaskResult::Compared(result) => self.transfer.handle_compared(id, result, now),
            UploadTaskResult::Hashed(digest) => self.transfer.handle_hashed(id, digest),
            UploadTaskResult::Stamped(stamp) => self.transfer.handle_stamped(id, stamp),
            UploadTaskResult::Prepared(result) => self.transfer.handle_prepared(id, result),
        }
        Ok(())
    }

    /// The service has what a checkpoint speaks of.
    fn sync(&self) -> BoxFuture<'static, Result<(), BoxError>> {
        Box::pin(ready(Ok(())))
    }

    fn cancel(&mut self) {
        self.transfer.cancel();
    }

    fn publish(&mut self) {
        if let Some(buffer) = self.latest.as_ref().and_then(|latest| latest.send_buffer()) {
            self.transfer.handle_send_buffer(buffer);
        }
        let now = self.transfer.progress();
        self.trace.goes_in_parts(self.transfer.is_in_parts());
        self.trace.changed(&self.progress.borrow(), &now);
        self.progress.send_replace(now);
    }

    async fn conclude(&mut self, end: EndOf<UploadMachine>) -> Result<File, Error> {
        let result = end.and_then(|result| result.map_err(Error::from));
        self.trace.end(&result);
        result
    }
}
