//! One file's way from the service, as a state machine without I/O: which ranges to ask for, what an answer means for
//! them, what is missing, and what must survive a crash.

mod answers;
mod checkpoint;
mod content;
mod content_check;
mod coverage;
mod error;
mod line;
mod look;
#[cfg(test)]
mod look_tests;
mod next;
mod outage;
mod plan;
#[cfg(test)]
mod save_tests;
mod shown;
mod task;
#[cfg(test)]
mod tests;

use std::{ops::Range, time::Duration};

pub use self::{
    checkpoint::{DownloadCheckpoint, DownloadResumeError},
    content_check::{ContentCheck, DownloadWarning, Instead, WrongContent},
    error::DownloadError,
    plan::DownloadPlan,
    task::{DownloadAction, DownloadTask},
};
use self::{
    content::RemoteContent,
    coverage::Coverage,
    line::{DownlinkEstimate, Leg},
    look::Look,
};
use crate::{
    Api,
    machine::{Action, Attempt, Machine, Now, RequestId, SaveError, TransferState, activity::Activity},
    operations::{ByteRange, DownloadFile, OperationId},
    random::Random,
    retry::service_state::{Excuse, Member},
    transport::Failure,
    upload::Retry,
};

/// A checkpoint is due this long after the one before, when anything more is there: what a crash costs is time.
const SAVE_AFTER: Duration = Duration::from_secs(2);

/// The progress of a download.
///
/// ```
/// use partwise_protocol::download::DownloadProgress;
///
/// fn percent(now: &DownloadProgress) -> Option<u64> {
///     now.bytes_total.filter(|total| *total > 0).map(|total| now.bytes_written * 100 / total)
/// }
///
/// assert_eq!(percent(&DownloadProgress::default()), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadProgress {
    /// The moment that this speaks of, on the monotonic clock of the machine's driver.
    pub now: Duration,
    /// What the machine is doing.
    pub state: TransferState,
    /// The content's length, once it is known.
    pub bytes_total: Option<u64>,
    /// Bytes that were written, those of earlier runs included. It goes back when a service that serves no ranges breaks
    /// off, and everything comes again.
    pub bytes_written: u64,
    /// Bytes of them that a later run need not receive again: none of an answer that has to come whole.
    pub bytes_resumable: u64,
    /// Bytes per second that were written over the last ten seconds, without those of earlier runs; `None` while nothing
    /// comes, and for the first seconds.
    pub rate: Option<u64>,
    /// How long the rest takes at that rate; `None` while there is none.
    pub time_left: Option<Duration>,
    /// Requests that are under way.
    pub requests: usize,
    /// Requests that were retried in this run.
    pub retries: u64,
    /// The request that failed last, of those that are sent again.
    pub latest_retry: Option<Retry>,
    /// A warning for the person who waits.
    pub warning: Option<DownloadWarning>,
}

