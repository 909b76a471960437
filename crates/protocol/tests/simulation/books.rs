//! The driver's own books on one process: what it saw leave and come back, and what follows from that.

mod comparisons;
mod cuts;
mod setbacks;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use http::{Method, Request};
use partwise_protocol::{
    machine::RequestId,
    transport::{Body, Segment},
    upload::{Parallel, Phase, Plan, Progress},
};

use crate::{
    line::Line,
    pace::Pace,
    patience::Ending,
    rules::{Rule, hold},
    saved::Saved,
};

/// How long the list is asked before a single request goes again.
const SETTLING: Duration = Duration::from_secs(30);

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Create,
    /// A part, by the place where it begins in the source.
    Part(u64),
    Complete,
    Post,
    List,
    /// The object of a file that may be ours.
    Object,
    /// The content of one.
    Content,
    Cancel,
}

#[derive(Debug)]
struct Flight {
    asked: Asked,
    number: u64,
    /// How many bytes its body has.
    length: u64,
    sent: u64,
    left_at: Duration,
}

/// How often a part failed: in all, and since any part was taken.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    /// The outage in which it failed last.
    excused: Option<u64>,
    all: u32,
    since: u32,
    taken_then: u64,
}

pub(crate) struct Books {
    plan: Plan,
    length: u64,
    /// The most bytes that a part may have.
    limit: u64,
    /// Where parts end, by where they begin: those that the checkpoint knew, and those that have left.
    ends: BTreeMap<u64, u64>,
    flights: BTreeMap<RequestId, Flight>,
    pub(crate) requests: u64,
    pub(crate) cancels: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) pace: Pace,
    pub(crate) line: Line,
    /// The service was away for as long as is waited for, when the last request came back.
    was_out_of_patience: bool,
    /// Parts that the checkpoint which this process began with knew as acknowledged.
    known: BTreeSet<u64>,
    /// Parts acknowledged to this process.
    acknowledged: BTreeSet<u64>,
    /// How many parts were taken, and their bytes.
    taken: u64,
    bytes_taken: u64,
    failures: BTreeMap<u64, Failures>,
    /// How often the parts, by where they begin, were interrupted since they were cut.
    interruptions: BTreeMap<u64, u32>,
    /// The single request has left, and how often it was interrupted in the middle of its body since.
    posted: Option<u32>,
    /// A single request stays one: it went again since the list did not have its file, or since no upload was opened for it.
    stays_single: bool,
    fell_back: bool,
    /// The failure that came last was the service's own.
    is_of_service: bool,
    /// This machine slept while the request was in flight that failed last.
    is_of_sleep: bool,
    /// Parts that wait for their turn, until when.
    waiting: BTreeMap<u64, Duration>,
    /// Parts that were sent.
    begun: BTreeSet<u64>,
    /// The request that is no part: which, and how often it failed.
    solo: (Option<Asked>, u32),
    /// The outage in which it failed last.
    solo_excused: Option<u64>,
    /// Until when it waits for its turn.
    solo_until: Duration,
    understood: bool,
    /// What became of the request that makes the file is not known.
    in_doubt: bool,
    completes_in_doubt: u32,
    listed_since: Option<Duration>,
    /// The last answer that made sense was one of the search.
    pub(crate) has_looked: bool,
    /// Files whose content is the source's, and files whose content is not served.
    equal: BTreeSet<String>,
    not_served: BTreeSet<String>,
    /// The upload that is open, as far as this process knows.
    pub(crate) upload: Option<String>,
    pub(crate) restarts: u32,
    /// The upload is of an earlier run, and no part of it was taken in this one.
    pub(crate) is_untried: bool,
    /// When the first part of this upload left, and how many bytes had left before.
    since: Option<(Duration, u64)>,
    /// A stamp said that the source is another one.
    pub(crate) saw_change: bool,
    /// The last stamp left it open.
    pub(crate) saw_touch: bool,
    /// The caller wants it to stop, or gives it up.
    pub(crate) stops: bool,
    pub(crate) gives_up: bool,
    /// An error that leaves something to resume ends it.
    pub(crate) fails: bool,
    /// The range of the source that is ready, where parts go in order.
    pub(crate) prepared: Option<(u64, u64)>,
}

/// Files as small as those of the stories say nothing about a line, so an open number stays what it is at first.
fn first_window(plan: &Plan) -> u16 {
    match plan.parallel {
        Parallel::Adaptive { most } => most.min(8),
        parallel => parallel.most(),
    }
}

