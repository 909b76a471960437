//! One story: a driver with virtual time between the machine and the model of the service.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use partwise_models::{Purpose, UnixSeconds};
use partwise_protocol::{
    Action, Api, Body, Checkpoint, Failure, FailureKind, Now, Plan, RequestId, RetryHint, RouteChoice,
    SaveError, Segment, SourceError, SourceStamp, Transfer, TransferError,
};

use crate::dice::Dice;
use crate::faults::{self, Faults};
use crate::service::Service;

/// Every way in which a story can end; the seeds must show each of them.
pub(crate) const ENDS: [&str; 10] = [
    "a file",
    "refused",
    "failed",
    "garbled",
    "source unreadable",
    "source changed",
    "not saved",
    "expired",
    "cancelled",
    "unknown",
];

const FILENAME: &str = "train.jsonl";
/// Our wall clock at the beginning of every story.
const EPOCH: u64 = 1_700_000_000;
/// Nothing takes longer than this; whatever does never ends.
const LONGEST: Duration = Duration::from_secs(12 * 3600);
const MOST_STEPS: usize = 50_000;

enum Event {
    Arrive { process: u32, id: RequestId, request: Request<Bytes>, answered: bool },
    Answer { process: u32, id: RequestId, response: Response<Bytes> },
    Fail { process: u32, id: RequestId, kind: FailureKind },
    Saved { process: u32, checkpoint: String, durable: bool },
    Hashed { process: u32, digest: Result<[u8; 16], ()> },
    Stamped { process: u32 },
}

/// The caller's file.
struct Source {
    content: Vec<u8>,
    changes: u32,
    readable: bool,
}

impl Source {
    fn stamp(&self) -> SourceStamp {
        let mut stamp = SourceStamp::new(self.content.len() as u64);
        stamp.modified = Some(self.changes.to_string());
        stamp
    }
}

/// What the driver knows of the process that runs now.
struct Process {
    transfer: Transfer,
    /// The monotonic clock of a process starts anywhere.
    clock_origin: Duration,
    /// Content ranges of the parts in flight.
    flights: BTreeMap<RequestId, Option<(u64, u64)>>,
    saving: bool,
    gate: Duration,
    /// Ranges that the checkpoint which this process began with knew as acknowledged.
    known: BTreeSet<(u64, u64)>,
    /// Ranges acknowledged to this process.
    acknowledged: BTreeSet<(u64, u64)>,
    cancelled_at: Option<Duration>,
}

