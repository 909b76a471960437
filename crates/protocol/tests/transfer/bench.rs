//! A test bench: feeds a machine by hand and writes down what it does.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use partwise_models::{File, Purpose, UnixSeconds};
use partwise_protocol::{
    Api,
    machine::{Action, Attempt, Machine as _, Now, RequestId, TransferState},
    retry::Offline,
    transport::{Failure, FailureKind, SourceError},
    upload::{
        Checkpoint, Comparison, Plan, RouteChoice, SourceStamp, UploadAction, UploadError, UploadMachine,
        UploadTask,
    },
};

/// Our wall clock when a bench begins.
pub(crate) const BEGAN: u64 = 1_719_184_911;

pub(crate) struct Bench {
    pub(crate) machine: UploadMachine,
    pub(crate) time: Duration,
    /// Names of the requests under way, in the order in which they left.
    pub(crate) flying: Vec<RequestId>,
    /// What every request that left was about.
    pub(crate) attempts: Vec<Attempt>,
    /// The Content-Type of every form that left.
    pub(crate) forms: Vec<String>,
    pub(crate) saved: Option<Checkpoint>,
    pub(crate) end: Option<Result<File, UploadError>>,
    /// Whether saves are reported as soon as they are asked for.
    pub(crate) saves_at_once: bool,
    /// By how many seconds our wall clock was set forward or back.
    pub(crate) step: i64,
    /// The tasks that hash and stamp, until they are reported.
    pub(crate) hashing: Option<RequestId>,
    pub(crate) stamping: Option<RequestId>,
    /// The task that waits for the source of a part, until it is reported.
    pub(crate) preparing: Option<RequestId>,
    log: Vec<String>,
}

pub(crate) fn plan() -> Plan {
    let mut plan = Plan::new("train.jsonl", "application/jsonl", Purpose::FineTune);
    plan.route = RouteChoice::Parts;
    plan.part_size = Some(10);
    plan.parallel = 2.into();
    plan
}

impl Bench {
    /// A machine for a source of 25 bytes at OpenAI.
    pub(crate) fn new(plan: Plan) -> Self {
        Self::of(UploadMachine::new(Api::openai(), plan, SourceStamp::new(25), [1; 32]).unwrap())
    }

    pub(crate) fn of(machine: UploadMachine) -> Self {
        Self {
            machine,
            time: Duration::ZERO,
            flying: Vec::new(),
            attempts: Vec::new(),
            forms: Vec::new(),
            saved: None,
            end: None,
            saves_at_once: true,
            step: 0,
            hashing: None,
            stamping: None,
            preparing: None,
            log: Vec::new(),
        }
    }

    /// A machine whose upload is open and whose first parts are under way.
    pub(crate) fn sending(plan: Plan) -> Self {
        let mut bench = Self::new(plan);
        bench.run();
        bench.answer(0, 200, &upload_json(3600));
        bench
    }

    pub(crate) fn now(&self) -> Now {
        let unix = BEGAN.saturating_add(self.time.as_secs()).saturating_add_signed(self.step);
        Now { monotonic: self.time, unix: UnixSeconds(unix) }
    }

    /// How the service is away, as the progress tells.
    pub(crate) fn offline(&self) -> Option<Offline> {
        match self.machine.progress().state {
            TransferState::Offline(offline) => Some(offline),
            _ => None,
        }
    }

    /// Of the request under way at `index`, one byte leaves each second.
    pub(crate) fn trickle(&mut self, index: usize, seconds: u64) {
        for _ in 0..seconds {
            self.machine.handle_moved(self.flying[index], 1);
            self.pass(Duration::from_secs(1));
        }
    }

