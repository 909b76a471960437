//! What becomes of a request on its way, and of everything else that takes time.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use partwise_protocol::{
    machine::{Machine as _, RequestId, SaveError},
    transport::{Body, Failure, FailureKind, SourceError},
    upload::{Comparison, Phase},
};

use crate::books::Asked;
use crate::faults;
use crate::patience::Ending;
use crate::process::Process;
use crate::rules::{Rule, hold};
use crate::world::{Event, World, digest};

impl World {
    /// Time goes on to the next event or deadline, whichever is first.
    pub(crate) fn pass_time(&mut self, process: &mut Process, until: Option<Duration>) {
        let next = self.events.first_key_value().map(|(key, _)| *key);
        match (next, until) {
            (Some(key), until) if until.is_none_or(|until| key.0 <= until) => {
                self.time = self.time.max(key.0);
                let event = self.events.remove(&key).expect("it was there a moment ago");
                self.happen(process, event);
            }
            (_, Some(until)) => {
                let rule = if process.cancelled_at.is_some() { Rule::CancelEnds } else { Rule::Ends };
                hold(rule, until > self.time, || "a deadline has passed and nothing was done".into());
                self.time = until;
            }
            (_, None) => hold(Rule::Ends, false, || "the machine waits for nothing".into()),
        }
    }

    /// What becomes of a request on its way to the service.
    pub(crate) fn take_off(&mut self, id: RequestId, request: Request<Body>) {
        let process = self.process_number;
        let (parts, body) = request.into_parts();
        let content = match body.resolve(&self.source.content) {
            Ok(content) if self.source.readable => content,
            _ => {
                let failed = Event::Fail { process, id, kind: FailureKind::Source, left: 0 };
                return self.schedule(Duration::ZERO, failed);
            }
        };
        let length = content.len() as u64;
        if parts.method == Method::POST && parts.uri.path().ends_with("/files") {
            self.sent.insert(id, self.source.content.clone());
        }
        let request = Request::from_parts(parts, content);
        let faults = self.faults.clone();
        let patience = Duration::from_secs(4) + self.dice.millis(4000);
        if self.away.contains(&self.time) || self.dice.chance(faults.connect) {
            let failed = Event::Fail { process, id, kind: FailureKind::Connect, left: 0 };
            return self.schedule(Duration::ZERO, failed);
        }
        if self.dice.chance(faults.request_lost) {
            let failed = Event::Fail { process, id, kind: FailureKind::Timeout, left: length };
            return self.schedule(patience, failed);
        }
        let delay = self.delay();
        if self.dice.chance(faults.reset) {
            // The service never has the whole of it, whatever the driver knows.
            let left = if self.dice.chance(600) { self.dice.below(length.max(1)) } else { length };
            let failed = Event::Fail { process, id, kind: FailureKind::Interrupted, left };
            return self.schedule(delay, failed);
        }
        let makes_file = request.uri().path().ends_with("/files") && request.method() == Method::POST;
        if !makes_file && self.dice.chance(faults.request_doubled) {
            let later = delay + self.delay();
            let request = request.clone();
            self.schedule(later, Event::Arrive { process, id, request, answered: false, left: length });
        }
        self.schedule(delay, Event::Arrive { process, id, request, answered: true, left: length });
    }

