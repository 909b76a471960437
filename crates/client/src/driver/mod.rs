//! The driver: does what a machine says, and tells it what came of it.

mod attempts;

use std::{future::pending, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use partwise_protocol::machine::{Action, Machine, Now, RequestId, SaveError};
use tokio::time::Instant;

pub(crate) use self::attempts::{Attempts, Moved};
use partwise_net::BoxError;

use crate::{
    Error, ErrorKind,
    checkpoints::AnyCheckpoints,
    deadline::{Deadline, passed},
    system::Clock,
};

/// How often moved bytes are counted while something is under way.
const COUNTING: Duration = Duration::from_millis(250);

/// An upload or a download, as the driver needs it.
pub(crate) trait Job: Send {
    type Machine: Machine + Send;
    /// What a task came to.
    type Outcome: Send + 'static;
    /// What a success gives the caller.
    type Output: Send;

    fn machine(&mut self) -> &mut Self::Machine;

    /// Starts what the machine asks for.
    fn start(
        &mut self,
        id: RequestId,
        task: <Self::Machine as Machine>::Task,
        attempts: &mut Attempts<Self::Outcome>,
    );

    /// Tells the machine what a task came to.
    ///
    /// # Errors
    /// When nothing can follow, whatever the machine would say.
    fn ended(
        &mut self,
        id: RequestId,
        outcome: Self::Outcome,
        now: Now,
        attempts: &mut Attempts<Self::Outcome>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// A task was abandoned.
    fn abandoned(&mut self) {}

    /// Makes durable what a checkpoint speaks of.
    fn sync(&self) -> BoxFuture<'static, Result<(), BoxError>>;

    /// The caller gives up.
    fn cancel(&mut self) {}

    /// Shows the progress.
    fn publish(&mut self);

    /// Everything has ended: makes the result that the caller gets.
    fn conclude(
        &mut self,
        result: EndOf<Self::Machine>,
    ) -> impl Future<Output = Result<Self::Output, Error>> + Send;
}

/// The end of a machine, or an error that ended it from outside.
pub(crate) type EndOf<M> = Result<Result<<M as Machine>::Output, <M as Machine>::Error>, Error>;

/// Any store for the checkpoints of a job.
pub(crate) type StoreOf<J> = Arc<dyn AnyCheckpoints<<<J as Job>::Machine as Machine>::Checkpoint>>;

/// What the caller may want while it runs; each is heard once.
#[derive(Default)]
pub(crate) struct Signals {
    pub(crate) stop: Option<BoxFuture<'static, ()>>,
    pub(crate) cancel: Option<BoxFuture<'static, ()>>,
    /// The end of the caller's time, at which it stops.
    pub(crate) deadline: Option<Deadline>,
}

/// What the caller wanted before some work was done.
pub(crate) enum Heard<T> {
    /// The work was done first.
    Nothing(T),
    Stop,
    Cancel,
    /// The caller's time is over.
    OutOfTime(Deadline),
}

impl Signals {
    /// Does some work, and drops it when the caller wants an end meanwhile.
    pub(crate) async fn heard_during<T>(&mut self, work: impl Future<Output = T>) -> Heard<T> {
        // Boxed, so that the futures of callers stay small.
        let work = Box::pin(work);
        tokio::select! {
            biased;
            () = ended(&mut self.cancel) => Heard::Cancel,
            () = ended(&mut self.stop) => Heard::Stop,
            done = work => Heard::Nothing(done),
            deadline = passed(self.deadline) => Heard::OutOfTime(deadline),
        }
    }
}

pub(crate) struct Driver<J: Job> {
    job: J,
    clock: Clock,
    attempts: Attempts<J::Outcome>,
    store: Option<StoreOf<J>>,
    saving: Option<BoxFuture<'static, Result<(), BoxError>>>,
    /// The deadline passed before the end.
    is_out_of_time: bool,
    /// A checkpoint is there: this run saved one, or resumed from one.
    has_checkpoint: bool,
}

/// What the driver waited for.
enum Event<T> {
    Ended(attempts::Ended<T>),
    Saved(Result<(), SaveError>),
    StopWanted,
    CancelWanted,
    OutOfTime,
    Time,
}

/// What the machine waits for, or what it came to.
enum Turn<R> {
    Wait { until: Option<Duration> },
    Done(R),
}

impl<J: Job> Driver<J> {
    pub(crate) fn new(job: J, clock: Clock, store: Option<StoreOf<J>>) -> Self {
        Self {
            job,
            clock,
            attempts: Attempts::default(),
            store,
            saving: None,
            is_out_of_time: false,
            has_checkpoint: false,
        }
    }

    /// The run resumes from a checkpoint.
    pub(crate) fn resumed(self, has_checkpoint: bool) -> Self {
        Self { has_checkpoint, ..self }
    }

    /// Drives the machine to its end. Everything that it started ends with this future.
    pub(crate) async fn run(mut self, signals: Signals) -> Result<J::Output, Error> {
        let deadline = signals.deadline;
        let end = self.drive(signals).await;
        self.job.publish();
        // Nothing may be sent or written once this has ended, however it ends.
        self.attempts.shutdown().await;
        let was_resumable = match &end {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(self.job.machine().is_resumable_after(error)),
            Err(_) => Some(true),
        };
        let result = self.job.conclude(end).await;
        // What came whole and cannot be made durable can be resumed.
        let is_resumable = was_resumable.unwrap_or(result.is_err());
        if let Some(saving) = self.saving.take() {
            // Whoever hears of the end finds the checkpoint as it stays; what ended the rest is the error.
            self.has_checkpoint |= saving.await.is_ok();
        }
        if !is_resumable {
            self.forget().await;
        }
        let has_checkpoint = is_resumable && self.has_checkpoint;
        let result = result.map_err(|error| error.with_checkpoint(has_checkpoint));
        match (result, deadline) {
            (Err(stopped), Some(deadline)) if self.is_out_of_time && stopped.kind() == ErrorKind::Stopped => {
                Err(deadline.passed(Some(stopped)))
            }
            (result, _) => result,
        }
    }

    async fn drive(&mut self, mut signals: Signals) -> EndOf<J::Machine> {
        let mut end_of_time = signals.deadline.and_then(|deadline| deadline.at);
        loop {
            let until = match self.act() {
                Turn::Wait { until } => until,
                Turn::Done(result) => return Ok(result),
            };
            self.job.publish();
            let deadline = self.next_look(until);
            // What comes seldom goes first; so nothing has to wait for ever, and the same run takes the same turns.
            let event = tokio::select! {
                biased;
                () = ended(&mut signals.cancel) => Event::CancelWanted,
                () = ended(&mut signals.stop) => Event::StopWanted,
                () = sleep_until(end_of_time) => Event::OutOfTime,
                saved = ended(&mut self.saving) => Event::Saved(saved.map_err(SaveError::new)),
                ended = self.attempts.next() => Event::Ended(ended),
                () = sleep_until(deadline) => Event::Time,
            };
            if matches!(event, Event::OutOfTime) {
                end_of_time = None;
            }
            self.tell(event).await?;
        }
    }

    /// Polls the machine until it waits.
    #[allow(clippy::type_complexity, reason = "it is the machine's own result")]
    fn act(&mut self) -> Turn<Result<<J::Machine as Machine>::Output, <J::Machine as Machine>::Error>> {
        loop {
            match self.job.machine().poll(self.clock.now()) {
                Action::Start { id, task } => self.job.start(id, task, &mut self.attempts),
                Action::Abandon(id) => {
                    let moved = self.attempts.abandon(id);
                    self.moved(id, moved);
                    self.job.abandoned();
                }
                Action::Save(checkpoint) => self.save(checkpoint),
                Action::Wait { until } => return Turn::Wait { until },
                Action::Done(result) => return Turn::Done(result),
            }
        }
    }

    fn save(&mut self, checkpoint: <J::Machine as Machine>::Checkpoint) {
        let Some(store) = self.store.clone() else { return self.job.machine().handle_saved(Ok(())) };
        let sync = self.job.sync();
        self.saving = Some(Box::pin(async move {
            sync.await?;
            store.keep(checkpoint).await
        }));
    }

    async fn tell(&mut self, event: Event<J::Outcome>) -> Result<(), Error> {
        for (id, moved) in self.attempts.newly_moved() {
            self.job.machine().handle_moved(id, moved);
        }
        match event {
            Event::Ended(ended) => {
                self.moved(ended.id, ended.moved);
                let now = self.clock.now();
                match ended.outcome {
                    Ok(outcome) => self.job.ended(ended.id, outcome, now, &mut self.attempts).await?,
                    Err(failure) => self.job.machine().handle_failure(ended.id, failure, now),
                }
            }
            Event::Saved(saved) => {
                self.has_checkpoint |= saved.is_ok();
                self.job.machine().handle_saved(saved);
            }
            Event::CancelWanted => self.job.cancel(),
            Event::StopWanted => self.job.machine().stop(),
            Event::OutOfTime => {
                self.is_out_of_time = true;
                self.job.machine().stop();
            }
            Event::Time => {}
        }
        Ok(())
    }

    fn moved(&mut self, id: RequestId, bytes: u64) {
        if bytes > 0 {
            self.job.machine().handle_moved(id, bytes);
        }
    }

    /// The machine's deadline, or the next count of moved bytes.
    fn next_look(&self, until: Option<Duration>) -> Option<Instant> {
        let deadline = until.and_then(|until| self.clock.instant(until));
        let counting = (!self.attempts.is_empty()).then(|| Instant::now() + COUNTING);
        deadline.into_iter().chain(counting).min()
    }

    async fn forget(&mut self) {
        let Some(store) = self.store.take() else { return };
        if let Err(error) = store.forget().await {
            let error: &dyn std::error::Error = &*error;
            tracing::warn!(error, "a checkpoint that is of no use any more cannot be removed");
        }
    }
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
