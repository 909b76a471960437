//! Plays one download over a line, as the driver would.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use partwise_models::{File, UnixSeconds};
use partwise_protocol::{
    Api,
    download::{DownloadCheckpoint, DownloadMachine, DownloadPlan, DownloadTask},
    machine::{Action, Machine as _, Now, RequestId},
    operations::{ByteRange, ContentRange, DownloadFile, DownloadHead},
    transport::{Failure, FailureKind},
};
use partwise_testkit::dice::Dice;

use super::report::Report;
use crate::line::Line;

/// How often bytes that have come are reported.
const COUNTING: Duration = Duration::from_millis(250);
/// Nothing takes longer than this.
const LONGEST: Duration = Duration::from_secs(48 * 3600);

/// One request under way.
struct Flight {
    connection: usize,
    /// The bytes of the content that it is for; none for the file's object.
    range: Option<Range<u64>>,
    /// When its head is there, or the news that there is no connection.
    answered: Duration,
    is_refused: bool,
    /// Set once the machine knows of the head.
    is_told: bool,
    /// How much has come, and was reported.
    carried: f64,
    reported: u64,
    share: f64,
}

impl Flight {
    fn length(&self) -> u64 {
        self.range.as_ref().map_or(0, |range| range.end - range.start)
    }

    fn rest(&self) -> f64 {
        self.length() as f64 - self.carried
    }
}

/// A download under way.
pub(crate) struct Play {
    line: Line,
    /// While the service cannot be reached.
    outage: Range<Duration>,
    length: u64,
    plan: DownloadPlan,
    machine: DownloadMachine,
    saved: Option<DownloadCheckpoint>,
    dice: Dice,
    at: Duration,
    flights: BTreeMap<RequestId, Flight>,
    /// Connections that wait for a request, and how many there were so far.
    idle: Vec<usize>,
    opened: usize,
    reported: Duration,
    /// Bytes that were written and that no checkpoint knew of when the process was killed.
    lost: u64,
    is_done: bool,
    pub(crate) report: Report,
}

/// What is downloaded over these lines.
pub(crate) fn plan() -> DownloadPlan {
    DownloadPlan::new("file-1")
}

impl Play {
    /// A download of so many bytes.
    pub(crate) fn new(line: Line, plan: DownloadPlan, length: u64, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let machine = DownloadMachine::new(&Api::openai(), plan.clone(), dice.entropy());
        Self {
            line,
            outage: Duration::MAX..Duration::MAX,
            length,
            plan,
            machine,
            saved: None,
            dice,
            at: Duration::ZERO,
            flights: BTreeMap::new(),
            idle: Vec::new(),
            opened: 0,
            reported: Duration::ZERO,
            lost: 0,
            is_done: false,
            report: Report::default(),
        }
    }

    /// The same with a service that cannot be reached from some moment on, for so long.
    pub(crate) fn with_outage(mut self, from: Duration, lasts: Duration) -> Self {
        self.outage = from..from + lasts;
        self
    }

    /// Plays it to its end.
    pub(crate) fn run_out(mut self) -> Report {
        self.until(LONGEST);
        assert!(self.is_done, "it never ends on {:?}", self.line);
        assert!(self.report.failure.is_some() || self.report.written() == self.length, "{:?}", self.report);
        assert!(self.report.twice <= self.lost, "{} bytes came again", self.report.twice);
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
        self.lost += self.report.written() - saved.written().0;
        let (plan, entropy) = (self.plan.clone(), self.dice.entropy());
        self.machine = DownloadMachine::resume(&Api::openai(), plan, saved, self.length, entropy).unwrap();
        self.flights.clear();
        self.idle.clear();
    }

    fn now(&self) -> Now {
        Now { monotonic: self.at, unix: UnixSeconds(1_700_000_000 + self.at.as_secs()) }
    }

    /// Does what the machine asks for; says when it wants to be asked again.
    fn act(&mut self) -> Option<Duration> {
        loop {
            match self.machine.poll(self.now()) {
                Action::Start { id, task: DownloadTask::Send { operation, .. } } => {
                    let range = self.asked(&operation);
                    self.start(id, Some(range));
                    let contents = self.flights.values().filter(|flight| flight.range.is_some()).count();
                    self.report.asks(self.flights[&id].length(), contents);
                }
                Action::Start { id, task: DownloadTask::Retrieve { .. } } => self.start(id, None),
                Action::Abandon(id) => drop(self.flights.remove(&id)),
                Action::Save(checkpoint) => {
                    self.saved = Some(checkpoint);
                    self.machine.handle_saved(Ok(()));
                }
                Action::Wait { until } => return until,
                Action::Done(result) => {
                    self.is_done = true;
                    self.report.ended = self.at;
                    self.report.failure = result.err().map(|error| format!("{error:?} after {:?}", self.at));
                    return None;
                }
            }
        }
    }

    /// The bytes that a request is for; there are none behind the end.
    fn asked(&self, operation: &DownloadFile) -> Range<u64> {
        match operation.range {
            Some(ByteRange::From { first, last: Some(last) }) => first..(last + 1).min(self.length),
            other => panic!("{other:?} is not for lines"),
        }
    }