    fn happen(&mut self, process: &mut Process, event: Event) {
        let mine = self.process_number;
        match event {
            Event::Arrive { process, id, request, answered, left } => {
                self.arrive(process, id, request, answered, left);
            }
            Event::Answer { process: sender, id, response, left } if sender == mine => {
                let body = String::from_utf8_lossy(response.body());
                self.tell(format_args!("{id:?} is answered {}: {body}", response.status()));
                let told = response.clone();
                let left = self.counts_left.then_some(left);
                self.come_back(process, id, &Ending::Answered(&response), left, |process, now| {
                    process.transfer.handle_response(id, told, left, now);
                });
            }
            Event::Fail { process: sender, id, kind, left } if sender == mine => {
                self.tell(format_args!("{id:?} fails: {kind:?}"));
                let mut failure = Failure::with_cause(kind, "the story wants it");
                if self.counts_left {
                    failure = failure.with_left(left);
                }
                let left = failure.left;
                self.come_back(process, id, &Ending::Failed(kind), left, |process, now| {
                    process.transfer.handle_failure(id, failure, now);
                });
            }
            Event::Compared { process: sender, id, file_id, sent, fails } if sender == mine => {
                let result = self.compare(&file_id, sent, fails);
                self.tell(format_args!("{id:?}: {file_id} is compared: {result:?}"));
                let now = self.clock(process);
                if process.books.comparison_ends(id, &file_id, result.as_ref().ok(), now.monotonic) {
                    process.transfer.handle_compared(id, result, now);
                }
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
            Event::Hashed { process: sender, id, content, fails } if sender == mine => {
                let content = content.as_ref().unwrap_or(&self.source.content);
                let digest = if fails { Err(()) } else { Ok(digest(content)) };
                self.tell(format_args!("the source is hashed: {digest:?}"));
                process.books.fails |= digest.is_err();
                process.transfer.handle_hashed(id, digest.map_err(|()| SourceError::new("unreadable")));
            }
            Event::Prepared { process: sender, id, range, fails } if sender == mine => {
                self.tell(format_args!("the source is ready up to {}: {}", range.end(), !fails));
                let result = if fails { Err(SourceError::new("unreadable")) } else { Ok(()) };
                process.books.prepared = result.is_ok().then_some((range.start(), range.end()));
                process.books.fails |= result.is_err();
                process.transfer.handle_prepared(id, result);
            }
            Event::Stamped { process: sender, id } if sender == mine => {
                process.books.saw_change |= self.source.changes != self.begun_with;
                process.books.saw_touch = self.source.touches != self.touched_then;
                let stamp = self.source.readable.then(|| self.source.stamp());
                process.books.fails |=
                    stamp.is_none() && process.transfer.progress().phase == Phase::Checking;
                process.transfer.handle_stamped(id, stamp.ok_or_else(|| SourceError::new("gone")));
            }
            // Of a process that is no more.
            _ => {}
        }
    }

    /// What a driver finds out about a file that the machine cannot tell from the source's by its object.
    fn compare(
        &self,
        file_id: &str,
        sent: Option<RequestId>,
        fails: bool,
    ) -> Result<Comparison, SourceError> {
        if !self.source.readable {
            return Err(SourceError::new("unreadable"));
        }
        if let Some(sent) = sent.filter(|_| self.takes_digests).and_then(|sent| self.sent.get(&sent)) {
            let is_same = *sent == self.source.content;
            return Ok(if is_same { Comparison::Equal } else { Comparison::Different });
        }
        let stored = self.service.files.iter().find(|stored| stored.file.id == file_id);
        Ok(match stored {
            _ if fails => Comparison::Unknown,
            Some(_) if !self.service.serves_content => Comparison::NotServed,
            Some(stored) if stored.content == self.source.content => Comparison::Equal,
            Some(_) => Comparison::Different,
            None => Comparison::NotServed,
        })
    }

    /// The machine is told how a request ended, and what it makes of it is looked at.
    fn come_back(
        &self,
        process: &mut Process,
        id: RequestId,
        ending: &Ending<'_>,
        left: Option<u64>,
        tell: impl FnOnce(&mut Process, partwise_protocol::machine::Now),
    ) {
        let (now, before) = (self.clock(process), process.transfer.progress());
        let is_past = self.is_past(process, ending);
        tell(process, now);
        let after = process.transfer.progress();
        if !process.books.flies(id) {
            return hold(Rule::StaleIgnored, before == after, || {
                format!("{id:?} had ended, and changes {after:?}")
            });
        }
        let asked = process.books.comes_back(id, ending, left, [&before, &after], is_past, now.monotonic);
        let Ending::Answered(answer) = ending else { return };
        process.knows_clock |=
            answer.headers().contains_key("date") || (asked == Asked::Create && ending.setback().is_none());
        if matches!(asked, Asked::Part(_) | Asked::Complete) && ending.setback().is_some() {
            process.rejected_at = Some(self.time);
        }
    }

    /// Whether this answer's date is past the expiry of the upload.
    fn is_past(&self, process: &Process, ending: &Ending<'_>) -> bool {
        let Ending::Answered(answer) = ending else { return false };
        let date =
            answer.headers().get("date").and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let expiry = process.books.upload.as_deref().and_then(|id| self.service.expiry_of(id));
        let at = |expiry| std::time::UNIX_EPOCH + Duration::from_millis(expiry);
        date.zip(expiry).is_some_and(|(date, expiry)| date >= at(expiry))
    }

    /// A request reaches the service.
    pub(crate) fn arrive(
        &mut self,
        process: u32,
        id: RequestId,
        request: Request<Bytes>,
        answered: bool,
        left: u64,
    ) {
        let faults = self.faults.clone();
        let clock = self.service_clock();
        let back = self.delay();
        self.tell(format_args!("{id:?} of [{process}] arrives: {} {}", request.method(), request.uri()));
        self.quota_exhausted |= self.dice.chance(faults.quota);
        if self.quota_exhausted {
            let response = faults::quota_exhausted(&mut self.dice);
            return self.schedule(back, Event::Answer { process, id, response, left });
        }
        if answered && self.dice.chance(faults.refused_before) {
            let response = faults::refusal(&mut self.dice, false, clock / 1000);
            // Now and then before it has the whole of it.
            let left = if self.dice.chance(300) { self.dice.below(left.max(1)) } else { left };
            return self.schedule(back, Event::Answer { process, id, response, left });
        }
        if answered && self.dice.chance(faults.refused_finally) {
            let response = faults::final_refusal(&mut self.dice);
            return self.schedule(back, Event::Answer { process, id, response, left });
        }
        let is_stranger = self.strangers.contains(&process);
        let mut response = match is_stranger {
            true => self.service.answer_to_stranger(&request, clock),
            false => self.service.answer(request, clock),
        };
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
            return self.schedule(back, Event::Fail { process, id, kind, left });
        }
        if self.dice.chance(faults.answer_doubled) {
            let later = back + self.delay();
            let response = response.clone();
            self.schedule(later, Event::Answer { process, id, response, left });
        }
        self.schedule(back, Event::Answer { process, id, response, left });
    }
}
