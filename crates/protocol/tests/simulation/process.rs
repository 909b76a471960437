//! One process of a story: a driver with virtual time, from its start to its end or its crash.

use std::time::Duration;

use http::Request;
use partwise_models::File;
use partwise_protocol::{
    Api, Dialect,
    error::ApiErrorKind,
    machine::{Action, Machine as _, Now, RequestId, SaveError},
    operations::OperationId,
    retry::ServiceState,
    transport::{Body, Segment, SendBuffer, SourceError},
    upload::{Checkpoint, Phase, UploadAction, UploadError, UploadMachine, UploadTask, Warning},
};

use crate::books::{Asked, Books};
use crate::rules::{Rule, hold};
use crate::world::{Event, World};

/// Nothing takes longer than this; whatever does never ends.
const LONGEST: Duration = Duration::from_secs(12 * 3600);
const MOST_STEPS: usize = 50_000;
/// Whoever crashes for ever never gets anywhere, and that is nobody's fault but theirs.
const MOST_CRASHES: u32 = 300;
/// What cancelling may take: the budget for the service, and the last look at a file that is already there.
const LONGEST_CANCEL: Duration = Duration::from_secs(13);
/// How far the machine's picture of the service's clock may be ahead: clocks are read in whole seconds.
const CLOCK_AHEAD: u64 = 1000;
/// What stopping may take: the moment for what flies, a save that is under way, one more, and a last look at the source.
const LONGEST_STOP: Duration = Duration::from_secs(5 + 3 * 2);

/// The process that runs now.
pub(crate) struct Process {
    pub(crate) transfer: UploadMachine,
    service: ServiceState,
    pub(crate) books: Books,
    /// The monotonic clock of a process starts anywhere.
    clock_origin: Duration,
    began: Duration,
    pub(crate) saving: bool,
    /// The names of the tasks that were no requests.
    chores: Vec<RequestId>,
    pub(crate) cancelled_at: Option<Duration>,
    stopped_at: Option<Duration>,
    /// When an error that leaves something to resume has begun to end it.
    failed_at: Option<Duration>,
    /// An answer has shown the service's clock to this process.
    pub(crate) knows_clock: bool,
    /// When a part or `complete` was last rejected.
    pub(crate) rejected_at: Option<Duration>,
}

type Outcome = Result<File, UploadError>;

/// A machine that is told what its connections may hold, as the client's driver tells it.
fn with_send_buffer(mut machine: UploadMachine) -> UploadMachine {
    machine.handle_send_buffer(SendBuffer::new(512 << 10, 4 << 20));
    machine
}

impl World {
    pub(crate) fn clock(&self, process: &Process) -> Now {
        self.now(process.clock_origin)
    }

    /// The command is run: from the last durable checkpoint if there is one.
    pub(crate) fn start(&mut self) -> Option<Process> {
        // One that comes from nowhere takes no upload for its own.
        let has_upload = self.disk.as_deref().is_some_and(|saved| saved.contains("\"upload_id\""));
        if has_upload && self.dice.chance(self.faults.stranger) {
            self.tell("the next run has another project's key");
            self.strangers.insert(self.process_number);
        }
        let transfer = match self.disk.clone() {
            Some(saved) => self.resume(&saved)?,
            None => self.begin()?,
        };
        let service = ServiceState::new();
        Some(Process {
            transfer: transfer.with_service(&service),
            service,
            books: Books::new(
                &self.plan,
                self.original.len() as u64,
                self.api.limits().part,
                self.disk.as_deref(),
            ),
            clock_origin: self.dice.millis(1_000_000),
            began: self.time,
            saving: false,
            chores: Vec::new(),
            cancelled_at: None,
            stopped_at: None,
            failed_at: None,
            knows_clock: false,
            rejected_at: None,
        })
    }

    fn begin(&mut self) -> Option<UploadMachine> {
        let files = self.our_files();
        hold(Rule::Announced, files == 0, || "a file was made that no checkpoint knows of".into());
        let stamp = self.source.stamp();
        if stamp.length == 0 {
            return None;
        }
        self.original.clone_from(&self.source.content);
        self.begun_with = self.source.changes;
        self.touched_then = self.source.touches;
        let (api, plan, entropy) = (self.api.clone(), self.plan.clone(), self.dice.entropy());
        let machine = UploadMachine::new(api, plan, stamp, entropy).expect("the plan works");
        Some(with_send_buffer(machine))
    }