/// Everything of one story.
pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) faults: Faults,
    pub(crate) service: Service,
    pub(crate) plan: Plan,
    pub(crate) crash_after_arrival: bool,
    /// Whether the story is told while it happens.
    pub(crate) is_told: bool,
    api: Api,
    source: Source,
    original: Vec<u8>,
    foreign_files: usize,
    skew: i64,
    time: Duration,
    events: BTreeMap<(Duration, u64), Event>,
    next_event: u64,
    disk: Option<String>,
    process_number: u32,
    reruns_left: u32,
    quota_exhausted: bool,
    slow_network: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let length = 1 + dice.below(240);
        let part_size = 1 + dice.below(60);
        let mut plan = Plan::new(FILENAME, "application/jsonl", Purpose::FineTune);
        plan.part_size = Some(part_size);
        plan.parallel = 1 + dice.below(6) as u16;
        plan.route = *dice.pick(&[
            RouteChoice::Automatic,
            RouteChoice::Parts,
            RouteChoice::Parts,
            RouteChoice::Single,
        ]);
        plan.md5 = plan.route == RouteChoice::Parts && dice.chance(300);
        plan.restart_when_expired = dice.chance(300);
        let apis = [
            Api::with_base("http://service/v1", partwise_protocol::Dialect::OpenAi),
            Api::azure("http://service", "2024-10-21"),
            Api::azure_v1("http://service"),
        ];
        let api = dice.pick(&apis).as_ref().unwrap().clone();
        let lifetime = *dice.pick(&[40, 300, 3600, 3600, 7200]);
        let service = Service::new(lifetime, dice.below(15_000), dice.chance(500), dice.chance(700));
        let faults = Faults::draw(&mut dice);
        let skew = *dice.pick(&[0, 0, 1, -1, 300, -90_000]);
        let mut world = Self::assemble(dice, faults, service, plan, api, length as usize, skew);
        world.add_foreign_files();
        world.reruns_left = world.dice.below(3) as u32;
        world.slow_network = *world.dice.pick(&[50, 2000]);
        world
    }

    /// A story without any fault, in parts of ten bytes, to which a named test adds its own.
    pub(crate) fn quiet(length: usize) -> Self {
        let mut plan = Plan::new(FILENAME, "application/jsonl", Purpose::FineTune);
        plan.part_size = Some(10);
        plan.route = RouteChoice::Parts;
        let service = Service::new(3600, 0, true, true);
        let api = Api::with_base("http://service/v1", partwise_protocol::Dialect::OpenAi).unwrap();
        Self { is_told: true, ..Self::assemble(Dice::new(7), Faults::none(), service, plan, api, length, 0) }
    }

    fn assemble(
        mut dice: Dice,
        faults: Faults,
        service: Service,
        plan: Plan,
        api: Api,
        length: usize,
        skew: i64,
    ) -> Self {
        let content: Vec<u8> = (0..length).map(|_| dice.next() as u8).collect();
        Self {
            dice,
            faults,
            service,
            plan,
            crash_after_arrival: false,
            is_told: false,
            api,
            original: content.clone(),
            source: Source { content, changes: 0, readable: true },
            foreign_files: 0,
            skew,
            time: Duration::ZERO,
            events: BTreeMap::new(),
            next_event: 0,
            disk: None,
            process_number: 0,
            reruns_left: 0,
            quota_exhausted: false,
            slow_network: 50,
        }
    }

    /// Files in the list that must not be taken for ours.
    fn add_foreign_files(&mut self) {
        let length = self.original.len();
        let now = self.service_clock() / 1000;
        for index in 0..self.dice.below(6) {
            match index % 3 {
                0 => self.service.add_file(FILENAME, Purpose::FineTune, vec![0; length], now - 86_400),
                1 => self.service.add_file("other.jsonl", Purpose::FineTune, vec![0; length], now),
                _ => self.service.add_file(FILENAME, Purpose::FineTune, vec![0; length + 1], now),
            }
        }
        self.foreign_files = self.service.files.len();
    }

    fn service_clock(&self) -> u64 {
        let ours = EPOCH * 1000 + self.time.as_millis() as u64;
        ours.checked_add_signed(self.skew * 1000).expect("the skew is small")
    }

    fn now(&self, process: &Process) -> Now {
        let monotonic = process.clock_origin + self.time;
        Now { monotonic, unix: UnixSeconds(EPOCH + self.time.as_secs()) }
    }

    pub(crate) fn our_files(&self) -> usize {
        self.service.files.len() - self.foreign_files
    }

    fn schedule(&mut self, delay: Duration, event: Event) {
        self.events.insert((self.time + delay, self.next_event), event);
        self.next_event += 1;
    }

    fn delay(&mut self) -> Duration {
        let most = self.slow_network;
        self.dice.millis(most)
    }

    /// Runs the story to its end and says how it ended.
    pub(crate) fn run(&mut self) -> &'static str {
        loop {
            let Some(mut process) = self.start() else { return self.close("source changed", true) };
            match self.live(&mut process) {
                None => {
                    self.tell("a crash");
                    self.process_number += 1;
                    self.time += self.dice.millis(30_000);
                }
                Some(Err(error)) if error.is_resumable() && self.reruns_left > 0 => {
                    self.reruns_left -= 1;
                    self.process_number += 1;
                    self.time += self.dice.millis(60_000);
                }
                Some(result) => return self.judge(result),
            }
        }
    }

    /// The command is run: from the last durable checkpoint if there is one.
    fn start(&mut self) -> Option<Process> {
        let (mut known, entropy, stamp) = (BTreeSet::new(), self.dice.entropy(), self.source.stamp());
        let (api, plan) = (self.api.clone(), self.plan.clone());
        let transfer = match &self.disk {
            Some(saved) => {
                let checkpoint: Checkpoint = serde_json::from_str(saved).expect("what was written is read");
                known = acknowledged_ranges(saved);
                match Transfer::resume(api, plan, checkpoint, stamp, entropy) {
                    Ok(transfer) => transfer,
                    Err(error) => {
                        assert!(self.source.changes > 0, "resuming was refused without a reason: {error}");
                        return None;
                    }
                }
            }
            None => {
                assert_eq!(self.our_files(), 0, "a file was made that no checkpoint knows of");
                if stamp.length == 0 {
                    return None;
                }
                self.original.clone_from(&self.source.content);
                Transfer::new(api, plan, stamp, entropy).expect("the plan works")
            }
        };
        Some(Process {
            transfer,
            clock_origin: self.dice.millis(1_000_000),
            flights: BTreeMap::new(),
            saving: false,
            gate: Duration::ZERO,
            known,
            acknowledged: BTreeSet::new(),
            cancelled_at: None,
        })
    }

    /// Drives one process to its end; `None` when it crashed.
    fn live(&mut self, process: &mut Process) -> Option<Result<partwise_models::File, TransferError>> {
        for _ in 0..MOST_STEPS {
            self.misfortune(process);
            if self.dice.chance(self.faults.crash) {
                return self.crash(process);
            }
            let until = match process.transfer.poll(self.now(process)) {
                Action::Send { id, request, answer_limit, .. } => {
                    assert!(answer_limit > 0);
                    self.send(process, id, request);
                    continue;
                }
                Action::Abandon(id) => {
                    assert!(process.flights.remove(&id).is_some(), "what does not fly cannot be abandoned");
                    continue;
                }
                Action::Hash(range) => {
                    assert_eq!((range.start(), range.end()), (0, self.original.len() as u64));
                    let digest =
                        if self.dice.chance(self.faults.source_fails) { Err(()) } else { Ok([7; 16]) };
                    let delay = self.dice.millis(20_000);
                    self.schedule(delay, Event::Hashed { process: self.process_number, digest });
                    continue;
                }
                Action::Stamp => {
                    let delay = self.delay();
                    self.schedule(delay, Event::Stamped { process: self.process_number });
                    continue;
                }
                Action::Save(checkpoint) => {
                    assert!(
                        !std::mem::replace(&mut process.saving, true),
                        "two checkpoints are saved at once"
                    );
                    let checkpoint = serde_json::to_string(&checkpoint).expect("a checkpoint can be written");
                    let durable = !self.dice.chance(self.faults.save);
                    let delay = self.delay();
                    self.schedule(delay, Event::Saved { process: self.process_number, checkpoint, durable });
                    continue;
                }
                Action::Done(result) => {
                    assert!(process.flights.is_empty(), "a request still flies at the end");
                    let again = process.transfer.poll(self.now(process));
                    assert!(
                        matches!(again, Action::Wait { until: None }),
                        "there was something after the end"
                    );
                    return Some(result);
                }
                Action::Wait { until } => until.map(|until| until.saturating_sub(process.clock_origin)),
            };
            self.pass_time(process, until);
            if self.crash_after_arrival && self.our_files() > 0 {
                self.crash_after_arrival = false;
                return self.crash(process);
            }
            assert!(self.time < LONGEST, "the story never ends");
        }
        panic!("the machine is busy for ever");
    }

    /// Time goes on to the next event or deadline, whichever is first.
    fn pass_time(&mut self, process: &mut Process, until: Option<Duration>) {
        let next = self.events.first_key_value().map(|(key, _)| *key);
        match (next, until) {
            (Some(key), until) if until.is_none_or(|until| key.0 <= until) => {
                self.time = self.time.max(key.0);
                let event = self.events.remove(&key).expect("it was there a moment ago");
                self.happen(process, event);
            }
            (_, Some(until)) => {
                assert!(until > self.time, "a deadline has passed and nothing was done");
                self.time = until;
            }
            (_, None) => panic!("the machine waits for nothing"),
        }
    }

    /// What comes from outside at any moment.
    fn misfortune(&mut self, process: &mut Process) {
        if self.dice.chance(self.faults.source_changes) {
            self.source.changes += 1;
            let length = self.source.content.len() as u64;
            match self.dice.below(3) {
                0 => self.source.content.truncate(self.dice.below(length.max(1)) as usize),
                1 => self.source.content.push(0),
                _ => self.source.content.iter_mut().for_each(|byte| *byte ^= 0x55),
            }
        }
        if self.dice.chance(self.faults.source_fails) {
            self.source.readable = false;
        }
        if process.cancelled_at.is_none() && self.dice.chance(self.faults.cancel) {
            process.cancelled_at = Some(self.time);
            process.transfer.cancel();
        }
        if let Some(since) = process.cancelled_at {
            assert!(self.time <= since + Duration::from_secs(70), "cancelling takes too long");
        }
    }

    fn crash(&mut self, process: &Process) -> Option<Result<partwise_models::File, TransferError>> {
        // What was being written may be there or not.
        let mine = self.process_number;
        let saving = self.events.iter().find_map(|(key, event)| match event {
            Event::Saved { process, checkpoint, durable: true } if *process == mine => {
                Some((*key, checkpoint.clone()))
            }
            _ => None,
        });
        let known = self.disk.as_deref().map(acknowledged_ranges).unwrap_or_default();
        let forgotten = process.acknowledged.difference(&known).count();
        assert!(forgotten <= usize::from(self.plan.parallel), "a crash forgets {forgotten} parts");
        if let Some((key, checkpoint)) = saving {
            self.events.remove(&key);
            if self.dice.chance(500) {
                self.disk = Some(checkpoint);
            }
        }
        None
    }

    fn send(&mut self, process: &mut Process, id: RequestId, request: Request<Body>) {
        assert!(self.time + process.clock_origin >= process.gate, "a request leaves before the gate opens");
        let range = request.body().segments().iter().find_map(|segment| match segment {
            Segment::Source(range) => Some((range.start(), range.end())),
            Segment::Bytes(_) => None,
        });
        if request.uri().path().ends_with("/uploads") {
            // A new upload has no parts yet.
            process.known.clear();
            process.acknowledged.clear();
        }
        let is_part = request.uri().path().ends_with("/parts");
        let part = range.filter(|_| is_part);
        if let Some(part) = part {
            assert!(!process.known.contains(&part), "a part that the service has is sent again");
            assert!(!process.acknowledged.contains(&part), "a part that the service has is sent again");
            assert!(!process.flights.values().any(|other| *other == Some(part)), "a part flies twice");
        }
        assert!(process.flights.insert(id, part).is_none(), "a name is used twice");
        assert!(process.flights.len() <= usize::from(self.plan.parallel), "too many requests fly");
        let is_commit = request.uri().path().ends_with("/complete") || (range.is_some() && !is_part);
        if is_commit {
            let saved = self.disk.as_deref().unwrap_or_default();
            let announced = saved.contains("\"completing\":true") || saved.contains("\"posted_at\"");
            assert!(announced, "the request that makes the file leaves before it is announced");
        }
        self.tell(format_args!("{id:?} leaves: {} {}", request.method(), request.uri()));
        process.transfer.handle_sent(id, request.body().content_length() / 2);
        self.take_off(id, request);
    }

    /// What becomes of a request on its way to the service.
    fn take_off(&mut self, id: RequestId, request: Request<Body>) {
        let process = self.process_number;
        let (parts, body) = request.into_parts();
        let content = match body.resolve(&self.source.content) {
            Ok(content) if self.source.readable => content,
            _ => {
                return self.schedule(Duration::ZERO, Event::Fail { process, id, kind: FailureKind::Source });
            }
        };
        let request = Request::from_parts(parts, content);
        let faults = self.faults.clone();
        let patience = Duration::from_secs(4) + self.dice.millis(4000);
        if self.dice.chance(faults.connect) {
            return self.schedule(Duration::ZERO, Event::Fail { process, id, kind: FailureKind::Connect });
        }
        if self.dice.chance(faults.request_lost) {
            return self.schedule(patience, Event::Fail { process, id, kind: FailureKind::Timeout });
        }
        let delay = self.delay();
        if self.dice.chance(faults.reset) {
            return self.schedule(delay, Event::Fail { process, id, kind: FailureKind::Interrupted });
        }
        let makes_file = request.uri().path().ends_with("/files") && request.method() == http::Method::POST;
        if !makes_file && self.dice.chance(faults.request_doubled) {
            let later = delay + self.delay();
            self.schedule(later, Event::Arrive { process, id, request: request.clone(), answered: false });
        }
        self.schedule(delay, Event::Arrive { process, id, request, answered: true });
    }

    /// One line of the story, for whoever reads a failing seed: `cargo test` shows what failing tests print.
    fn tell(&self, what: impl std::fmt::Display) {
        if !self.is_told {
            return;
        }
        println!("{:>10.3} [{}] {what}", self.time.as_secs_f64(), self.process_number);
    }

    fn happen(&mut self, process: &mut Process, event: Event) {
        let (mine, now) = (self.process_number, self.now(process));
        match event {
            Event::Arrive { process, id, request, answered } => self.arrive(process, id, request, answered),
            Event::Answer { process: sender, id, response } if sender == mine => {
                self.note_answer(process, id, &response);
                process.transfer.handle_response(id, response, now);
            }
            Event::Fail { process: sender, id, kind } if sender == mine => {
                self.tell(format_args!("{id:?} fails: {kind:?}"));
                process.flights.remove(&id);
                process.transfer.handle_failure(id, Failure::with_cause(kind, "the story wants it"), now);
            }
            Event::Saved { process: sender, checkpoint, durable } if sender == mine => {
                process.saving = false;
                if durable {
                    self.disk = Some(checkpoint);
                    process.transfer.handle_saved(Ok(()));
                } else {
                    process.transfer.handle_saved(Err(SaveError::new("the disk is full")));
                }
            }
            Event::Hashed { process: sender, digest } if sender == mine => {
                process.transfer.handle_hashed(digest.map_err(|()| SourceError::new("unreadable")));
            }
            Event::Stamped { process: sender } if sender == mine => {
                let stamp = if self.source.readable {
                    Ok(self.source.stamp())
                } else {
                    Err(SourceError::new("gone"))
                };
                process.transfer.handle_stamped(stamp);
            }
            // Of a process that is no more.
            _ => {}
        }
    }

    /// The driver's own books on an answer, before the machine sees it.
    fn note_answer(&mut self, process: &mut Process, id: RequestId, response: &Response<Bytes>) {
        self.tell(format_args!(
            "{id:?} is answered {}: {}",
            response.status(),
            String::from_utf8_lossy(response.body())
        ));
        let Some(part) = process.flights.remove(&id) else { return };
        if let (Some(part), true) = (part, response.status().is_success()) {
            if serde_json::from_slice::<serde_json::Value>(response.body()).is_ok() {
                process.acknowledged.insert(part);
            }
        }
        if matches!(response.status().as_u16(), 429 | 503) {
            let now = self.now(process);
            let wait = RetryHint::of_headers(response.headers()).wait(now).unwrap_or_default();
            process.gate = process.gate.max(now.monotonic + wait);
        }
    }

    /// A request reaches the service.
    fn arrive(&mut self, process: u32, id: RequestId, request: Request<Bytes>, answered: bool) {
        let faults = self.faults.clone();
        let clock = self.service_clock();
        let back = self.delay();
        self.tell(format_args!("{id:?} of [{process}] arrives: {} {}", request.method(), request.uri()));
        self.quota_exhausted |= self.dice.chance(faults.quota);
        if self.quota_exhausted {
            return self.schedule(back, Event::Answer { process, id, response: faults::quota_exhausted() });
        }
        if answered && self.dice.chance(faults.refused_before) {
            let response = faults::refusal(&mut self.dice, false, clock / 1000);
            return self.schedule(back, Event::Answer { process, id, response });
        }
        let mut response = self.service.answer(request, clock);
        if !answered {
            return;
        }
        if response.status().is_success() {
            if self.dice.chance(faults.refused_after) {
                response = faults::refusal(&mut self.dice, true, clock / 1000);
            } else if self.dice.chance(faults.truncated) {
                let half = response.body().len() / 2;
                response.body_mut().truncate(half);
            }
        }
        if self.dice.chance(faults.answer_lost) {
            let kind = *self.dice.pick(&[FailureKind::Interrupted, FailureKind::Timeout]);
            return self.schedule(back, Event::Fail { process, id, kind });
        }
        if self.dice.chance(faults.answer_doubled) {
            let later = back + self.delay();
            self.schedule(later, Event::Answer { process, id, response: response.clone() });
        }
        self.schedule(back, Event::Answer { process, id, response });
    }

    /// Holds the result against what the service has.
    fn judge(&mut self, result: Result<partwise_models::File, TransferError>) -> &'static str {
        self.tell(format_args!("the end: {result:?}"));
        match result {
            Ok(file) => {
                let stored = self.service.files.iter().find(|stored| stored.file.id == file.id);
                let stored = stored.expect("the file that was reported exists");
                assert_eq!(stored.content, self.original, "the file differs from the source");
                self.close("a file", false)
            }
            Err(TransferError::Refused { .. }) => self.close("refused", false),
            Err(TransferError::Failed { .. }) => self.close("failed", false),
            Err(TransferError::Garbled { .. }) => self.close("garbled", false),
            Err(TransferError::Source(_)) => self.close("source unreadable", false),
            Err(TransferError::SourceChanged { file, .. }) => self.close("source changed", file.is_none()),
            Err(TransferError::Save(_)) => self.close("not saved", false),
            Err(TransferError::Expired) => self.close("expired", true),
            Err(TransferError::Cancelled { file_possible }) => self.close("cancelled", !file_possible),
            Err(TransferError::CompletionUnknown { .. }) => self.close("unknown", false),
            Err(other) => panic!("the story has no place for {other:?}"),
        }
    }

    /// Lets everything that is still on its way arrive, and counts.
    fn close(&mut self, end: &'static str, certainly_no_file: bool) -> &'static str {
        self.process_number += 1;
        while let Some(((time, _), event)) = self.events.pop_first() {
            self.time = self.time.max(time);
            if let Event::Arrive { process, id, request, .. } = event {
                self.arrive(process, id, request, false);
            }
        }
        let files = self.our_files();
        assert!(files <= 1, "one upload made {files} files ({end})");
        assert!(
            !certainly_no_file || self.process_number > 1 || files == 0,
            "a file was made, and the result denies it ({end})"
        );
        end
    }
}

/// The ranges of the parts that a checkpoint knows as acknowledged, read off its documented form.
fn acknowledged_ranges(saved: &str) -> BTreeSet<(u64, u64)> {
    let saved: serde_json::Value = serde_json::from_str(saved).expect("a checkpoint is JSON");
    let (parts, length) = (&saved["route"]["parts"], saved["source"]["length"].as_u64().unwrap());
    let (Some(size), Some(ids)) = (parts["part_size"].as_u64(), parts["part_ids"].as_array()) else {
        return BTreeSet::new();
    };
    let range = |index: u64| (index * size, ((index + 1) * size).min(length));
    (0..).zip(ids).filter(|(_, id)| id.is_string()).map(|(index, _)| range(index)).collect()
}
