//! A service in memory, a disk, and a run between them.

use std::{ops::Range, time::Duration};

use http::StatusCode;
use partwise_models::{File, UnixSeconds};

use crate::{
    Api,
    download::{
        DownloadCheckpoint, DownloadError, DownloadMachine, DownloadPlan, DownloadTask, coverage::Coverage,
    },
    error::{ApiError, ResponseError},
    machine::{Action, Machine as _, Now, RequestId},
    operations::{DownloadFile, DownloadHead},
    retry::RetryPolicy,
    transport::{Failure, FailureKind},
};

/// What a service makes of a request for a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serves {
    Ranges,
    /// At most so many bytes at once, whatever was asked for.
    Short(u64),
    /// Everything, whatever was asked for.
    Whole,
    /// Everything, and does not say how much that is.
    WholeWithoutLength,
    /// A range, without saying of how much.
    RangesWithoutTotal,
    /// Another range than it was asked for.
    OtherRanges,
}

pub(super) struct Service {
    pub(super) content: Vec<u8>,
    pub(super) etag: Option<&'static str>,
    pub(super) serves: Serves,
}

impl Service {
    pub(super) fn new(length: u64, serves: Serves) -> Self {
        Self { content: (0..length).map(|at| (at * 31 % 251) as u8).collect(), etag: Some("\"a\""), serves }
    }

    pub(super) fn length(&self) -> u64 {
        self.content.len() as u64
    }

    /// Gives it another content, as long as the one before.
    pub(super) fn change(&mut self) {
        self.content.iter_mut().for_each(|byte| *byte ^= 0x55);
        self.etag = if self.etag == Some("\"a\"") { Some("\"b\"") } else { Some("\"a\"") };
    }

    /// The head of the answer, and which bytes follow.
    pub(super) fn answer(
        &self,
        operation: &DownloadFile,
    ) -> (Result<DownloadHead, ResponseError>, Range<u64>) {
        let mut head = DownloadHead { etag: self.etag.map(str::to_owned), ..DownloadHead::default() };
        let is_same = operation.if_range.is_none() || operation.if_range.as_deref() == self.etag;
        let asked = operation.range.filter(|_| is_same);
        let (Some(asked), false) = (asked, matches!(self.serves, Serves::Whole | Serves::WholeWithoutLength))
        else {
            head.length = (self.serves != Serves::WholeWithoutLength).then(|| self.length());
            return (Ok(head), 0..self.length());
        };
        let Some(mut range) = asked.within(self.length()) else {
            let refusal = ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "no");
            return (Err(ResponseError::Rejected(refusal.into())), 0..0);
        };
        match self.serves {
            Serves::Short(most) => range.last = range.last.min(range.first + most - 1),
            Serves::RangesWithoutTotal => range.total = None,
            Serves::OtherRanges => range.first = 0,
            _ => {}
        }
        head.length = Some(range.len());
        head.range = Some(range);
        (Ok(head), range.first..range.last + 1)
    }
}

/// Numbers that a test case draws, again and again.
pub(super) struct Dice<'d>(pub(super) std::iter::Cycle<std::slice::Iter<'d, u8>>);

impl Dice<'_> {
    pub(super) fn draw(&mut self, sides: usize) -> usize {
        usize::from(*self.0.next().unwrap_or(&0)) % sides.max(1)
    }
}

/// A request that is under way.
pub(super) struct Running {
    pub(super) id: RequestId,
    pub(super) operation: DownloadFile,
    /// Where the next byte is written, and which bytes of the content still come.
    pub(super) answered: Option<(u64, Range<u64>)>,
}

/// What is left of a run that was killed.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) bytes: Vec<Option<u8>>,
    /// How often each byte was written.
    pub(super) writes: Vec<u32>,
    pub(super) checkpoint: Option<DownloadCheckpoint>,
}

impl Disk {
    /// What the checkpoint that is in force says is there.
    pub(super) fn known(&self) -> Coverage {
        self.checkpoint.as_ref().map(|saved| saved.written.clone()).unwrap_or_default()
    }
}