/// One download as a machine. Its driver sends, writes and keeps time, and tells it what came of it.
///
/// The first request asks for a range, and its answer tells whether the service serves ranges and how long the content is.
/// If so, up to [`DownloadPlan::parallel`] ranges are asked for at once, and one that is interrupted is resumed where it
/// ended. If not, everything comes in one answer, and comes again from the beginning when that is interrupted.
///
/// ```text
///   first range ──▶ 206 with a length ──▶ ranges, several at once ──▶ all written ──▶ compare length ──▶ done
///        │                                  │      ▲                                       │
///        │                                  └──────┘ interrupted: the rest of the range    ▼
///        │                                                                           WrongContent
///        ▼ anything else
///     everything in one answer ──▶ all written ──▶ compare length ──▶ done
///        ▲      │
///        └──────┘ interrupted: from the beginning
///
///   a checkpoint is saved every two seconds, once what it speaks of was made durable
///   another length, ETag or Last-Modified in a later answer ──▶ Changed
/// ```
///
/// The file's object is asked for behind the first request, and the length of what came is compared with the one in the
/// object. Another length ends the download with [`DownloadError::WrongContent`]. An object that cannot be had ends it only
/// when it is [required](ContentCheck::requires_object).
#[derive(Debug)]
pub struct DownloadMachine {
    place: String,
    plan: DownloadPlan,
    random: Random,
    delivery: Delivery,
    content: Option<RemoteContent>,
    written: Coverage,
    /// What is known of the service together with others.
    service: Member,
    /// What a request was excused for, since anything came.
    excuse: Excuse,
    /// The moment of the first poll.
    began: Option<Duration>,
    pending: Vec<PendingRange>,
    line: DownlinkEstimate,
    next_id: u64,
    abandoned: Vec<RequestId>,
    /// Until when each request that failed keeps its slot empty.
    pauses: Vec<Duration>,
    /// In a row, without a byte that had not been there before.
    failures: u32,
    /// Failures of requests before this one are part of one that was counted.
    counted_before: RequestId,
    /// When the request whose failure was counted last is sent again.
    again: Duration,
    /// Set when the service has answered in a way that makes sense: with content, or with an error of the API.
    is_understood: bool,
    furthest: u64,
    retries: u64,
    latest_retry: Option<Retry>,
    /// The failure of that request, until something comes.
    latest_failure: Option<Box<DownloadError>>,
    saver: CheckpointSaver,
    look: Look,
    /// What moves, for people.
    activity: Activity,
    stopping: bool,
    end: End,
}

/// The way in which the bytes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// One request has asked, or will ask, for a range; nobody knows yet what will come.
    Unknown,
    /// In ranges, several at once.
    Ranges,
    /// All of them in one answer.
    Whole,
}

/// One request.
#[derive(Debug)]
struct PendingRange {
    id: RequestId,
    /// The first byte that it was sent for.
    first: u64,
    /// The bytes that it was sent for and that are not written yet.
    rest: Range<u64>,
    leg: Leg,
}

#[derive(Debug, Default)]
struct CheckpointSaver {
    is_saving: bool,
    /// The content that the last checkpoint is of.
    content: Option<RemoteContent>,
    /// The number of bytes that it knows of.
    known: u64,
    last: Duration,
}

#[derive(Debug)]
enum End {
    NotYet,
    Reached(Result<(), DownloadError>),
    Told,
}

impl Machine for DownloadMachine {
    type Task = DownloadTask;
    type Checkpoint = DownloadCheckpoint;
    type Output = ();
    type Error = DownloadError;
    type Progress = DownloadProgress;

    fn poll(&mut self, now: Now) -> DownloadAction {
        let now = now.monotonic;
        self.began.get_or_insert(now);
        self.watch_activity(now);
        self.limit_look(now);
        if let Some(id) = self.abandoned.pop() {
            return Action::Abandon(id);
        }
        if self.stopping {
            let cause = self.latest_failure.take();
            self.finish(Err(DownloadError::Stopped { cause }));
        } else if let Some(wrong) = self.wrong_content() {
            self.finish(Err(DownloadError::WrongContent(wrong)));
        } else if self.is_complete() && !self.wants_look() {
            self.finish(Ok(()));
        } else {
            self.watch_outage(now);
        }
        if let Some(id) = self.abandoned.pop() {
            return Action::Abandon(id);
        }
        if let Some(checkpoint) = self.due_checkpoint(now) {
            return Action::Save(checkpoint);
        }
        match std::mem::replace(&mut self.end, End::Told) {
            End::NotYet => self.end = End::NotYet,
            End::Reached(result) if !self.saver.is_saving => return Action::Done(result),
            End::Reached(result) => self.end = End::Reached(result),
            End::Told => {}
        }
        if !matches!(self.end, End::NotYet) {
            return Action::Wait { until: None };
        }
        self.pauses.retain(|until| *until > now);
        if let Some(action) = self.next_look(now) {
            return action;
        }
        match self.next_range(now).filter(|_| !self.is_complete()) {
            Some(range) => self.send(range, now),
            None => Action::Wait { until: self.deadline(now) },
        }
    }