    /// Polls until there is nothing to do; gives back when there will be. Time passes while nothing is under way and the service
    /// cannot be reached.
    pub(crate) fn run(&mut self) -> Option<Duration> {
        loop {
            let action = self.machine.poll(self.now());
            if let Action::Wait { until } = action {
                let offline = self.offline().filter(|_| self.flying.is_empty());
                match offline.filter(|offline| offline.next_attempt > self.time) {
                    Some(offline) => self.time = offline.next_attempt,
                    None => return until,
                }
                continue;
            }
            self.log.push(describe(&action));
            match action {
                Action::Start { id, task: UploadTask::Send { attempt, request, .. } } => {
                    self.flying.push(id);
                    self.attempts.push(attempt);
                    let content_type =
                        request.headers().get("content-type").map(|value| value.to_str().unwrap());
                    self.forms.extend(
                        content_type.filter(|value| value.starts_with("multipart")).map(str::to_owned),
                    );
                }
                Action::Abandon(id) => self.flying.retain(|other| *other != id),
                Action::Save(checkpoint) => {
                    self.saved = Some(checkpoint);
                    if self.saves_at_once {
                        self.machine.handle_saved(Ok(()));
                    }
                }
                Action::Done(result) => self.end = Some(result),
                Action::Start { id, task: UploadTask::Compare { attempt, .. } } => {
                    self.flying.push(id);
                    self.attempts.push(attempt);
                }
                Action::Start { id, task: UploadTask::Hash(_) } => self.hashing = Some(id),
                Action::Start { id, task: UploadTask::Stamp } => self.stamping = Some(id),
                Action::Start { id, task: UploadTask::Prepare(_) } => self.preparing = Some(id),
                Action::Wait { .. } => {}
            }
        }
    }

    /// Answers the request under way at this position, and runs on.
    pub(crate) fn answer(&mut self, position: usize, status: u16, body: &str) -> Option<Duration> {
        self.answer_with(position, status, &[], body)
    }

