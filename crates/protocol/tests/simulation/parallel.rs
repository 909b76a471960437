//! Several uploads of one client at once, of files with one name and one length: what each of them ends with is its own.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response};
use partwise_models::{File, Purpose, UnixSeconds};
use partwise_protocol::{
    Api, Dialect,
    machine::{Action, Machine as _, Now, RequestId},
    retry::{RetryPolicy, ServiceState},
    transport::{Body, Failure, FailureKind},
    upload::{Comparison, Plan, RouteChoice, SourceStamp, UploadError, UploadMachine, UploadTask},
};
use partwise_testkit::{
    dice::Dice,
    seeds::{Window, for_each},
};

use crate::{
    line::Line,
    rules::{Rule, hold},
    service::{Habits, Service},
    world::EPOCH,
};

const FILENAME: &str = "report.txt";
const LONGEST: Duration = Duration::from_secs(4 * 3600);
/// How much later than its limit an upload may end, since it makes sure first.
const LATE: Duration = Duration::from_secs(30);

/// One upload and its file.
struct Upload {
    machine: UploadMachine,
    content: Vec<u8>,
    requests: u64,
    /// When each request left that is in flight.
    in_flight: BTreeMap<RequestId, Duration>,
    limit: Duration,
    /// The outage in which a request of it failed last.
    met: Option<u64>,
    end: Option<Result<File, UploadError>>,
}

/// Something that happens at a moment, to the upload with this number.
enum Event {
    Begin,
    Arrive { id: RequestId, request: Request<Bytes> },
    Answer { id: RequestId, response: Response<Bytes>, left: Option<u64> },
    Fail { id: RequestId, failure: Failure },
    Compared { id: RequestId, file_id: String },
}