pub(super) struct Run<'r> {
    pub(super) service: &'r Service,
    pub(super) disk: Disk,
    pub(super) running: Vec<Running>,
    /// A checkpoint on its way: it is in force at the latest when the machine hears of it.
    pub(super) saving: Option<DownloadCheckpoint>,
    pub(super) now: Duration,
    /// How much may still go wrong.
    pub(super) faults: u32,
    /// How much of it before the service ever answered.
    pub(super) early_faults: u32,
}

pub(super) const PATIENT: u32 = 8;
pub(super) const ENTROPY: [u8; 32] = [5; 32];

pub(super) fn at(monotonic: Duration) -> Now {
    Now { monotonic, unix: UnixSeconds(1) }
}

pub(super) fn plan(parallel: u16, range_size: u64) -> DownloadPlan {
    DownloadPlan { parallel, range_size: Some(range_size), ..DownloadPlan::new("file-1") }
}

impl<'r> Run<'r> {
    pub(super) fn new(service: &'r Service, disk: Disk) -> Self {
        Self {
            service,
            disk,
            running: Vec::new(),
            saving: None,
            now: Duration::ZERO,
            faults: PATIENT - 1,
            early_faults: RetryPolicy::default().max_failures_before_contact,
        }
    }

    pub(super) fn now(&self) -> Now {
        Now { monotonic: self.now, unix: UnixSeconds(1) }
    }

    /// Runs to the end, or until it is killed after so many steps.
    pub(super) fn until_end(
        &mut self,
        machine: &mut DownloadMachine,
        dice: &mut Dice<'_>,
        kill: usize,
    ) -> Option<Result<(), DownloadError>> {
        for _ in 0..kill {
            match machine.poll(self.now()) {
                Action::Start { id, task: DownloadTask::Send { operation, .. } } => {
                    self.running.push(Running { id, operation, answered: None });
                }
                Action::Start { id, task: DownloadTask::Retrieve { .. } } => {
                    let file = File::new("file-1").bytes(self.service.length());
                    machine.handle_retrieved(id, Ok(file), self.now());
                }
                Action::Abandon(id) => self.running.retain(|running| running.id != id),
                Action::Save(checkpoint) => {
                    assert!(self.saving.is_none(), "one at a time");
                    // A record that is read again says the same.
                    let json = serde_json::to_vec(&checkpoint).unwrap();
                    self.saving = Some(DownloadCheckpoint::from_json(&json).unwrap());
                }
                Action::Wait { until } => self.step(machine, dice, until),
                Action::Done(result) => {
                    assert!(
                        self.saving.is_none()
                            && matches!(machine.poll(self.now()), Action::Wait { until: None })
                    );
                    return Some(result);
                }
            }
        }
        None
    }

    pub(super) fn step(
        &mut self,
        machine: &mut DownloadMachine,
        dice: &mut Dice<'_>,
        until: Option<Duration>,
    ) {
        assert!(self.running.len() <= 5, "never more than the plan allows");
        assert!(until.is_none_or(|until| until > self.now), "it waits for what has passed");
        self.now += Duration::from_millis(dice.draw(200) as u64);
        if self.saving.is_some() && (self.running.is_empty() || dice.draw(3) == 0) {
            self.disk.checkpoint = self.saving.take();
            machine.handle_saved(Ok(()));
        } else if self.running.is_empty() {
            self.now = self.now.max(until.expect("there is always something to wait for"));
        } else {
            let which = dice.draw(self.running.len());
            self.advance(machine, dice, which);
        }
    }

