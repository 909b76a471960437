//! Plays one upload over a line, as the driver would.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use partwise_models::{Purpose, UnixSeconds};
use partwise_protocol::{
    Api, Limits,
    machine::{Action, Machine as _, Now, RequestId},
    transport::{Body, Failure, FailureKind, Segment, SendBuffer},
    upload::{Checkpoint, Plan, RouteChoice, SourceStamp, UploadMachine, UploadTask},
};
use partwise_testkit::dice::Dice;

use crate::{line::Line, report::Report};

/// How often moved bytes are reported.
const COUNTING: Duration = Duration::from_millis(250);
/// Nothing takes longer than this.
const LONGEST: Duration = Duration::from_secs(48 * 3600);
const EPOCH: u64 = 1_700_000_000;
/// What the transport of these connections says that it may hold.
const SEND_BUFFER: SendBuffer = SendBuffer::new(512 << 10, 4 << 20);

/// One request under way.
struct Flight {
    /// Where its range begins and ends, if it has one.
    range: Option<(u64, u64)>,
    connection: usize,
    length: u64,
    /// When its connection is there.
    begins: Duration,
    carried: f64,
    reported: u64,
    /// When its answer is there, once all of it was carried.
    answered: Option<Duration>,
    share: f64,
}

/// An upload under way.
pub(crate) struct Play {
    line: Line,
    api: Api,
    plan: Plan,
    pub(crate) machine: UploadMachine,
    saved: Option<Checkpoint>,
    dice: Dice,
    pub(crate) at: Duration,
    flights: BTreeMap<RequestId, Flight>,
    /// Connections that wait for a request, and how many there were so far.
    idle: Vec<usize>,
    opened: usize,
    reported: Duration,
    /// Ranges that were sent before.
    begun: BTreeMap<u64, u64>,
    pub(crate) is_done: bool,
    pub(crate) report: Report,
}

/// What is uploaded over these lines.
pub(crate) fn plan() -> Plan {
    let mut plan = Plan::new("train.jsonl", "application/jsonl", Purpose::FineTune);
    plan.route = RouteChoice::Parts;
    plan
}

impl Play {
    /// An upload of so many bytes.
    pub(crate) fn new(line: Line, plan: Plan, length: u64, seed: u64) -> Self {
        Self::within(Api::openai().limits(), line, plan, length, seed)
    }

    /// The same where the service takes other sizes.
    pub(crate) fn within(mut limits: Limits, line: Line, plan: Plan, length: u64, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        limits.upload = u64::MAX;
        let api = Api::openai().with_limits(limits);
        let stamp = SourceStamp::new(length);
        let mut machine = UploadMachine::new(api.clone(), plan.clone(), stamp, dice.entropy()).unwrap();
        machine.handle_send_buffer(SEND_BUFFER);
        Self {
            line,
            api,
            plan,
            machine,
            saved: None,
            dice,
            at: Duration::ZERO,
            flights: BTreeMap::new(),
            idle: Vec::new(),
            opened: 0,
            reported: Duration::ZERO,
            begun: BTreeMap::new(),
            is_done: false,
            report: Report::default(),
        }
    }

    /// The same with the default plan, to its end.
    pub(crate) fn of(line: &Line, length: u64) -> Report {
        Self::with(line, plan(), length)
    }

    pub(crate) fn with(line: &Line, plan: Plan, length: u64) -> Report {
        Self::new(line.clone(), plan, length, 7).run_out()
    }

    pub(crate) fn run_out(mut self) -> Report {
        self.until(LONGEST);
        let length = self.machine.progress().bytes_total;
        assert!(self.is_done, "it never ends on {:?}", self.line);
        assert!(self.report.failure.is_some() || self.report.acknowledged == length, "{:?}", self.report);
        self.report
    }

    /// Goes on until it has ended, or this moment has come.
    pub(crate) fn until(&mut self, end: Duration) {
        while !self.is_done && self.at < end {
            let deadline = self.act();
            if self.is_done {
                break;
            }
            let next = self.next_event(deadline).min(end);
            self.carry(next);
            self.happen();
        }
    }

    /// The process is killed, and the next one goes on from the checkpoint.
    pub(crate) fn kill(&mut self) {
        let Some(saved) = self.saved.clone().filter(|_| !self.is_done) else { return };
        let stamp = SourceStamp::new(self.machine.progress().bytes_total);
        let (api, plan, entropy) = (self.api.clone(), self.plan.clone(), self.dice.entropy());
        self.machine = UploadMachine::resume(api, plan, saved, stamp, entropy).unwrap();
        self.machine.handle_send_buffer(SEND_BUFFER);
        self.flights.clear();
        self.idle.clear();
        self.begun.clear();
        self.report.killed();
    }

    fn now(&self) -> Now {
        Now { monotonic: self.at, unix: UnixSeconds(EPOCH + self.at.as_secs()) }
    }

    /// Does what the machine asks for; says when it wants to be asked again.
    fn act(&mut self) -> Option<Duration> {
        loop {
            match self.machine.poll(self.now()) {
                Action::Start { id, task: UploadTask::Send { request, .. } } => self.start(id, &request),
                Action::Start { id, task: UploadTask::Stamp } => {
                    let length = self.machine.progress().bytes_total;
                    self.machine.handle_stamped(id, Ok(SourceStamp::new(length)));
                }
                Action::Start { task, .. } => panic!("{task:?} is not for lines"),
                Action::Abandon(id) => drop(self.flights.remove(&id)),
                Action::Save(checkpoint) => {
                    self.saved = Some(checkpoint);
                    self.machine.handle_saved(Ok(()));
                }
                Action::Wait { until } => return until,
                Action::Done(result) => {
                    self.is_done = true;
                    self.report.ended = if result.is_err() { self.at } else { self.report.ended };
                    self.report.failure = result.err().map(|error| format!("{error:?} after {:?}", self.at));
                    return None;
                }
            }
        }
    }