struct World {
    dice: Dice,
    service: Service,
    /// What the uploads know of the service together.
    line: Line,
    uploads: Vec<Upload>,
    time: Duration,
    events: BTreeMap<(Duration, u64), (usize, Event)>,
    next_event: u64,
    /// How many of a thousand requests are cut on their way there, and how many answers on their way back.
    cuts: [u64; 2],
    counts_left: bool,
    /// How many files are another client's.
    foreign: usize,
    /// While the service takes no connections.
    away: Range<Duration>,
    attempts_while_away: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let length = 1 + dice.below(8);
        let mut service = Service::new(3600, dice.below(15_000), dice.chance(500), dice.chance(800));
        service.serves_content = dice.chance(700);
        service.size_lag = *dice.pick(&[0, 0, 5000, 60_000]);
        service.habits = Habits::drawn(&mut dice);
        // Another client's files of the same name and length, made meanwhile: no time of an upload tells them from ours, but
        // the content does.
        let foreign = if service.serves_content { dice.below(4) } else { 0 };
        for _ in 0..foreign {
            let content = (0..length).map(|_| *dice.pick(b"bc")).collect();
            service.add_file(FILENAME, Purpose::FineTune, content, EPOCH + dice.below(60));
        }
        let foreign = service.files.len();
        let registry = ServiceState::default();
        let count = 2 + if dice.chance(100) { dice.below(15) } else { dice.below(4) };
        let (from, long) = (dice.millis(5000), Duration::from_secs(*dice.pick(&[0, 0, 60, 600, 1200])));
        let route = *dice.pick(&[RouteChoice::Single, RouteChoice::Single, RouteChoice::Parts]);
        let mut world = Self {
            service,
            line: Line::default(),
            uploads: Vec::new(),
            time: Duration::ZERO,
            events: BTreeMap::new(),
            next_event: 0,
            cuts: [*dice.pick(&[50, 300]), *dice.pick(&[50, 300])],
            counts_left: dice.chance(700),
            foreign,
            away: from..from + long,
            attempts_while_away: 0,
            dice,
        };
        let spread = *world.dice.pick(&[1, 3000, 60_000]);
        for number in 0..count as usize {
            // Of few letters, so that some files are the same.
            let content = (0..length).map(|_| *world.dice.pick(b"ab")).collect();
            world.add(content, route, &registry);
            let delay = world.dice.millis(spread);
            world.schedule(delay, number, Event::Begin);
        }
        world
    }

    fn add(&mut self, content: Vec<u8>, route: RouteChoice, registry: &ServiceState) {
        let mut plan = Plan::new(FILENAME, "text/plain", Purpose::FineTune);
        (plan.route, plan.part_size, plan.parallel) = (route, Some(3), 2.into());
        let api = Api::with_base("http://service/v1", Dialect::OpenAi).unwrap();
        let limit = Duration::from_secs(*self.dice.pick(&[0, 1, 20, 900, 900, 900]));
        let plan = plan.retry(RetryPolicy::default().give_up_after(limit));
        let stamp = SourceStamp::new(content.len() as u64);
        let machine =
            UploadMachine::new(api, plan, stamp, self.dice.entropy()).unwrap().with_service(registry);
        let in_flight = BTreeMap::new();
        self.uploads.push(Upload { machine, content, requests: 0, in_flight, limit, met: None, end: None });
    }

    fn now(&self) -> Now {
        Now { monotonic: self.time, unix: UnixSeconds(EPOCH + self.time.as_secs()) }
    }

    fn clock(&self) -> u64 {
        EPOCH * 1000 + self.time.as_millis() as u64
    }

    fn schedule(&mut self, delay: Duration, upload: usize, event: Event) {
        self.events.insert((self.time + delay, self.next_event), (upload, event));
        self.next_event += 1;
    }

    /// Runs every upload to its end, and holds the ends against what the service has.
    fn run(mut self) -> &'static str {
        while let Some(((time, _), (upload, event))) = self.events.pop_first() {
            self.time = self.time.max(time);
            hold(Rule::Ends, self.time < LONGEST, || format!("upload {upload} never ends"));
            self.happen(upload, event);
        }
        self.judge()
    }

    fn happen(&mut self, number: usize, event: Event) {
        let now = self.now();
        match &event {
            Event::Answer { id, .. } | Event::Compared { id, .. } => self.ended(number, *id, None),
            Event::Fail { id, failure } => self.ended(number, *id, Some(failure.kind)),
            Event::Begin | Event::Arrive { .. } => {}
        }
        let upload = &mut self.uploads[number];
        match event {
            Event::Begin => {}
            Event::Arrive { id, request } => return self.arrive(number, id, request),
            Event::Answer { id, response, left } => {
                upload.machine.handle_response(id, response, left, now);
            }
            Event::Fail { id, failure } => upload.machine.handle_failure(id, failure, now),
            Event::Compared { id, file_id } => {
                let stored = self.service.files.iter().find(|stored| stored.file.id == file_id);
                let result = match stored {
                    Some(_) if !self.service.serves_content => Comparison::NotServed,
                    Some(stored) if stored.content == upload.content => Comparison::Equal,
                    Some(_) => Comparison::Different,
                    None => Comparison::NotServed,
                };
                upload.machine.handle_compared(id, Ok(result), now);
            }
        }
        self.go_on(number);
    }

    /// Takes in what the end of a request says of the service, unless it was abandoned.
    fn ended(&mut self, number: usize, id: RequestId, failure: Option<FailureKind>) {
        let upload = &mut self.uploads[number];
        let Some(left_at) = upload.in_flight.remove(&id) else { return };
        match failure {
            None => self.line.answered(self.time),
            Some(kind) if self.line.failed((0, left_at), kind, false, self.time) => {
                upload.met = Some(self.line.outages);
            }
            Some(_) => {}
        }
    }

    /// Holds the end of an upload whose service was away against what it has met itself.
    fn check_away(&self, number: usize, end: &Result<File, UploadError>) {
        let error = match end {
            Err(UploadError::CompletionUnknown { cause: Some(cause), .. }) => &**cause,
            Err(error) => error,
            Ok(_) => return,
        };
        let UploadError::Away { after, cause } = error else { return };
        let upload = &self.uploads[number];
        let is_soon = (upload.limit..=upload.limit + LATE).contains(after);
        hold(Rule::Patience, is_soon, || format!("upload {number} with {:?} ends {end:?}", upload.limit));
        let has_met = self.line.since.is_some() && upload.met == Some(self.line.outages);
        hold(Rule::OwnAttempt, has_met && cause.is_some(), || {
            let (met, now) = (upload.met, self.line.outages);
            format!("upload {number} has met outage {met:?} and ends in outage {now}: {end:?}")
        });
    }

    /// Does what a machine asks for until it waits; then it is looked at again at its deadline.
    fn go_on(&mut self, number: usize) {
        loop {
            let now = self.now();
            match self.uploads[number].machine.poll(now) {
                Action::Start { id, task: UploadTask::Send { request, .. } } => {
                    self.send(number, id, request);
                }
                Action::Start { id, task: UploadTask::Compare { file_id, .. } } => {
                    self.uploads[number].in_flight.insert(id, self.time);
                    let delay = self.dice.millis(3000);
                    self.schedule(delay, number, Event::Compared { id, file_id });
                }
                Action::Start { id, task: UploadTask::Stamp } => {
                    let stamp = SourceStamp::new(self.uploads[number].content.len() as u64);
                    self.uploads[number].machine.handle_stamped(id, Ok(stamp));
                }
                Action::Save(_) => self.uploads[number].machine.handle_saved(Ok(())),
                Action::Wait { until: Some(until) } => {
                    // An event of its own that finds nothing but the time.
                    return self.schedule(until.saturating_sub(self.time), number, Event::Begin);
                }
                Action::Abandon(id) => _ = self.uploads[number].in_flight.remove(&id),
                Action::Wait { until: None }
                | Action::Start { task: UploadTask::Hash(_) | UploadTask::Prepare(_), .. } => return,
                Action::Done(end) => {
                    self.check_away(number, &end);
                    self.uploads[number].end = Some(end);
                }
            }
        }
    }

    fn send(&mut self, number: usize, id: RequestId, request: Request<Body>) {
        self.uploads[number].requests += 1;
        self.uploads[number].in_flight.insert(id, self.time);
        if self.away.contains(&self.time) {
            self.attempts_while_away += 1;
            let failure = Failure::new(FailureKind::Connect);
            let delay = self.dice.millis(20);
            return self.schedule(delay, number, Event::Fail { id, failure });
        }
        let content = self.uploads[number].content.clone();
        let request = request.map(|body| body.resolve(&content).unwrap());
        let delay = self.dice.millis(400);
        if self.dice.chance(self.cuts[0]) {
            // Cut before it was there; the driver may not know that something was missing.
            let length = request.body().len() as u64;
            let left = if self.dice.chance(500) { self.dice.below(length.max(1)) } else { length };
            let failure = self.failure(left);
            return self.schedule(delay, number, Event::Fail { id, failure });
        }
        self.schedule(delay, number, Event::Arrive { id, request });
    }

    fn failure(&self, left: u64) -> Failure {
        let failure = Failure::new(FailureKind::Interrupted);
        if self.counts_left { failure.with_left(left) } else { failure }
    }

    fn arrive(&mut self, number: usize, id: RequestId, request: Request<Bytes>) {
        let length = request.body().len() as u64;
        let is_reading = request.method() == Method::GET;
        let response = self.service.answer(request, self.clock());
        let back = self.dice.millis(400);
        if !is_reading && self.dice.chance(self.cuts[1]) {
            let failure = self.failure(length);
            return self.schedule(back, number, Event::Fail { id, failure });
        }
        let left = self.counts_left.then_some(length);
        self.schedule(back, number, Event::Answer { id, response, left });
    }

    fn judge(&self) -> &'static str {
        let mut named = BTreeMap::<&str, usize>::new();
        let mut tally = (0, 0);
        for (number, upload) in self.uploads.iter().enumerate() {
            let end = upload.end.as_ref();
            hold(Rule::Ends, end.is_some(), || format!("upload {number} has no end"));
            hold(Rule::OwnAttempt, upload.requests > 0, || format!("upload {number} sent nothing: {end:?}"));
            match end {
                Some(Ok(file)) => {
                    tally.0 += 1;
                    let stored = self.service.files.iter().find(|stored| stored.file.id == file.id);
                    let is_same = stored.is_some_and(|stored| stored.content == upload.content);
                    hold(Rule::SameBytes, is_same, || format!("upload {number} ends with {}", file.id));
                    let other = named.insert(&file.id, number);
                    hold(Rule::NoGuess, other.is_none(), || {
                        format!("uploads {other:?} and {number} end with {}", file.id)
                    });
                }
                Some(Err(UploadError::CompletionUnknown { .. })) => tally.1 += 1,
                Some(Err(_)) | None => {}
            }
        }
        // Those that had left before anybody knew may be two of each.
        let most = (self.away.end - self.away.start).as_secs() + 2 * self.uploads.len() as u64 + 2;
        let attempts = self.attempts_while_away;
        hold(Rule::OneProbe, attempts <= most, || {
            format!("{attempts} attempts while the service was away, of {most}")
        });
        let (files, uploads) = (self.service.files.len() - self.foreign, self.uploads.len());
        hold(Rule::OneFile, files <= uploads, || format!("{uploads} uploads made {files} files"));
        match tally {
            (ok, _) if ok == uploads => "all have their file",
            (_, 0) => "some failed",
            _ => "some are unknown",
        }
    }
}

#[test]
fn uploads_that_look_alike_never_end_with_the_file_of_another() {
    let window = Window::of_the_run();
    let tally = for_each(&window, |seed| World::new(seed).run());
    for end in ["all have their file", "some failed", "some are unknown"] {
        assert!(tally.contains_key(end) || window.is_short(), "no seed ended with {end}: {tally:?}");
    }
}
