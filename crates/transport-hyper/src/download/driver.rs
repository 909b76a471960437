//! The driver: does what the machine says, and tells it what came of it.

use std::{future::pending, time::Duration};

use futures_util::future::BoxFuture;
use partwise_protocol::{
    DownloadAction, DownloadError, DownloadProgress, Failure, FailureKind, Fetch, RequestId, ResponseError,
};
use tokio::{sync::watch, time::Instant};

use super::{
    Download,
    flights::{Flights, Landed, Step},
};
use crate::{Client, Error, blocking::Blocking, system::Clock, writing::Writer};

/// How often written bytes are counted while something flies.
const COUNTING: Duration = Duration::from_millis(250);

pub(super) struct Driver {
    client: Client,
    clock: Clock,
    machine: Fetch,
    writer: Writer,
    progress: watch::Sender<DownloadProgress>,
    flights: Flights,
    asked: u64,
    /// The length that the target was given before it was written.
    length: Option<u64>,
    /// Requests were abandoned that may still be writing.
    has_abandoned: bool,
    saving: Option<Blocking<()>>,
}

/// What the driver waited for.
enum Event {
    Landed(Box<Landed>),
    Saved(std::io::Result<()>),
    StopWanted,
    Time,
}

/// What the machine waits for, or what it came to.
enum Turn {
    Wait { until: Option<Duration> },
    Done(Result<(), DownloadError>),
}

impl Driver {
    pub(super) fn new(
        client: Client,
        machine: Fetch,
        writer: Writer,
        progress: watch::Sender<DownloadProgress>,
    ) -> Self {
        Self {
            clock: client.system.start_clock(),
            length: machine.length(),
            client,
            machine,
            writer,
            progress,
            flights: Flights::default(),
            asked: 0,
            has_abandoned: false,
            saving: None,
        }
    }

    /// Drives the machine to its end. Every request that it started ends with this future.
    pub(super) async fn run(mut self, stop: Option<BoxFuture<'static, ()>>) -> Result<u64, Error> {
        let ended = self.drive(stop).await;
        self.progress.send_replace(self.machine.progress());
        // Nothing may write once this has ended, however it ends.
        self.flights.shutdown().await;
        self.writer.settled().await;
        if let Some(saving) = self.saving.take() {
            // Whoever hears of the end finds the checkpoint as it stays; what ended the rest is the error.
            let _ = saving.await;
        }
        ended?;
        self.finish().await
    }

    async fn drive(&mut self, mut stop: Option<BoxFuture<'static, ()>>) -> Result<(), Error> {
        loop {
            let until = match self.act() {
                Turn::Wait { until } => until,
                Turn::Done(result) => return result.map_err(|error| Error::Download(Box::new(error))),
            };
            self.progress.send_replace(self.machine.progress());
            let deadline = self.next_look(until);
            let event = tokio::select! {
                biased;
                () = wanted(&mut stop) => Event::StopWanted,
                saved = saved(&mut self.saving) => Event::Saved(saved),
                landed = self.flights.land() => Event::Landed(Box::new(landed)),
                () = sleep_until(deadline) => Event::Time,
            };
            self.tell(event).await?;
        }
    }

    /// Polls the machine until it waits.
    fn act(&mut self) -> Turn {
        loop {
            match self.machine.poll(self.clock.now().monotonic) {
                DownloadAction::Send { id, operation } => {
                    self.asked += 1;
                    self.flights.ask(self.client.clone(), id, operation, self.asked);
                }
                DownloadAction::Retrieve { id, operation } => {
                    self.asked += 1;
                    self.flights.retrieve(self.client.clone(), id, operation, self.asked);
                }
                DownloadAction::Abandon(id) => {
                    self.has_abandoned = true;
                    self.flights.abandon(id);
                }
                DownloadAction::Save(checkpoint) => {
                    let target = self.writer.target().clone();
                    self.saving = Some(Blocking::start(move || target.keep(&checkpoint)));
                }
                DownloadAction::Wait { until } => return Turn::Wait { until },
                DownloadAction::Done(result) => return Turn::Done(result),
            }
        }
    }

