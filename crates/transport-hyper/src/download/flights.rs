//! Requests for bytes that are under way, each on a task of its own that ends with this.

use std::{
    collections::HashMap,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use partwise_models::File;
use partwise_protocol::{ContentCheck, DownloadFile, Failure, FailureKind, RequestId, RetrieveFile};
use tokio::task::{AbortHandle, Id, JoinSet};

use super::Download;
use crate::{
    Client, Error,
    failure::classify,
    stack::DirectBody,
    writing::{Filling, Writer},
};

/// The requests of one download.
#[derive(Default)]
pub(super) struct Flights {
    tasks: JoinSet<Step>,
    by_task: HashMap<Id, Flight>,
}

struct Flight {
    request: RequestId,
    written: Arc<AtomicU64>,
    reported: u64,
    task: AbortHandle,
}

/// What became of a request.
pub(super) struct Landed {
    pub(super) request: RequestId,
    /// Bytes that were written since the last report.
    pub(super) written: u64,
    pub(super) step: Step,
}

pub(super) enum Step {
    /// The head has come; the bytes wait.
    Answered(Result<Download, Error>),
    /// The answer has been written to its end, or as far as it came. With it the first bytes of the content, when the answer
    /// begins with them.
    Received(Result<(), Error>, Vec<u8>),
    /// The file's object was asked for.
    Retrieved(Result<Box<File>, Error>),
}

impl Flights {
    /// Asks, and waits for the head of the answer.
    pub(super) fn ask(&mut self, client: Client, request: RequestId, operation: DownloadFile, number: u64) {
        self.start(request, Arc::default(), async move {
            Step::Answered(client.download_once(&operation, number).await)
        });
    }

    /// Asks for the file's object.
    pub(super) fn retrieve(
        &mut self,
        client: Client,
        request: RequestId,
        operation: RetrieveFile,
        number: u64,
    ) {
        self.start(request, Arc::default(), async move {
            let object = client.execute_once(&operation, None, number).await;
            Step::Retrieved(object.map(Box::new).map_err(|failed| failed.error))
        });
    }

    /// Writes the bytes of an answer from `offset` on, once nobody else writes when that is to be waited for.
    pub(super) fn receive(
        &mut self,
        request: RequestId,
        download: Download,
        writer: Writer,
        offset: u64,
        settle: bool,
    ) {
        let written = Arc::<AtomicU64>::default();
        self.start(request, written.clone(), async move {
            if settle {
                writer.settled().await;
            }
            let mut beginning = Beginning::from(offset);
            let received = receive(download, &writer, offset, written, &mut beginning).await;
            Step::Received(received, beginning.bytes)
        });
    }

    fn start(
        &mut self,
        request: RequestId,
        written: Arc<AtomicU64>,
        task: impl Future<Output = Step> + Send + 'static,
    ) {
        let task = self.tasks.spawn(task);
        self.by_task.insert(task.id(), Flight { request, written, reported: 0, task });
    }

    /// Ends this request, if it still runs.
    pub(super) fn abandon(&mut self, request: RequestId) {
        self.by_task.retain(|_, flight| {
            let is_abandoned = flight.request == request;
            if is_abandoned {
                flight.task.abort();
            }
            !is_abandoned
        });
    }

    /// Ends every request, and waits until none of them runs any more.
    pub(super) async fn shutdown(&mut self) {
        self.by_task.clear();
        self.tasks.shutdown().await;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_task.is_empty()
    }

    /// The next step that is done; waits for ever when there is none. May be dropped and called again.
    pub(super) async fn land(&mut self) -> Landed {
        loop {
            let Some(ended) = self.tasks.join_next_with_id().await else { return pending().await };
            let (task, step) = match ended {
                Ok((task, step)) => (task, step),
                Err(stopped) => {
                    let id = stopped.id();
                    let error = Failure::with_cause(FailureKind::Other, stopped).into();
                    (id, Step::Received(Err(error), Vec::new()))
                }
            };
            // One that was abandoned is no longer known, and nobody waits for it.
            if let Some(mut flight) = self.by_task.remove(&task) {
                return Landed { request: flight.request, written: flight.newly_written(), step };
            }
        }
    }

    /// Bytes that were written since the last report, request by request.
    pub(super) fn newly_written(&mut self) -> Vec<(RequestId, u64)> {
        self.by_task.values_mut().map(|flight| (flight.request, flight.newly_written())).collect()
    }
}

impl Flight {
    fn newly_written(&mut self) -> u64 {
        let written = self.written.load(Relaxed);
        let new = written - self.reported;
        self.reported = written;
        new
    }
}

/// The first bytes of a content, as many as are looked at.
struct Beginning {
    room: usize,
    bytes: Vec<u8>,
}

impl Beginning {
    /// Of an answer that is written from `offset` on, which only at 0 begins with them.
    fn from(offset: u64) -> Self {
        Self { room: if offset == 0 { ContentCheck::BEGINNING } else { 0 }, bytes: Vec::new() }
    }

    fn read(&mut self, bytes: &[u8]) {
        let taken = self.room.min(bytes.len());
        self.room -= taken;
        self.bytes.extend_from_slice(&bytes[..taken]);
    }
}

async fn receive(
    download: Download,
    writer: &Writer,
    offset: u64,
    written: Arc<AtomicU64>,
    beginning: &mut Beginning,
) -> Result<(), Error> {
    let mut filling = writer.fill(offset, written);
    let received = match download.direct().await {
        Ok(body) => read_into(body, &mut filling, beginning).await,
        Err(download) => copy_into(download, &mut filling, beginning).await,
    };
    // What came before it broke need not come again; and what could not be written is not tried again.
    if matches!(received, Err(Error::Target(_))) {
        return received;
    }
    filling.finish().await.map_err(Error::Target)?;
    received
}

async fn read_into(
    mut body: DirectBody,
    filling: &mut Filling,
    beginning: &mut Beginning,
) -> Result<(), Error> {
    loop {
        match body.read(filling.room()).await {
            Ok(0) => break,
            Ok(count) => {
                beginning.read(&filling.room()[..count]);
                filling.filled(count).await.map_err(Error::Target)?;
            }
            Err(error) => return Err(classify(error.into()).into()),
        }
    }
    body.finish().await;
    Ok(())
}

async fn copy_into(
    mut download: Download,
    filling: &mut Filling,
    beginning: &mut Beginning,
) -> Result<(), Error> {
    while let Some(bytes) = download.chunk().await? {
        beginning.read(&bytes);
        filling.push(&bytes).await.map_err(Error::Target)?;
    }
    Ok(())
}
