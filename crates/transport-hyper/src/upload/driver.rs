//! The driver: does what the machine says, and tells it what came of it.

use std::{future::pending, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use partwise_models::File;
use partwise_protocol::{
    Action, Checkpoint, Comparison, OperationId, Progress, RequestId, SaveError, SourceError, SourceRange,
    SourceStamp, Transfer,
};
use tokio::{sync::watch, time::Instant};
use tracing::Span;

use super::{
    checkpoints::AnyCheckpoints,
    flights::{Flights, Landed},
    hasher::Hashing,
    trace::Trace,
};
use crate::{
    Client, Error, RequestBody,
    attempt::Left,
    compare::{Comparing, compare, compare_digest},
    digest::Digest,
    reading::Reader,
    service::BoxError,
    system::Clock,
    trace::attempt_span,
};

/// How often bytes in flight are counted while something flies.
const COUNTING: Duration = Duration::from_millis(250);

pub(super) struct Driver {
    client: Client,
    clock: Clock,
    transfer: Box<Transfer>,
    reader: Reader,
    store: Option<Arc<dyn AnyCheckpoints>>,
    progress: watch::Sender<Progress>,
    trace: Trace,
    flights: Flights,
    hashing: Option<Hashing>,
    comparing: Option<(RequestId, Comparing)>,
    /// The digest of what a request sent, which had all of the source.
    digest: Option<(RequestId, Digest)>,
    stamping: Option<BoxFuture<'static, Result<SourceStamp, SourceError>>>,
    saving: Option<BoxFuture<'static, Result<(), BoxError>>>,
}

/// What the driver waited for.
enum Event {
    Landed(Landed),
    Hashed(Result<[u8; 16], SourceError>),
    Compared(RequestId, Result<Comparison, SourceError>),
    Stamped(Result<SourceStamp, SourceError>),
    Saved(Result<(), SaveError>),
    StopWanted,
    CancelWanted,
    Time,
}

/// What the caller may want while it runs; each is heard once.
#[derive(Default)]
pub(super) struct Signals {
    pub(super) stop: Option<BoxFuture<'static, ()>>,
    pub(super) cancel: Option<BoxFuture<'static, ()>>,
}

impl Driver {
    pub(super) fn new(
        client: Client,
        transfer: Box<Transfer>,
        reader: Reader,
        store: Option<Arc<dyn AnyCheckpoints>>,
        progress: watch::Sender<Progress>,
    ) -> Self {
        Self {
            clock: client.system.start_clock(),
            trace: Trace::begin(&transfer),
            client,
            transfer,
            reader,
            store,
            progress,
            flights: Flights::default(),
            hashing: None,
            comparing: None,
            digest: None,
            stamping: None,
            saving: None,
        }
    }

    /// The span in which it has to run.
    pub(super) fn span(&self) -> &Span {
        self.trace.span()
    }

    /// Drives the machine to its end. Everything that it started ends with this future.
    pub(super) async fn run(mut self, mut signals: Signals) -> Result<File, Error> {
        loop {
            let until = match self.act() {
                Step::Wait { until } => until,
                Step::Done(result) => return self.end(result).await,
            };
            self.publish();
            let deadline = self.next_look(until);
            // What comes seldom goes first; so nothing has to wait for ever, and the same run takes the same turns.
            let event = tokio::select! {
                biased;
                () = ended(&mut signals.cancel) => Event::CancelWanted,
                () = ended(&mut signals.stop) => Event::StopWanted,
                saved = ended(&mut self.saving) => Event::Saved(saved.map_err(SaveError::new)),
                stamped = ended(&mut self.stamping) => Event::Stamped(stamped),
                hashed = hashed(&mut self.hashing) => Event::Hashed(hashed),
                (request, compared) = compared(&mut self.comparing) => Event::Compared(request, compared),
                landed = self.flights.land() => Event::Landed(landed),
                () = sleep_until(deadline) => Event::Time,
            };
            self.tell(event);
        }
    }

    /// Polls the machine until it waits.
    fn act(&mut self) -> Step {
        loop {
            match self.transfer.poll(self.clock.now()) {
                Action::Send { id, attempt, request, answer_limit } => {
                    let request = request.map(|body| RequestBody::new(body, Some(self.reader.clone())));
                    // The one request whose content cannot be looked at once more before it becomes a file.
                    let is_whole = attempt.operation == OperationId::CreateFile;
                    let request = if is_whole { request.map(RequestBody::with_digest) } else { request };
                    let span = attempt_span(attempt.operation, attempt.part, attempt.number);
                    self.flights.start(self.client.clone(), id, request, answer_limit, span);
                }
                Action::Compare { id, file_id, sent, .. } => {
                    self.comparing = Some((id, self.compare(file_id, sent)));
                }
                Action::Abandon(id) => {
                    self.comparing.take_if(|(comparing, _)| *comparing == id);
                    let sent = self.flights.abandon(id);
                    self.transfer.handle_sent(id, sent);
                }
                Action::Hash(range) => self.hash(range),
                Action::Stamp => self.stamp(),
                Action::Save(checkpoint) => self.save(checkpoint),
                Action::Wait { until } => return Step::Wait { until },
                Action::Done(result) => return Step::Done(result.map_err(Error::from)),
            }
        }
    }

    fn compare(&self, file_id: String, sent: Option<RequestId>) -> Comparing {
        let (reader, length) = (self.reader.clone(), self.transfer.progress().bytes_total);
        match self.digest.filter(|(request, _)| Some(*request) == sent) {
            Some((_, digest)) => Box::pin(compare_digest(reader, length, digest)),
            None => Box::pin(compare(self.client.clone(), reader, length, file_id)),
        }
    }

    fn hash(&mut self, range: SourceRange) {
        self.hashing = Some(Hashing::start(self.reader.source().clone(), range));
    }

    fn stamp(&mut self) {
        self.stamping = Some(Box::pin(self.reader.clone().stamp()));
    }

    fn save(&mut self, checkpoint: Checkpoint) {
        match self.store.clone() {
            Some(store) => self.saving = Some(store.keep(checkpoint)),
            None => self.transfer.handle_saved(Ok(())),
        }
    }

    fn tell(&mut self, event: Event) {
        for (request, sent) in self.flights.newly_sent() {
            self.transfer.handle_sent(request, sent);
        }
        match event {
            Event::Landed(landed) => {
                self.transfer.handle_sent(landed.request, landed.sent);
                self.digest = landed.digest.map(|digest| (landed.request, digest)).or(self.digest);
                let now = self.clock.now();
                match landed.outcome {
                    Ok(response) => {
                        let left = response.extensions().get::<Left>().map(|left| left.0);
                        self.transfer.handle_response(landed.request, response, left, now);
                    }
                    Err(failure) => self.transfer.handle_failure(landed.request, failure, now),
                }
            }
            Event::Hashed(digest) => self.transfer.handle_hashed(digest),
            Event::Compared(request, result) => {
                self.transfer.handle_compared(request, result, self.clock.now());
            }
            Event::Stamped(stamp) => self.transfer.handle_stamped(stamp),
            Event::Saved(saved) => self.transfer.handle_saved(saved),
            Event::CancelWanted => self.transfer.cancel(),
            Event::StopWanted => self.transfer.stop(),
            Event::Time => {}
        }
    }

    /// The machine's deadline, or the next count of bytes in flight.
    fn next_look(&self, until: Option<Duration>) -> Option<Instant> {
        let deadline = until.and_then(|until| self.clock.instant(until));
        let counting = (!self.flights.is_empty()).then(|| Instant::now() + COUNTING);
        deadline.into_iter().chain(counting).min()
    }

    fn publish(&mut self) {
        let now = self.transfer.progress();
        self.trace.changed(&self.progress.borrow(), &now);
        self.progress.send_replace(now);
    }

    async fn end(mut self, result: Result<File, Error>) -> Result<File, Error> {
        self.publish();
        self.trace.end(&result);
        if let Some(saving) = self.saving.take() {
            // A checkpoint that is still being written must not appear after its removal.
            let _ = saving.await;
        }
        if !self.is_resumable(&result) {
            self.forget().await;
        }
        result
    }

    /// Whether there is anything to be gone on with.
    fn is_resumable(&self, result: &Result<File, Error>) -> bool {
        matches!(result, Err(Error::Transfer(error)) if self.transfer.is_resumable_after(error))
    }

    async fn forget(&mut self) {
        let Some(store) = self.store.take() else { return };
        if let Err(error) = store.forget().await {
            let error: &dyn std::error::Error = &*error;
            tracing::warn!(error, "a checkpoint that is of no use any more cannot be removed");
        }
    }
}

enum Step {
    Wait { until: Option<Duration> },
    Done(Result<File, Error>),
}

/// Waits for the digest, once one is being computed.
async fn hashed(hashing: &mut Option<Hashing>) -> Result<[u8; 16], SourceError> {
    let Some(running) = hashing else { return pending().await };
    let digest = running.finish().await;
    *hashing = None;
    digest
}

/// Waits for the comparison, once one is running.
async fn compared(
    comparing: &mut Option<(RequestId, Comparing)>,
) -> (RequestId, Result<Comparison, SourceError>) {
    let Some((request, running)) = comparing else { return pending().await };
    let (request, result) = (*request, running.await);
    *comparing = None;
    (request, result)
}

/// Waits for what runs elsewhere, once something does; what has ended is gone.
async fn ended<T>(task: &mut Option<BoxFuture<'static, T>>) -> T {
    let Some(running) = task else { return pending().await };
    let result = running.await;
    *task = None;
    result
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => pending().await,
    }
}