    async fn tell(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Landed(landed) => self.landed(*landed).await?,
            Event::Saved(saved) => {
                saved.map_err(Error::Target)?;
                self.machine.handle_saved();
            }
            Event::StopWanted => {
                self.count();
                self.machine.stop();
            }
            Event::Time => self.count(),
        }
        Ok(())
    }

    fn count(&mut self) {
        for (request, written) in self.flights.newly_written() {
            self.machine.handle_written(request, written);
        }
    }

    async fn landed(&mut self, landed: Landed) -> Result<(), Error> {
        let Landed { request, written, step } = landed;
        self.machine.handle_written(request, written);
        let (now, random) = (self.clock.now(), self.client.system.random()?);
        match step {
            Step::Answered(Ok(download)) => return self.answered(request, download).await,
            Step::Answered(Err(Error::Refused(refusal))) => {
                let answer = Err(ResponseError::Refused(refusal));
                self.machine.handle_answer(request, answer, now, random);
            }
            Step::Answered(Err(Error::Garbled(garbled))) => {
                let answer = Err(ResponseError::Garbled(garbled));
                self.machine.handle_answer(request, answer, now, random);
            }
            Step::Received(Ok(()), beginning) => {
                self.machine.handle_beginning(request, &beginning);
                self.machine.handle_end(request, now, random);
            }
            Step::Retrieved(Ok(file)) => self.machine.handle_retrieved(request, Ok(*file), now, random),
            Step::Retrieved(Err(Error::Refused(refusal))) => {
                let answer = Err(ResponseError::Refused(refusal));
                self.machine.handle_retrieved(request, answer, now, random);
            }
            Step::Retrieved(Err(Error::Garbled(garbled))) => {
                let answer = Err(ResponseError::Garbled(garbled));
                self.machine.handle_retrieved(request, answer, now, random);
            }
            Step::Answered(Err(Error::Failed(failure)))
            | Step::Received(Err(Error::Failed(failure)), _)
            | Step::Retrieved(Err(Error::Failed(failure))) => {
                self.machine.handle_failure(request, failure, now, random);
            }
            Step::Received(Err(error @ Error::WrongLength { .. }), _) => {
                let failure = Failure::with_cause(FailureKind::Interrupted, error);
                self.machine.handle_failure(request, failure, now, random);
            }
            Step::Retrieved(Err(error)) => {
                let failure = Failure::with_cause(FailureKind::Other, error);
                self.machine.handle_failure(request, failure, now, random);
            }
            Step::Answered(Err(error)) | Step::Received(Err(error), _) => return Err(error),
        }
        Ok(())
    }

    async fn answered(&mut self, request: RequestId, download: Download) -> Result<(), Error> {
        let (now, random) = (self.clock.now(), self.client.system.random()?);
        let head = download.head().clone();
        let Some(offset) = self.machine.handle_answer(request, Ok(head), now, random) else { return Ok(()) };
        let length = self.machine.length();
        if let Some(length) = length.filter(|_| length != self.length) {
            self.writer.set_length(length).await.map_err(Error::Target)?;
            self.length = Some(length);
        }
        self.flights.receive(request, download, self.writer.clone(), offset, self.has_abandoned);
        Ok(())
    }

    /// The machine's deadline, or the next count of what was written.
    fn next_look(&self, until: Option<Duration>) -> Option<Instant> {
        let deadline = until.and_then(|until| self.clock.instant(until));
        let counting = (!self.flights.is_empty()).then(|| Instant::now() + COUNTING);
        deadline.into_iter().chain(counting).min()
    }

    /// Everything was written.
    async fn finish(self) -> Result<u64, Error> {
        let length = self.machine.length().unwrap_or_default();
        let target = self.writer.target().clone();
        let finish = move || {
            target.set_length(length)?;
            target.sync()
        };
        Blocking::start(finish).await.map_err(Error::Target)?;
        Ok(length)
    }
}

/// Waits for the checkpoint that is being saved, once one is.
async fn saved(saving: &mut Option<Blocking<()>>) -> std::io::Result<()> {
    let Some(running) = saving else { return pending().await };
    let saved = running.await;
    *saving = None;
    saved
}

async fn wanted(stop: &mut Option<BoxFuture<'static, ()>>) {
    let Some(running) = stop else { return pending().await };
    running.await;
    *stop = None;
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => pending().await,
    }
}