    pub(crate) fn answer_with(
        &mut self,
        position: usize,
        status: u16,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Duration> {
        self.answer_after(position, None, status, headers, body)
    }

    /// Answers when at most `left` bytes of the request's body have left.
    pub(crate) fn answer_after(
        &mut self,
        position: usize,
        left: Option<u64>,
        status: u16,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Duration> {
        let id = self.flying.remove(position);
        self.log.push(format!("  <- {status} {body}"));
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        let now = self.now();
        match left {
            None => self.machine.handle_sent(id, Ok(response), now),
            left => self.machine.handle_response(id, response, left, now),
        }
        self.run()
    }

    /// Fails the request under way at this position, and runs on.
    pub(crate) fn fail(&mut self, position: usize, kind: FailureKind) -> Option<Duration> {
        self.fail_with(position, Failure::with_cause(kind, "no route to host"))
    }

    pub(crate) fn fail_with(&mut self, position: usize, failure: Failure) -> Option<Duration> {
        let id = self.flying.remove(position);
        self.log.push(format!("  <- {:?}", failure.kind));
        let now = self.now();
        self.machine.handle_sent(id, Err(failure), now);
        self.run()
    }

    /// Reports the comparison that is under way, and runs on.
    pub(crate) fn compare(&mut self, result: Comparison) -> Option<Duration> {
        let id = self.flying.remove(0);
        self.log.push(format!("  <- {result:?}"));
        let now = self.now();
        self.machine.handle_compared(id, Ok(result), now);
        self.run()
    }

    pub(crate) fn stamp(&mut self, length: u64) -> Option<Duration> {
        self.stamped(Ok(SourceStamp::new(length)));
        self.run()
    }

    /// Reports the stamp that was asked for last.
    pub(crate) fn stamped(&mut self, stamp: Result<SourceStamp, SourceError>) {
        self.machine.handle_stamped(self.stamping.take().expect("a stamp was asked for"), stamp);
    }

    /// Reports that the source of the next part is ready, or cannot be read, and runs on.
    pub(crate) fn prepared(&mut self, result: Result<(), SourceError>) -> Option<Duration> {
        self.machine.handle_prepared(self.preparing.take().expect("a source is waited for"), result);
        self.run()
    }

    /// Reports the MD5 that was asked for last.
    pub(crate) fn hashed(&mut self, digest: Result<[u8; 16], SourceError>) {
        self.machine.handle_hashed(self.hashing.take().expect("an MD5 was asked for"), digest);
    }

    /// Lets time pass, and runs on.
    pub(crate) fn pass(&mut self, time: Duration) -> Option<Duration> {
        self.time += time;
        self.run()
    }

    /// What was asked for and answered so far, a line each; starts over.
    pub(crate) fn log(&mut self) -> String {
        std::mem::take(&mut self.log).join("\n")
    }

    /// The error that the machine ended with, with its causes on one line.
    pub(crate) fn error(&mut self) -> String {
        let error = self.end.take().expect("the machine has ended").expect_err("it ended without a file");
        let mut line = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(next) = cause {
            line.push_str(": ");
            line.push_str(&next.to_string());
            cause = next.source();
        }
        line
    }

    /// Answers all three parts of a machine that is sending.
    pub(crate) fn finish_parts(&mut self) {
        for part in ["part_a", "part_b", "part_c"] {
            self.answer(0, 200, &part_json(part));
        }
    }
}

/// The `Date` of an answer that the service gives so many seconds after a bench began.
pub(crate) fn date(seconds: u64) -> String {
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(BEGAN + seconds))
}

pub(crate) fn upload_json(lifetime: u64) -> String {
    format!(
        r#"{{"id":"upload_1","created_at":{BEGAN},"expires_at":{},"status":"pending"}}"#,
        BEGAN + lifetime
    )
}

pub(crate) fn part_json(id: &str) -> String {
    format!(r#"{{"id":"{id}","object":"upload.part"}}"#)
}

pub(crate) fn file_json(id: &str, created: u64) -> String {
    format!(
        r#"{{"id":"{id}","bytes":25,"filename":"train.jsonl","purpose":"fine-tune","created_at":{created}}}"#
    )
}

pub(crate) fn completed_json() -> String {
    format!(r#"{{"id":"upload_1","status":"completed","file":{}}}"#, file_json("file-1", BEGAN))
}

pub(crate) fn list_json(files: &[String]) -> String {
    format!(r#"{{"object":"list","data":[{}],"has_more":false}}"#, files.join(","))
}

fn describe(action: &UploadAction) -> String {
    match action {
        Action::Start { task: UploadTask::Send { request, .. }, .. } => {
            let uri = request.uri().path_and_query().unwrap();
            let content = request.body().segments().iter().find_map(|segment| match segment {
                partwise_protocol::transport::Segment::Source(range) => {
                    Some(format!(" {}..{}", range.start(), range.end()))
                }
                partwise_protocol::transport::Segment::Bytes(_) => None,
            });
            let json = request.body().clone().into_bytes().ok().filter(|text| text.starts_with(b"{"));
            let body = content.or_else(|| json.map(|text| format!(" {}", String::from_utf8_lossy(&text))));
            format!("{} {uri}{}", request.method(), body.unwrap_or_default())
        }
        Action::Abandon(_) => "abandon".to_owned(),
        Action::Start { task: UploadTask::Hash(range), .. } => {
            format!("hash {}..{}", range.start(), range.end())
        }
        Action::Start { task: UploadTask::Stamp, .. } => "stamp".to_owned(),
        Action::Start { task: UploadTask::Prepare(range), .. } => {
            format!("prepare {}..{}", range.start(), range.end())
        }
        Action::Start { task: UploadTask::Compare { file_id, .. }, .. } => format!("compare {file_id}"),
        Action::Save(checkpoint) => format!("save {:?}", checkpoint.acknowledged()),
        Action::Wait { .. } => "wait".to_owned(),
        Action::Done(Ok(file)) => format!("done: {}", file.id),
        Action::Done(Err(error)) => format!("done: {error}"),
    }
}