    fn resume(&mut self, saved: &str) -> Option<UploadMachine> {
        let entropy = self.dice.entropy();
        let resume = |api: Api| {
            let checkpoint: Checkpoint = serde_json::from_str(saved).expect("what was written is read");
            UploadMachine::resume(api, self.plan.clone(), checkpoint, self.source.stamp(), entropy)
        };
        let elsewhere = Api::with_base("http://elsewhere/v1", self.api.dialect().clone());
        let other = Dialect::AzureDated { api_version: "2025-04-01-preview".into() };
        let otherwise = Api::with_base(self.api.base(), other);
        for another in [elsewhere.unwrap(), otherwise.unwrap()] {
            let is_refused = resume(another.clone()).is_err();
            hold(Rule::ResumeChecks, is_refused, || format!("resumed at {another:?}"));
        }
        let resumed = resume(self.api.clone());
        let is_same = self.source.changes == self.begun_with;
        hold(Rule::ResumeChecks, resumed.is_ok() == is_same, || {
            format!("same source: {is_same}, {resumed:?}")
        });
        resumed.ok().map(with_send_buffer)
    }

    /// Drives one process to its end; `None` when it crashed.
    pub(crate) fn live(&mut self, process: &mut Process) -> Option<Outcome> {
        for _ in 0..MOST_STEPS {
            self.misfortune(process);
            if self.process_number < MOST_CRASHES && self.dice.chance(self.faults.crash) {
                return self.crash(process);
            }
            let until = match process.transfer.poll(self.clock(process)) {
                Action::Done(result) => return Some(self.end(process, result)),
                Action::Wait { until } => until.map(|until| until.saturating_sub(process.clock_origin)),
                action => {
                    self.act(process, action);
                    continue;
                }
            };
            self.check_warning(process);
            self.pass_time(process, until);
            if self.crash_after_arrival && self.our_files() > 0 {
                self.crash_after_arrival = false;
                return self.crash(process);
            }
            hold(Rule::Ends, self.time < LONGEST, || "the story never ends".into());
        }
        hold(Rule::Ends, false, || "the machine is busy for ever".into());
        None
    }

    fn act(&mut self, process: &mut Process, action: UploadAction) {
        let number = self.process_number;
        match action {
            Action::Start { id, task: UploadTask::Send { request, answer_limit, .. } } => {
                assert!(answer_limit > 0);
                self.send(process, id, request);
            }
            Action::Abandon(id) => {
                let flew = process.books.abandon(id) || process.chores.contains(&id);
                hold(Rule::StaleIgnored, flew, || format!("{id:?}, which does not fly, is abandoned"));
            }
            Action::Start { id, task: UploadTask::Hash(range) } => {
                process.chores.push(id);
                assert_eq!((range.start(), range.end()), (0, self.original.len() as u64));
                let fails = self.dice.chance(self.faults.source_fails);
                let content = self.dice.chance(500).then(|| self.source.content.clone());
                let delay = self.dice.millis(20_000);
                self.schedule(delay, Event::Hashed { process: number, id, content, fails });
            }
            Action::Start { id, task: UploadTask::Stamp } => {
                process.chores.push(id);
                let delay = self.delay();
                self.schedule(delay, Event::Stamped { process: number, id });
            }
            Action::Start { id, task: UploadTask::Prepare(range) } => {
                process.chores.push(id);
                let fails = self.dice.chance(self.faults.source_fails);
                let delay = self.dice.millis(20_000);
                self.schedule(delay, Event::Prepared { process: number, id, range, fails });
            }
            Action::Start { id, task: UploadTask::Compare { file_id, sent, .. } } => {
                let now = self.clock(process).monotonic;
                process.books.compares(id, now);
                let delay = self.dice.millis(20_000);
                let fails = self.dice.chance(self.faults.compare);
                self.schedule(delay, Event::Compared { process: number, id, file_id, sent, fails });
            }
            Action::Save(checkpoint) => {
                let was_saving = std::mem::replace(&mut process.saving, true);
                hold(Rule::OneSave, !was_saving, || "two checkpoints are saved at once".into());
                let checkpoint = serde_json::to_string(&checkpoint).expect("a checkpoint can be written");
                let durable = !self.dice.chance(self.faults.save);
                let delay = self.delay();
                self.schedule(delay, Event::Saved { process: number, checkpoint, durable });
            }
            Action::Wait { .. } | Action::Done(_) => unreachable!("the caller has taken these"),
        }
    }