    pub(super) fn advance(&mut self, machine: &mut DownloadMachine, dice: &mut Dice<'_>, which: usize) {
        let now = self.now();
        let fails = self.faults > 0 && self.early_faults > 0 && dice.draw(5) == 0;
        let Running { id, operation, answered } = &mut self.running[which];
        let id = *id;
        match answered {
            _ if fails => {
                self.faults -= 1;
                self.early_faults -= 1;
                self.running.swap_remove(which);
                machine.handle_failure(id, Failure::new(FailureKind::Interrupted), now);
            }
            None => {
                let (head, bytes) = self.service.answer(operation);
                if head.is_ok() {
                    self.early_faults = PATIENT;
                }
                match machine.handle_answer(id, head, now) {
                    Some(offset) => *answered = Some((offset, bytes)),
                    None => self.running.retain(|running| running.id != id),
                }
            }
            Some((_, rest)) if rest.is_empty() => {
                self.running.swap_remove(which);
                machine.handle_end(id, now);
            }
            Some((offset, rest)) => {
                let most = (rest.end - rest.start).min(1 + dice.draw(64) as u64);
                let mut with = self.disk.known();
                with.insert(*offset..*offset + most);
                assert_eq!(
                    with.len(),
                    self.disk.known().len() + most,
                    "a checkpoint in force says it is there"
                );
                for at in rest.start..rest.start + most {
                    let place = (*offset + at - rest.start) as usize;
                    let room = self.disk.bytes.len().max(place + 1);
                    self.disk.bytes.resize(room, None);
                    self.disk.writes.resize(room, 0);
                    self.disk.bytes[place] = Some(self.service.content[at as usize]);
                    self.disk.writes[place] += 1;
                }
                (*offset, rest.start) = (*offset + most, rest.start + most);
                machine.handle_moved(id, most);
            }
        }
    }

    pub(super) fn assert_complete(&self) {
        let bytes: Option<Vec<u8>> = self.disk.bytes.iter().copied().collect();
        assert!(bytes.as_ref() == Some(&self.service.content), "the bytes are others");
    }
}

pub(super) fn api() -> Api {
    Api::openai()
}

pub(super) const LONG: usize = 100_000;

/// Runs without anything going wrong until `until` says so.
pub(super) fn begun(
    service: &Service,
    parallel: u16,
    until: impl Fn(&DownloadMachine) -> bool,
) -> (DownloadMachine, Disk) {
    let mut machine = DownloadMachine::new(&api(), plan(parallel, 100), ENTROPY);
    let mut dice = Dice([7, 1, 3].iter().cycle());
    let mut run = Run::new(service, Disk::default());
    run.faults = 0;
    while !until(&machine) {
        assert!(run.until_end(&mut machine, &mut dice, 1).is_none());
    }
    (machine, run.disk)
}

pub(super) fn checkpoint(machine: &mut DownloadMachine) -> DownloadCheckpoint {
    machine.stop();
    loop {
        match machine.poll(at(Duration::ZERO)) {
            Action::Abandon(_) => {}
            Action::Save(checkpoint) => {
                machine.handle_saved(Ok(()));
                assert!(matches!(
                    machine.poll(at(Duration::ZERO)),
                    Action::Done(Err(DownloadError::Stopped { cause: None }))
                ));
                return checkpoint;
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn halfway(machine: &DownloadMachine) -> bool {
    machine.progress().bytes_written >= 500
}

/// Answers that there is no object.
pub(super) fn retrieved(machine: &mut DownloadMachine, id: RequestId, now: Now) {
    let refusal = ApiError::new(StatusCode::NOT_FOUND, "no");
    machine.handle_retrieved(id, Err(ResponseError::Rejected(refusal.into())), now);
}

/// Lets time pass until so many more requests were sent.
pub(super) fn sent(machine: &mut DownloadMachine, now: &mut Now, requests: usize) -> Vec<RequestId> {
    let mut sent = Vec::new();
    while sent.len() < requests {
        match machine.poll(*now) {
            Action::Start { id, task: DownloadTask::Send { .. } } => sent.push(id),
            Action::Start { id, task: DownloadTask::Retrieve { .. } } => retrieved(machine, id, *now),
            Action::Save(_) => machine.handle_saved(Ok(())),
            Action::Wait { until } => now.monotonic = until.expect("something is to come"),
            other => panic!("{other:?}"),
        }
    }
    sent
}