    fn start(&mut self, id: RequestId, request: &Request<Body>) {
        let range = request.body().segments().iter().find_map(|segment| match segment {
            Segment::Source(range) => Some((range.start(), range.end())),
            Segment::Bytes(_) => None,
        });
        if let Some((start, end)) = range {
            let flying = self.flights.len();
            let covered = self.begun.range(..=start).next_back();
            // What was sent before goes again, or a piece of it does.
            if covered.is_none_or(|(_, until)| end > *until) {
                self.begun.insert(start, end);
                self.report.cut(self.at, end - start, flying);
            }
        }
        let (connection, begins) = match self.idle.pop() {
            Some(connection) => (connection, self.at),
            None => {
                self.opened += 1;
                (self.opened - 1, self.at + 2 * self.line.round_trip)
            }
        };
        let length = request.body().content_length();
        let share = 1.0 + (self.line.unfair - 1.0) * self.dice.below(1000) as f64 / 1000.0;
        let answered = (length == 0).then(|| begins + self.line.round_trip);
        let flight = Flight { range, connection, length, begins, carried: 0.0, reported: 0, answered, share };
        self.flights.insert(id, flight);
        self.note_flying();
    }

    fn note_flying(&mut self) {
        let parts = self.flights.values().filter(|flight| flight.range.is_some()).count();
        self.report.flies(self.at, parts);
    }

    /// Bytes a second on each request's connection, until something changes.
    fn rates(&self) -> BTreeMap<RequestId, f64> {
        let flights = self.flights.iter();
        let open = flights.filter(|(_, flight)| flight.answered.is_none() && flight.begins <= self.at);
        self.line.rates(self.at, open.map(|(id, flight)| (*id, flight.share, flight.connection)))
    }

    fn next_event(&self, deadline: Option<Duration>) -> Duration {
        let counting = (!self.flights.is_empty()).then(|| self.reported + COUNTING);
        let rates = self.rates();
        let begins = self.flights.values().map(|flight| flight.begins);
        let answers = self.flights.values().filter_map(|flight| flight.answered);
        let changes = begins.chain(answers).chain(self.line.next_change(self.at)).filter(|at| *at > self.at);
        let carried = rates.iter().map(|(id, rate)| {
            let flight = &self.flights[id];
            self.at + Duration::from_secs_f64(((flight.length as f64 - flight.carried) / rate).min(1e6))
        });
        let soonest = carried.chain(changes).chain(deadline).chain(counting).min();
        // A clock that does not move would never get anywhere.
        soonest.expect("something happens").max(self.at + Duration::from_micros(1))
    }

    /// The line carries what it can until then.
    fn carry(&mut self, until: Duration) {
        let seconds = (until - self.at).as_secs_f64();
        for (id, rate) in self.rates() {
            let flight = self.flights.get_mut(&id).unwrap();
            let more = (rate * seconds).min(flight.length as f64 - flight.carried);
            flight.carried += more;
            self.report.carried += if flight.range.is_some() { more } else { 0.0 };
            if flight.length as f64 - flight.carried < 0.5 {
                let part = if flight.range.is_some() { self.line.answer } else { Duration::ZERO };
                flight.answered = Some(until + self.line.round_trip + part);
            }
        }
        self.at = until;
    }

    fn happen(&mut self) {
        let held = self.line.held;
        self.reported = self.at;
        for (id, flight) in &mut self.flights {
            let taken = match flight.begins <= self.at {
                true => flight.length.min(flight.carried as u64 + held),
                false => 0,
            };
            let moved = taken - flight.reported;
            flight.reported = taken;
            self.machine.handle_moved(*id, moved);
        }
        if self.line.cut_every.is_some_and(|every| self.at.as_nanos() % every.as_nanos() == 0) {
            self.cut();
        }
        let is_silent = self.line.is_silent(self.at);
        let due = |flight: &Flight| flight.answered.is_some_and(|at| at <= self.at) && !is_silent;
        let answered: Vec<_> =
            self.flights.iter().filter(|(_, flight)| due(flight)).map(|(id, _)| *id).collect();
        for id in answered {
            self.answer(id);
        }
    }

    fn cut(&mut self) {
        self.idle.clear();
        for (id, flight) in std::mem::take(&mut self.flights) {
            let failure = Failure::new(FailureKind::Interrupted).with_left(flight.carried as u64);
            self.machine.handle_failure(id, failure, self.now());
        }
        self.note_flying();
    }

    fn answer(&mut self, id: RequestId) {
        let flight = self.flights.remove(&id).unwrap();
        self.idle.push(flight.connection);
        let body = match flight.range {
            Some((start, end)) => {
                self.report.acknowledge(self.at, end - start);
                self.report.ended = self.at;
                format!(r#"{{"id":"part_{start}"}}"#)
            }
            None if flight.length > 0 && self.saved.is_none() => {
                format!(r#"{{"id":"upload_1","created_at":{EPOCH}}}"#)
            }
            None => r#"{"id":"upload_1","status":"completed","file":{"id":"file-1"}}"#.to_owned(),
        };
        self.note_flying();
        let now = self.now();
        self.machine.handle_response(id, Response::new(Bytes::from(body)), Some(flight.length), now);
    }
}