    fn send(&mut self, process: &mut Process, id: RequestId, request: Request<Body>) {
        self.tell(format_args!("{id:?} leaves: {} {}", request.method(), request.uri()));
        let (upload, restarts) = (process.books.upload.clone(), process.books.restarts);
        let was_untried = process.books.is_untried;
        let (now, sent) = (self.clock(process).monotonic, self.reported(request.body().content_length()));
        hold(Rule::StopSilent, !process.books.is_ending(), || {
            format!("{} leaves after the stop", request.uri())
        });
        let asked = process.books.leaves(id, &request, sent, self.disk.as_deref(), now);
        self.check_form(&request, asked);
        if asked == Asked::Cancel && process.books.cancels == 1 {
            let is_at_once = process.cancelled_at == Some(self.time);
            hold(Rule::CancelTells, is_at_once, || format!("cancelled at {:?}", process.cancelled_at));
        }
        if asked == Asked::Create && process.books.restarts > restarts {
            let is_allowed = self.plan.restart_when_expired && was_untried;
            hold(Rule::Restart, is_allowed, || "begun anew although it was this run's".into());
            let is_told = process.rejected_at.take().is_some();
            hold(Rule::ServiceDecides, is_told, || "nothing was rejected".into());
            self.check_over(process, upload.as_deref());
            // From now on the other project has an upload of its own.
            self.strangers.remove(&self.process_number);
        }
        process.transfer.handle_moved(id, sent);
        self.take_off(id, request);
    }

    fn check_form(&mut self, request: &Request<Body>, asked: Asked) {
        let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (announced, is) = (header("content-length"), request.body().content_length().to_string());
        let is_exact = announced.as_ref() == Some(&is) || (announced.is_none() && is == "0");
        hold(Rule::ExactLength, is_exact, || format!("{announced:?} is announced for {is}"));
        if !matches!(asked, Asked::Part(_) | Asked::Post) {
            return;
        }
        let is_form =
            matches!(request.body().segments(), [Segment::Bytes(_), Segment::Source(_), Segment::Bytes(_)]);
        hold(Rule::ExactLength, is_form, || format!("{:?} is no form around a range", request.body()));
        let boundary = header("content-type").unwrap();
        let is_new = self.boundaries.insert(boundary.clone());
        hold(Rule::NewBoundary, is_new, || format!("{boundary} comes twice"));
    }

    /// The machine takes the upload for one that is over on the service.
    fn check_over(&self, process: &Process, upload: Option<&str>) {
        // The service itself knows better than what it named, and says so.
        let is_told = upload.is_some_and(|id| !self.service.is_open(id));
        let is_nonsense = self.service.names_nonsense && !is_told;
        hold(Rule::Nonsense, !is_nonsense, || "nonsense was taken for an expiry".into());
        let (clock, expiry) = (self.service_clock(), upload.and_then(|id| self.service.expiry_of(id)));
        let is_over = expiry.is_some_and(|expiry| clock + CLOCK_AHEAD >= expiry);
        let holds = is_over || is_told || self.is_misled(process);
        hold(Rule::NotTooEarly, holds, || format!("expired at {clock}, before {expiry:?}"));
    }

    /// Whether our clock was set while nothing showed the service's to this process: then an earlier run's offset is wrong.
    fn is_misled(&self, process: &Process) -> bool {
        self.was_set && !process.knows_clock
    }