impl Books {
    /// Of a process that begins with this checkpoint.
    pub(crate) fn new(plan: &Plan, length: u64, limit: u64, saved: Option<&str>) -> Self {
        let is_resumed = saved.is_some();
        let saved = saved.map(Saved::read).unwrap_or_default();
        Self {
            plan: plan.clone(),
            length,
            limit,
            ends: saved.acknowledged.clone(),
            flights: BTreeMap::new(),
            requests: 0,
            cancels: 0,
            bytes_sent: 0,
            pace: Pace::new(first_window(plan)),
            line: Line::default(),
            was_out_of_patience: false,
            known: saved.acknowledged.into_keys().collect(),
            acknowledged: BTreeSet::new(),
            taken: 0,
            bytes_taken: 0,
            failures: BTreeMap::new(),
            interruptions: BTreeMap::new(),
            posted: None,
            stays_single: false,
            fell_back: false,
            is_of_service: false,
            is_of_sleep: false,
            waiting: BTreeMap::new(),
            begun: BTreeSet::new(),
            solo: (None, 0),
            solo_excused: None,
            solo_until: Duration::ZERO,
            understood: false,
            in_doubt: saved.is_committing,
            completes_in_doubt: 0,
            listed_since: None,
            has_looked: false,
            equal: BTreeSet::new(),
            not_served: BTreeSet::new(),
            upload: saved.upload,
            restarts: 0,
            is_untried: is_resumed,
            since: None,
            saw_change: false,
            saw_touch: false,
            stops: false,
            gives_up: false,
            fails: false,
            prepared: None,
        }
    }

    /// Whether nothing may be sent any more.
    pub(crate) fn is_ending(&self) -> bool {
        (self.stops || self.fails) && !self.gives_up
    }

    pub(crate) fn flies(&self, id: RequestId) -> bool {
        self.flights.contains_key(&id)
    }

    pub(crate) fn is_anything_flying(&self) -> bool {
        !self.flights.is_empty()
    }

    pub(crate) fn abandon(&mut self, id: RequestId) -> bool {
        let flight = self.flights.remove(&id);
        if let Some(flight) = &flight {
            self.line.abandoned(flight.number);
        }
        flight.is_some()
    }

    /// How many acknowledged parts a crash would forget.
    pub(crate) fn at_risk(&self, saved: Option<&str>) -> usize {
        let saved = saved.map(Saved::read).unwrap_or_default();
        self.acknowledged.iter().filter(|start| !saved.acknowledged.contains_key(start)).count()
    }

    /// A request leaves.
    pub(crate) fn leaves(
        &mut self,
        id: RequestId,
        request: &Request<Body>,
        sent: u64,
        saved: Option<&str>,
        now: Duration,
    ) -> Asked {
        let range = range_of(request);
        let asked = asked(request, range);
        let may_leave = now >= self.pace.gate || asked == Asked::Cancel;
        hold(Rule::Gate, may_leave, || format!("{asked:?} leaves before the gate opens"));
        if asked != Asked::Cancel {
            self.line.leaves(self.requests, now);
        }
        match asked {
            Asked::Create => {
                self.fell_back(now);
                self.begin_upload();
            }
            Asked::Part(start) => self.part_leaves(start, range.unwrap(), now),
            Asked::Complete => self.complete_leaves(request, saved),
            Asked::Post => self.post_leaves(saved, now),
            Asked::List | Asked::Object | Asked::Content => {}
            Asked::Cancel => self.cancels += 1,
        }
        if !matches!(asked, Asked::Part(_)) {
            if self.solo.0 != Some(asked) {
                self.solo = (Some(asked), 0);
                self.solo_excused = None;
                self.solo_until = Duration::ZERO;
            }
            let until = self.solo_until;
            hold(Rule::Backoff, until <= now, || format!("{asked:?} goes {:?} too early", until - now));
        }
        let length = request.body().content_length();
        let flight = Flight { asked, number: self.requests, length, sent, left_at: now };
        self.requests += 1;
        self.bytes_sent += flight.sent;
        let is_new = self.flights.insert(id, flight).is_none();
        hold(Rule::StaleIgnored, is_new, || format!("{id:?} names two requests"));
        let (flying, parallel) = (self.flights.len(), self.plan.parallel.most());
        hold(Rule::Parallel, flying <= usize::from(parallel), || format!("{flying} fly, of {parallel}"));
        asked
    }