    fn start(&mut self, id: RequestId, range: Option<Range<u64>>) {
        let (connection, begins) = match self.idle.pop() {
            Some(connection) => (connection, self.at),
            None => {
                self.opened += 1;
                (self.opened - 1, self.at + 2 * self.line.round_trip)
            }
        };
        let is_refused = self.outage.contains(&self.at);
        let answered = match is_refused {
            true => self.at + self.line.round_trip,
            false => begins + self.line.round_trip + self.line.answer,
        };
        let share = 1.0 + (self.line.unfair - 1.0) * self.dice.below(1000) as f64 / 1000.0;
        let flight = Flight {
            connection,
            range,
            answered,
            is_refused,
            is_told: false,
            carried: 0.0,
            reported: 0,
            share,
        };
        self.flights.insert(id, flight);
    }

    /// Bytes a second on each connection over which content comes, until something changes.
    fn rates(&self) -> BTreeMap<RequestId, f64> {
        let open = self.flights.iter().filter(|(_, flight)| flight.is_told && flight.rest() >= 0.5);
        self.line.rates(self.at, open.map(|(id, flight)| (*id, flight.share, flight.connection)))
    }

    fn next_event(&self, deadline: Option<Duration>) -> Duration {
        let counting = (!self.flights.is_empty()).then(|| self.reported + COUNTING);
        let answers = self.flights.values().map(|flight| flight.answered);
        let outage = [self.outage.start, self.outage.end];
        let changes = answers.chain(outage).chain(self.line.next_change(self.at)).filter(|at| *at > self.at);
        let rates = self.rates();
        let carried = rates
            .iter()
            .map(|(id, rate)| self.at + Duration::from_secs_f64((self.flights[id].rest() / rate).min(1e6)));
        let soonest = carried.chain(changes).chain(deadline).chain(counting).min();
        // A clock that does not move would never get anywhere.
        soonest.expect("something happens").max(self.at + Duration::from_micros(1))
    }

    /// The line carries what it can until then.
    fn carry(&mut self, until: Duration) {
        let seconds = (until - self.at).as_secs_f64();
        for (id, rate) in self.rates() {
            let flight = self.flights.get_mut(&id).unwrap();
            flight.carried += (rate * seconds).min(flight.rest());
        }
        self.at = until;
    }

    fn happen(&mut self) {
        self.reported = self.at;
        let ids: Vec<_> = self.flights.keys().copied().collect();
        for id in &ids {
            self.report_bytes(*id);
        }
        let is_cut = self.line.cut_every.is_some_and(|every| self.at.as_nanos() % every.as_nanos() == 0);
        if is_cut || self.at == self.outage.start {
            self.idle.clear();
            let failure = Failure::new(FailureKind::Interrupted);
            ids.iter().for_each(|id| self.fail(*id, failure.clone()));
        } else if !self.line.is_silent(self.at) {
            ids.iter().for_each(|id| self.answer(*id));
        }
    }

    fn report_bytes(&mut self, id: RequestId) {
        let flight = self.flights.get_mut(&id).unwrap();
        let Some(range) = flight.range.clone().filter(|_| flight.is_told) else { return };
        let come = if flight.rest() < 0.5 { flight.length() } else { flight.carried as u64 };
        self.report.writes(range.start + flight.reported..range.start + come);
        self.machine.handle_moved(id, come - flight.reported);
        flight.reported = come;
    }

    fn fail(&mut self, id: RequestId, failure: Failure) {
        self.flights.remove(&id);
        self.machine.handle_failure(id, failure, self.now());
    }

    /// Tells of a head, or of an end.
    fn answer(&mut self, id: RequestId) {
        let now = self.now();
        let Some(flight) = self.flights.get_mut(&id).filter(|flight| flight.answered <= self.at) else {
            return;
        };
        if flight.is_refused {
            self.report.refused += 1;
            self.opened -= 1;
            return self.fail(id, Failure::new(FailureKind::Connect));
        }
        let Some(range) = flight.range.clone() else {
            self.idle.push(flight.connection);
            self.flights.remove(&id);
            let file = File::new("file-1").bytes(self.length);
            return self.machine.handle_retrieved(id, Ok(file), now);
        };
        if !flight.is_told {
            flight.is_told = true;
            let offset = self.machine.handle_answer(id, Ok(head(&range, self.length)), now);
            assert_eq!(offset, Some(range.start), "the machine wants what it asked for");
        } else if flight.rest() < 0.5 {
            self.idle.push(flight.connection);
            self.flights.remove(&id);
            self.machine.handle_end(id, now);
        }
    }
}

fn head(range: &Range<u64>, total: u64) -> DownloadHead {
    let mut head = DownloadHead::default();
    head.length = Some(range.end - range.start);
    head.range = Some(ContentRange { first: range.start, last: range.end - 1, total: Some(total) });
    head.etag = Some("\"1\"".into());
    head
}