    fn check_warning(&self, process: &Process) {
        let progress = process.transfer.progress();
        if progress.phase != Phase::Sending || process.books.upload.is_none() {
            return;
        }
        if self.service.names_nonsense {
            // Of a run that has seen the create answer; a checkpoint does not say.
            let is_warned = progress.warning == Some(Warning::ExpiryIgnored) || self.process_number > 0;
            return hold(Rule::Nonsense, is_warned, || format!("{:?}", progress.warning));
        }
        let Some(needed) = process.books.needed(self.clock(process).monotonic) else { return };
        let expiry = process.books.upload.as_deref().and_then(|id| self.service.expiry_of(id)).unwrap();
        let left = Duration::from_millis(expiry.saturating_sub(self.service_clock()));
        if self.is_misled(process) {
            return;
        }
        let is_warned = progress.warning.is_some();
        if progress.warning == Some(Warning::PastExpiry) {
            let is_past = left <= Duration::from_millis(CLOCK_AHEAD);
            return hold(Rule::Warned, is_past, || format!("{left:?} left, and warned of the expiry"));
        }
        let is_right = match is_warned {
            true => needed * 2 + Duration::from_secs(10) > left,
            false => needed < left * 2 + Duration::from_secs(10),
        };
        hold(Rule::Warned, is_right, || format!("{needed:?} needed, {left:?} left, warned: {is_warned}"));
    }

    /// What comes from outside at any moment.
    fn misfortune(&mut self, process: &mut Process) {
        let has_begun = process.books.upload.is_some() || self.disk.is_some();
        if has_begun && self.dice.chance(self.faults.twin) {
            self.add_twin();
        }
        if self.dice.chance(self.faults.source_changes) {
            self.source.changes += 1;
            let length = self.source.content.len() as u64;
            match self.dice.below(3) {
                0 => self.source.content.truncate(self.dice.below(length.max(1)) as usize),
                1 => self.source.content.push(0),
                _ => self.source.content.iter_mut().for_each(|byte| *byte ^= 0x55),
            }
            self.source.versions.push(self.source.content.clone());
        }
        if self.dice.chance(self.faults.touched) {
            self.tell("the source is touched");
            match self.dice.below(2) {
                0 => self.source.touches += 1,
                _ => self.source.rewrite(),
            }
        }
        if self.dice.chance(self.faults.source_fails) {
            self.source.readable = false;
        }
        // An earlier run's moment of a single request is on a wall clock that nothing can be compared with.
        let is_only_run = self.process_number + self.reruns_left == 0 && self.faults.crash == 0;
        let is_noticed = is_only_run && !self.was_set;
        if (process.transfer.is_in_parts() || is_noticed) && self.dice.chance(self.faults.clock) {
            self.set += *self.dice.pick(&[3600, -3600, 90_000, -90_000, 30, -30]);
            self.was_set = true;
            self.tell(format_args!("our clock is set by {} s in all", self.set));
        }
        if self.dice.chance(self.faults.sleep) {
            let before = self.slept;
            self.sleep();
            self.tell(format_args!("this machine slept for {:?}", self.slept - before));
            let woke = self.clock(process).monotonic;
            process.service.woke(woke, self.slept - before);
            process.books.line.woke(woke);
        }
        if process.cancelled_at.is_none() && self.dice.chance(self.faults.cancel) {
            self.tell("the caller cancels");
            process.cancelled_at = Some(self.time);
            process.books.gives_up = true;
            process.transfer.cancel();
        }
        if process.stopped_at.or(process.cancelled_at).is_none() && self.dice.chance(self.faults.stop) {
            self.tell("the caller stops");
            process.stopped_at = Some(self.time);
            process.books.stops = true;
            process.transfer.stop();
        }
        if process.books.fails {
            process.failed_at.get_or_insert(self.time);
        }
        if let (Some(since), None) = (process.stopped_at.or(process.failed_at), process.cancelled_at) {
            let took = self.time - since;
            hold(Rule::StopKeeps, took <= LONGEST_STOP, || format!("stopping takes {took:?}"));
        }
        if let Some(since) = process.cancelled_at {
            let took = self.time - since;
            hold(Rule::CancelEnds, took <= LONGEST_CANCEL, || format!("cancelling takes {took:?}"));
        }
    }