    /// Ends the download for now: what is under way is abandoned, and what was written is saved.
    fn stop(&mut self) {
        self.stopping = true;
    }

    fn progress(&self) -> DownloadProgress {
        self.shown()
    }

    /// So many bytes of an answer were written, next to those before.
    fn handle_moved(&mut self, id: RequestId, bytes: u64) {
        self.written(id, bytes);
    }

    fn handle_failure(&mut self, id: RequestId, failure: Failure, now: Now) {
        if self.look.is_asked(id) {
            self.look_failed(id, failure, now);
        } else if let Some(pending) = self.take(id) {
            self.failed(&pending, failure, now);
        }
    }

    fn handle_saved(&mut self, saved: Result<(), SaveError>) {
        if std::mem::take(&mut self.saver.is_saving) {
            if let Err(error) = saved {
                // What was written may be lost, whatever else had ended it: the system tells of that only once.
                match &mut self.end {
                    End::Reached(end) => *end = Err(DownloadError::Save(error)),
                    End::NotYet => self.finish(Err(DownloadError::Save(error))),
                    End::Told => {}
                }
            }
        }
    }

    fn is_resumable_after(&self, error: &DownloadError) -> bool {
        error.is_resumable()
    }
}

impl DownloadMachine {
    /// Begins a download from this service. `entropy` must come from a good source and be new each time: waits are drawn
    /// from it.
    #[must_use]
    pub fn new(api: &Api, plan: DownloadPlan, entropy: [u8; 32]) -> Self {
        Self {
            place: api.identity().to_owned(),
            delivery: if plan.ranges { Delivery::Unknown } else { Delivery::Whole },
            plan,
            random: Random::new(entropy),
            content: None,
            written: Coverage::default(),
            service: Member::default(),
            excuse: Excuse::default(),
            began: None,
            pending: Vec::new(),
            line: DownlinkEstimate::default(),
            next_id: 0,
            abandoned: Vec::new(),
            pauses: Vec::new(),
            failures: 0,
            counted_before: RequestId(0),
            again: Duration::ZERO,
            is_understood: false,
            furthest: 0,
            retries: 0,
            latest_retry: None,
            latest_failure: None,
            saver: CheckpointSaver::default(),
            look: Look::default(),
            activity: Activity::default(),
            stopping: false,
            end: End::NotYet,
        }
    }

    /// Goes on from a checkpoint; `target` is how many bytes the target has, those that are missing included.
    ///
    /// # Errors
    /// [`DownloadResumeError`] when the checkpoint is of another service, file or target, and says which.
    pub fn resume(
        api: &Api,
        plan: DownloadPlan,
        saved: DownloadCheckpoint,
        target: u64,
        entropy: [u8; 32],
    ) -> Result<Self, DownloadResumeError> {
        saved.check(api, &plan.file_id, target)?;
        let mut machine = Self::new(api, plan, entropy);
        machine.furthest = saved.written.len();
        machine.saver.known = machine.furthest;
        machine.saver.content = Some(saved.content.clone());
        // Where nothing is there, any content will do.
        if machine.delivery != Delivery::Whole && machine.furthest > 0 {
            machine.content = Some(saved.content);
            machine.written = saved.written;
        }
        Ok(machine)
    }