    /// A new upload has no parts yet.
    fn begin_upload(&mut self) {
        self.restarts += u32::from(self.upload.take().is_some());
        self.is_untried = false;
        self.known.clear();
        self.ends.clear();
        self.acknowledged.clear();
        self.begun.clear();
        self.waiting.clear();
        self.failures.clear();
        self.interruptions.clear();
        self.since = None;
    }

    fn part_leaves(&mut self, start: u64, range: (u64, u64), now: Duration) {
        self.may_be_cut_anew(range);
        self.part_is_whole(range);
        let is_there = self.known.contains(&start) || self.acknowledged.contains(&start);
        let flies = self.flights.values().any(|flight| flight.asked == Asked::Part(start));
        hold(Rule::NotSentAgain, !is_there && !flies, || format!("the part at {start} is sent once more"));
        match self.waiting.remove(&start) {
            Some(until) => {
                hold(Rule::Backoff, until <= now, || format!("the part at {start} goes too early"));
            }
            None => {
                let mut lowest = 0;
                while self.known.contains(&lowest) || self.begun.contains(&lowest) {
                    lowest = self.ends[&lowest];
                }
                hold(Rule::LowestFirst, lowest == start, || format!("{start} goes before {lowest}"));
            }
        }
        let ready = self.waiting.iter().filter(|(_, until)| **until <= now).map(|(other, _)| *other);
        if self.size_decides() {
            self.is_smallest(start, ready);
        } else {
            let lower = ready.into_iter().find(|other| *other < start);
            hold(Rule::LowestFirst, lower.is_none(), || format!("{start} goes before {lower:?}"));
        }
        let window = usize::from(self.pace.window);
        hold(Rule::Window, self.flights.len() < window, || format!("more than {window} parts fly"));
        self.begun.insert(start);
        self.since.get_or_insert((now, self.bytes_sent));
    }