    fn crash(&mut self, process: &Process) -> Option<Outcome> {
        let forgotten = process.books.at_risk(self.disk.as_deref());
        let is_close = forgotten <= usize::from(self.plan.parallel.most());
        hold(Rule::CheckpointClose, is_close, || format!("a crash forgets {forgotten} parts"));
        // What was being written may be there or not.
        let mine = self.process_number;
        let saving = self.events.iter().find_map(|(key, event)| match event {
            Event::Saved { process, checkpoint, durable: true } if *process == mine => {
                Some((*key, checkpoint.clone()))
            }
            _ => None,
        });
        if let Some((key, checkpoint)) = saving {
            self.events.remove(&key);
            if self.dice.chance(500) {
                self.disk = Some(checkpoint);
            }
        }
        None
    }

    /// The machine says that it has ended.
    fn end(&mut self, process: &mut Process, result: Outcome) -> Outcome {
        let flies = process.books.is_anything_flying();
        // Whatever is still reported changes nothing.
        process.transfer.cancel();
        process.transfer.handle_saved(Err(SaveError::new("too late")));
        for id in &process.chores {
            process.transfer.handle_hashed(*id, Err(SourceError::new("too late")));
            process.transfer.handle_stamped(*id, Err(SourceError::new("too late")));
        }
        let again = process.transfer.poll(self.clock(process));
        let is_quiet = !flies && matches!(again, Action::Wait { until: None });
        hold(Rule::EndOnce, is_quiet, || format!("after the end: {again:?}, flying: {flies}"));
        let progress = process.transfer.progress();
        process.books.check_counts(&progress, self.time - process.began);
        let is_told = !process.books.fails || !matches!(result, Ok(_) | Err(UploadError::Stopped { .. }));
        hold(Rule::Final, is_told, || format!("what ended it is not told: {result:?}"));
        if let Err(UploadError::Away { after, .. }) = &result {
            let limit = self.plan.retry_policy().give_up_after;
            let since = process.books.line.since.map(|since| self.clock(process).monotonic - since);
            // What was under way may be answered after all while it ends.
            let is_right = *after >= limit && since.is_none_or(|since| since >= *after);
            hold(Rule::Patience, is_right, || format!("given up after {after:?}, away for {since:?}"));
        }
        match &result {
            Ok(file) => {
                hold(Rule::SourceSame, !process.books.saw_change, || "a changed source made a file".into());
                let is_guess = process.books.has_looked && !process.books.is_proven(&file.id);
                hold(Rule::NoGuess, !is_guess, || format!("{} is not proven", file.id));
            }
            Err(UploadError::Cancelled { confirmed, .. }) => {
                if *confirmed && progress.upload_id.is_some() {
                    self.check_over(process, progress.upload_id.as_deref());
                }
                let is_told = process.books.cancels > 0 || progress.upload_id.is_none();
                hold(Rule::CancelTells, is_told, || "the service was not told".into());
            }
            Err(UploadError::Expired { .. }) => {
                self.check_over(process, progress.upload_id.as_deref());
                let is_told = process.rejected_at == Some(self.time);
                hold(Rule::ServiceDecides, is_told, || "nothing was rejected just now".into());
                let may_restart = self.plan.restart_when_expired && process.books.is_untried;
                hold(Rule::Restart, !may_restart, || "it was not begun anew".into());
            }
            Err(error) if error.is_resumable() && !matches!(error, UploadError::Save(_)) => {
                let forgotten = process.books.at_risk(self.disk.as_deref());
                // Of one that expired at that moment nothing is worth keeping.
                let is_kept = forgotten == 0 || progress.upload_id.is_none();
                hold(Rule::StopKeeps, is_kept, || format!("{error} forgets {forgotten} parts"));
            }
            Err(UploadError::Rejected { operation, source }) if process.books.upload.is_some() => {
                // A wrong MD5 and the like would be rejected again, whatever becomes of the upload.
                let is_final =
                    *operation == OperationId::CompleteUpload && source.kind() == ApiErrorKind::Invalid;
                if !is_final {
                    self.check_over(process, progress.upload_id.as_deref());
                }
            }
            _ => {}
        }
        result
    }
}