    /// The length of the whole content in bytes, once it is known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.content.as_ref().map(|content| content.length)
    }

    /// Counts a request that is sent again because of `error`, and lets the progress show it.
    fn tell_retry(&mut self, failed: Attempt, error: DownloadError, wait: Duration) {
        self.retries += 1;
        let retry = match &error {
            DownloadError::Rejected(refusal) => Retry::after_rejection(failed, refusal, wait),
            DownloadError::Failed(failure) => Retry::after_failure(failed, failure, wait),
            _ => return,
        };
        self.latest_retry = Some(Retry { number: self.retries, ..retry });
        self.latest_failure = Some(Box::new(error));
    }

    fn is_complete(&self) -> bool {
        let everything = |content: &RemoteContent| self.written.len() == content.length;
        // An answer of no bytes has to end as well: it may be longer than it said.
        self.pending.is_empty() && self.content.as_ref().is_some_and(everything)
    }

    /// The first result is the one that counts.
    fn finish(&mut self, result: Result<(), DownloadError>) {
        if matches!(self.end, End::NotYet) {
            self.end = End::Reached(result);
            self.service.gave_up_all();
            self.abandon_all();
            self.abandoned.extend(self.look.abandon());
        }
    }

    fn abandon_all(&mut self) {
        self.abandoned.extend(self.pending.drain(..).map(|pending| pending.id));
    }

    /// The next task. Its attempt is counted with all requests of this run.
    fn start(&mut self, operation: OperationId) -> (RequestId, Attempt) {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        (id, attempt(id, operation))
    }

    fn send(&mut self, rest: Range<u64>, now: Duration) -> DownloadAction {
        let (id, attempt) = self.start(OperationId::DownloadFile);
        let mut operation = DownloadFile::new(&self.plan.file_id);
        if self.delivery != Delivery::Whole {
            operation.range = Some(ByteRange::From { first: rest.start, last: Some(rest.end - 1) });
            operation.if_range =
                self.content.as_ref().and_then(|known| known.strong_etag().map(str::to_owned));
        }
        self.service.leaves(id, now);
        self.line.begin();
        self.pending.push(PendingRange { id, first: rest.start, rest, leg: self.leg(now) });
        Action::Start { id, task: DownloadTask::Send { attempt, operation } }
    }

    /// When there may be something to do without a report.
    fn deadline(&self, now: Duration) -> Option<Duration> {
        let save = self.unsaved().map(|_| self.saver.last + SAVE_AFTER);
        self.pauses
            .iter()
            .copied()
            .chain(save)
            .chain(self.look_deadline(now))
            .chain(self.gate(now))
            .chain(self.gives_up_at(now))
            .min()
    }

    fn due_checkpoint(&mut self, now: Duration) -> Option<DownloadCheckpoint> {
        let is_over = match &self.end {
            End::NotYet => false,
            // Nobody goes on with what is complete, or with what is another file by now.
            End::Reached(result) => {
                let is_worth_saving =
                    |error: &&DownloadError| error.is_resumable() && !matches!(error, DownloadError::Save(_));
                result.as_ref().err().filter(is_worth_saving)?;
                true
            }
            End::Told => return None,
        };
        let content = self.unsaved()?.clone();
        let is_time = now >= self.saver.last + SAVE_AFTER;
        if !(is_over || is_time || self.delivery == Delivery::Whole) {
            return None;
        }
        let written = self.lasting().clone();
        self.saver = CheckpointSaver {
            is_saving: true,
            content: Some(content.clone()),
            known: written.len(),
            last: now,
        };
        Some(DownloadCheckpoint::new(&self.place, &self.plan.file_id, content, written))
    }

    /// The content of which a checkpoint can be saved now that says more than the last one, or less.
    fn unsaved(&self) -> Option<&RemoteContent> {
        let is_new = self.lasting().len() != self.saver.known;
        // Of an answer that does not say how long it is nothing is known, but then nothing of it is saved either.
        let content = self.content.as_ref().or(self.saver.content.as_ref());
        content.filter(|_| is_new && !self.saver.is_saving)
    }

    /// Returns `true` if a checkpoint speaks of bytes, or may by now.
    fn is_checkpoint_in_force(&self) -> bool {
        self.saver.known > 0 || self.saver.is_saving
    }

    /// The bytes from which a download can be resumed: one answer with everything restarts from the beginning.
    fn lasting(&self) -> &Coverage {
        const NOTHING: &Coverage = &Coverage::NOTHING;
        if self.delivery == Delivery::Whole { NOTHING } else { &self.written }
    }
}

/// The attempt that is this request: all of a run are counted, from 1.
fn attempt(id: RequestId, operation: OperationId) -> Attempt {
    Attempt::new(operation, id.0 + 1)
}