    /// How many bytes these parts have.
    fn bytes_of<'s>(&self, starts: impl IntoIterator<Item = &'s u64>) -> u64 {
        starts.into_iter().map(|start| self.ends[start] - start).sum()
    }

    fn complete_leaves(&mut self, request: &Request<Body>, saved: Option<&str>) {
        let is_announced = saved.is_some_and(|saved| saved.contains("\"completing\":true"));
        hold(Rule::Announced, is_announced, || "complete leaves before it is announced".into());
        hold(Rule::SourceSame, !self.saw_change, || "complete leaves although the source changed".into());
        let body = request.body().clone().into_bytes().unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let is_as_wanted = body["md5"].is_string() || !(self.plan.md5 || self.saw_touch);
        hold(Rule::Md5, is_as_wanted, || format!("{} goes as MD5", body["md5"]));
        self.completes_in_doubt += u32::from(self.in_doubt);
        hold(Rule::CompleteOnce, self.completes_in_doubt <= 1, || "complete goes once more".into());
    }

    fn post_leaves(&mut self, saved: Option<&str>, now: Duration) {
        let is_announced = saved.is_some_and(|saved| saved.contains("\"posted_at\""));
        hold(Rule::Announced, is_announced, || "the file leaves before it is announced".into());
        if std::mem::take(&mut self.in_doubt) {
            let listed = self.listed_since.take().map(|since| now.saturating_sub(since));
            let is_settled = listed.is_some_and(|listed| listed >= SETTLING);
            hold(Rule::NoBlindPost, is_settled, || format!("the list was asked for {listed:?}"));
            self.posted = None;
            self.stays_single = true;
        }
        self.stays_single |= self.fell_back;
        let is_single = !self.has_to_fall_back();
        hold(Rule::FallsBack, is_single, || format!("after {:?} interruptions", self.posted));
        self.posted.get_or_insert(0);
    }

    /// A request that flew came to its end, and the machine has been told. `is_past`: the answer's date is past the expiry.
    pub(crate) fn comes_back(
        &mut self,
        id: RequestId,
        ending: &Ending<'_>,
        left: Option<u64>,
        [before, after]: [&Progress; 2],
        is_past: bool,
        now: Duration,
    ) -> Asked {
        let flight = self.flights.remove(&id).unwrap();
        self.was_out_of_patience = self.is_out_of_patience(now);
        if matches!(ending, Ending::Answered(_)) {
            self.line.answered(now);
        }
        let is_whole = left.is_none_or(|left| left >= flight.length);
        if let (Asked::Post, Ending::Failed(kind)) = (flight.asked, ending) {
            self.post_failed(*kind, left, flight.length);
        }
        match ending.setback() {
            None => self.succeeds(&flight, ending, now),
            Some(setback) => self.set_back(&flight, setback, is_whole, [before, after], is_past, now),
        }
        let rule = match ending.setback() {
            Some(setback) if setback.is_overload() => Rule::Halving,
            None => Rule::Raising,
            Some(_) => Rule::Window,
        };
        let (is, due) = (after.window, self.pace.window);
        let is_over = after.phase == Phase::Done || self.is_ending();
        hold(rule, is == due || is_over, || format!("the window is {is} and should be {due}"));
        flight.asked
    }

    fn succeeds(&mut self, flight: &Flight, ending: &Ending<'_>, now: Duration) {
        self.understood = true;
        self.has_looked = matches!(flight.asked, Asked::List | Asked::Object);
        if flight.asked != self.solo.0.unwrap_or(flight.asked) || self.has_looked {
            (self.solo.1, self.solo_excused) = (0, None);
        }
        match flight.asked {
            Asked::Create => {
                let Ending::Answered(answer) = ending else { return };
                let upload: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
                self.upload = upload["id"].as_str().map(str::to_owned);
                (self.solo.1, self.solo_excused) = (0, None);
            }
            Asked::Part(start) => {
                self.acknowledged.insert(start);
                self.is_untried = false;
                self.taken += 1;
                self.bytes_taken += self.bytes_of([&start]);
                self.pace.part_taken();
            }
            Asked::List => {
                self.listed_since.get_or_insert(now);
            }
            Asked::Complete | Asked::Post | Asked::Cancel | Asked::Object | Asked::Content => {}
        }
    }

    /// How long the rest would take, and since when that is measured.
    pub(crate) fn needed(&self, now: Duration) -> Option<Duration> {
        let (since, before) = self.since?;
        let (elapsed, sent) = (now.saturating_sub(since), self.bytes_sent - before);
        if elapsed <= Duration::from_secs(5) || sent == 0 {
            return None;
        }
        let there = self.bytes_of(self.known.union(&self.acknowledged));
        let flying: u64 = self.flights.values().map(|flight| flight.sent).sum();
        Some(elapsed.mul_f64(self.length.saturating_sub(there + flying) as f64 / sent as f64))
    }

    /// Holds the statistics against what was seen.
    pub(crate) fn check_counts(&self, progress: &Progress, elapsed: Duration) {
        let is = progress.statistics;
        let (attempts, retries) = (is.attempts, is.retries);
        let by_operation = attempts.create_upload
            + attempts.add_upload_part
            + attempts.complete_upload
            + attempts.cancel_upload
            + attempts.create_file
            + attempts.list_files
            + attempts.retrieve_file
            + attempts.download_file;
        let by_reason: u64 = retries.by_reason().iter().map(|(_, times)| times).sum();
        let is_right = (attempts.total, by_operation, by_reason)
            == (self.requests, self.requests, retries.total)
            && is.bytes_sent == self.bytes_sent
            && (is.bytes_acknowledged == self.bytes_taken || attempts.add_upload_part == 0)
            && is.held <= elapsed;
        hold(Rule::Counts, is_right, || format!("{is:?}, but {} requests were seen", self.requests));
    }
}

fn range_of(request: &Request<Body>) -> Option<(u64, u64)> {
    request.body().segments().iter().find_map(|segment| match segment {
        Segment::Source(range) => Some((range.start(), range.end())),
        Segment::Bytes(_) => None,
    })
}

fn asked(request: &Request<Body>, range: Option<(u64, u64)>) -> Asked {
    let path = request.uri().path();
    match (path.rsplit('/').next(), range) {
        (Some("uploads"), _) => Asked::Create,
        (Some("parts"), Some((start, _))) => Asked::Part(start),
        (Some("complete"), _) => Asked::Complete,
        (Some("cancel"), _) => Asked::Cancel,
        (Some("files"), _) if request.method() == Method::GET => Asked::List,
        (Some("files"), Some(_)) => Asked::Post,
        (Some(id), None) if id.starts_with("file-") && request.method() == Method::GET => Asked::Object,
        _ => panic!("the machine never sends {} {path}", request.method()),
    }
}
