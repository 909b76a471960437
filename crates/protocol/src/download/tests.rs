//! The machine against a service in memory, in virtual time.

use bytes::Bytes;
use http::{Response, StatusCode};
use partwise_models::{File, UnixSeconds};
use proptest::prelude::*;

use super::*;
use crate::{
    ApiError, DownloadHead, Failure, FailureKind, Now, Operation, ResponseError, RetryPolicy, ServiceState,
};

/// What a service makes of a request for a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Serves {
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

struct Service {
    content: Vec<u8>,
    etag: Option<&'static str>,
    serves: Serves,
}

impl Service {
    fn new(length: u64, serves: Serves) -> Self {
        Self { content: (0..length).map(|at| (at * 31 % 251) as u8).collect(), etag: Some("\"a\""), serves }
    }

    fn length(&self) -> u64 {
        self.content.len() as u64
    }

    /// Gives it another content, as long as the one before.
    fn change(&mut self) {
        self.content.iter_mut().for_each(|byte| *byte ^= 0x55);
        self.etag = if self.etag == Some("\"a\"") { Some("\"b\"") } else { Some("\"a\"") };
    }

    /// The head of the answer, and which bytes follow.
    fn answer(&self, operation: &DownloadFile) -> (Result<DownloadHead, ResponseError>, Range<u64>) {
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
            return (Err(ResponseError::Refused(refusal.into())), 0..0);
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
struct Dice<'d>(std::iter::Cycle<std::slice::Iter<'d, u8>>);

impl Dice<'_> {
    fn draw(&mut self, sides: usize) -> usize {
        usize::from(*self.0.next().unwrap_or(&0)) % sides.max(1)
    }
}

/// A request that is under way.
struct Running {
    id: RequestId,
    operation: DownloadFile,
    /// Where the next byte is written, and which bytes of the content still come.
    answered: Option<(u64, Range<u64>)>,
}

/// What is left of a run that was killed.
#[derive(Default)]
struct Disk {
    bytes: Vec<Option<u8>>,
    /// How often each byte was written.
    writes: Vec<u32>,
    checkpoint: Option<DownloadCheckpoint>,
}

impl Disk {
    /// What the checkpoint that is in force says is there.
    fn known(&self) -> Coverage {
        self.checkpoint.as_ref().map(|saved| saved.written.clone()).unwrap_or_default()
    }
}

struct Run<'r> {
    service: &'r Service,
    disk: Disk,
    running: Vec<Running>,
    /// A checkpoint on its way: it is in force at the latest when the machine hears of it.
    saving: Option<DownloadCheckpoint>,
    now: Duration,
    /// How much may still go wrong.
    faults: u32,
    /// How much of it before the service ever answered.
    early_faults: u32,
}

const PATIENT: u32 = 8;
const ENTROPY: [u8; 32] = [5; 32];

fn at(monotonic: Duration) -> Now {
    Now { monotonic, unix: UnixSeconds(1) }
}

fn plan(parallel: u16, range_size: u64) -> DownloadPlan {
    DownloadPlan { parallel, range_size: Some(range_size), ..DownloadPlan::new("file-1") }
}

impl<'r> Run<'r> {
    fn new(service: &'r Service, disk: Disk) -> Self {
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

    fn now(&self) -> Now {
        Now { monotonic: self.now, unix: UnixSeconds(1) }
    }

    /// Runs to the end, or until it is killed after so many steps.
    fn until_end(
        &mut self,
        machine: &mut Fetch,
        dice: &mut Dice<'_>,
        kill: usize,
    ) -> Option<Result<(), DownloadError>> {
        for _ in 0..kill {
            match machine.poll(self.now()) {
                Action::Start { id, task: DownloadTask::Send { operation, .. } } => {
                    self.running.push(Running { id, operation, answered: None });
                }
                Action::Start { id, task: DownloadTask::Retrieve { .. } } => {
                    let mut file = File::new("file-1");
                    file.bytes = Some(self.service.length());
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

    fn step(&mut self, machine: &mut Fetch, dice: &mut Dice<'_>, until: Option<Duration>) {
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

    fn advance(&mut self, machine: &mut Fetch, dice: &mut Dice<'_>, which: usize) {
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

    fn assert_complete(&self) {
        let bytes: Option<Vec<u8>> = self.disk.bytes.iter().copied().collect();
        assert!(bytes.as_ref() == Some(&self.service.content), "the bytes are others");
    }
}

fn any_serves() -> impl Strategy<Value = Serves> {
    prop_oneof![
        4 => Just(Serves::Ranges),
        1 => (1..40_u64).prop_map(Serves::Short),
        1 => Just(Serves::Whole),
        1 => Just(Serves::WholeWithoutLength),
        1 => Just(Serves::RangesWithoutTotal),
        1 => Just(Serves::OtherRanges),
    ]
}

fn api() -> Api {
    Api::openai()
}

const LONG: usize = 100_000;

proptest! {
    #[test]
    fn every_byte_comes_to_its_place_whatever_the_service_makes_of_ranges(
        length in 0..1500_u64,
        serves in any_serves(),
        has_etag: bool,
        parallel in 1..=5_u16,
        range_size in 1..400_u64,
        dice in prop::collection::vec(any::<u8>(), 1..300),
    ) {
        let mut service = Service::new(length, serves);
        service.etag = service.etag.filter(|_| has_etag);
        let mut dice = Dice(dice.iter().cycle());
        let mut run = Run::new(&service, Disk::default());
        let mut machine = Fetch::new(&api(), plan(parallel, range_size), ENTROPY);
        let ended = run.until_end(&mut machine, &mut dice, LONG).expect("it ends");
        prop_assert!(ended.is_ok(), "{ended:?}");
        run.assert_complete();
        prop_assert_eq!(machine.progress().bytes_written, length);
        if matches!(serves, Serves::Ranges | Serves::Short(_)) {
            prop_assert!(run.disk.writes.iter().all(|writes| *writes == 1), "no byte comes twice");
        }
    }

    #[test]
    fn a_killed_run_is_gone_on_with_and_what_its_checkpoint_knows_of_is_not_asked_for_again(
        length in 1..1500_u64,
        kills in prop::collection::vec((1..200_usize, any_serves(), prop::bool::weighted(0.2)), 1..4),
        last in any_serves(),
        range_size in 1..400_u64,
        dice in prop::collection::vec(any::<u8>(), 1..300),
    ) {
        let mut service = Service::new(length, last);
        let mut dice = Dice(dice.iter().cycle());
        let mut disk = Disk::default();
        let mut ended = None;
        // Whatever the service serves by then; the last two run to the end, since one of them may find another file.
        for (kill, serves, changes) in kills.into_iter().chain([(LONG, last, false); 2]) {
            service.serves = serves;
            // Of what has come to its last byte nothing more is asked for.
            if changes && disk.known().len() < length {
                service.change();
            }
            let mut machine = match disk.checkpoint.clone() {
                Some(saved) => {
                    disk.writes.fill(0);
                    Fetch::resume(&api(), plan(3, range_size), saved, length, ENTROPY).unwrap()
                }
                None => Fetch::new(&api(), plan(3, range_size), ENTROPY),
            };
            let known = machine.written.clone();
            let mut run = Run::new(&service, std::mem::take(&mut disk));
            ended = run.until_end(&mut machine, &mut dice, kill);
            disk = std::mem::take(&mut run.disk);
            if serves == Serves::Ranges {
                let again = (0..length).filter(|at| disk.writes.get(*at as usize).is_some_and(|writes| *writes > 0));
                for at in again {
                    let mut with = known.clone();
                    with.insert(at..at + 1);
                    prop_assert!(with != known, "byte {at} came again");
                }
            }
            if let Some(Err(DownloadError::Changed { .. })) = &ended {
                prop_assert!(known.len() > 0, "nothing had come before");
                disk.checkpoint = None;
            } else if ended.is_some() {
                run.disk = std::mem::take(&mut disk);
                run.assert_complete();
                break;
            }
        }
        prop_assert!(matches!(ended, Some(Ok(()))), "{ended:?}");
    }
}

/// Runs without anything going wrong until `until` says so.
fn begun(service: &Service, parallel: u16, until: impl Fn(&Fetch) -> bool) -> (Fetch, Disk) {
    let mut machine = Fetch::new(&api(), plan(parallel, 100), ENTROPY);
    let mut dice = Dice([7, 1, 3].iter().cycle());
    let mut run = Run::new(service, Disk::default());
    run.faults = 0;
    while !until(&machine) {
        assert!(run.until_end(&mut machine, &mut dice, 1).is_none());
    }
    (machine, run.disk)
}

fn checkpoint(machine: &mut Fetch) -> DownloadCheckpoint {
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

fn halfway(machine: &Fetch) -> bool {
    machine.progress().bytes_written >= 500
}

#[test]
fn a_checkpoint_has_this_form() {
    let service = Service::new(1000, Serves::Ranges);
    let (mut machine, _) = begun(&service, 1, |machine| machine.progress().bytes_written >= 100);
    machine.written = Coverage::NOTHING;
    machine.written.insert(0..100);
    machine.written.insert(200..250);
    insta::assert_json_snapshot!(checkpoint(&mut machine), @r#"
    {
      "version": 1,
      "place": "https://api.openai.com/v1",
      "file_id": "file-1",
      "content": {
        "length": 1000,
        "etag": "\"a\"",
        "last_modified": null
      },
      "written": [
        [
          0,
          100
        ],
        [
          200,
          250
        ]
      ]
    }
    "#);
}

#[test]
fn what_a_checkpoint_does_not_fit_is_named() {
    let service = Service::new(1000, Serves::Ranges);
    let (mut machine, _) = begun(&service, 1, halfway);
    let saved = checkpoint(&mut machine);
    let resume = |api: &Api, file: &str, target| {
        Fetch::resume(api, DownloadPlan::new(file), saved.clone(), target, ENTROPY).unwrap_err().to_string()
    };
    let azure = Api::azure_v1("https://example.openai.azure.com").unwrap();
    insta::assert_snapshot!(resume(&azure, "file-1", 1000), @"it is of a download from https://api.openai.com/v1, not from https://example.openai.azure.com/openai/v1");
    insta::assert_snapshot!(resume(&api(), "file-2", 1000), @"it is of file-1, not of file-2");
    insta::assert_snapshot!(resume(&api(), "file-1", 17), @"what had come was to have 1000 bytes, and has 17");
    let read = |text: &str| DownloadCheckpoint::from_json(text.as_bytes()).unwrap_err().to_string();
    insta::assert_snapshot!(read(r#"{"version": 2}"#), @"it has version 2, and this release reads version 1");
    insta::assert_snapshot!(read(r#"{"version": 1}"#), @"it cannot be read: missing field `place` at line 1 column 14");
}

#[test]
fn a_file_that_changes_ends_the_download_and_leaves_nothing_to_go_on_from() {
    type Change = fn(&mut Service);
    let changes: [(Change, &str); 6] = [
        (
            |service| {
                service.change();
                service.serves = Serves::WholeWithoutLength;
            },
            "its ETag is another",
        ),
        (|service| service.etag = Some("\"b\""), "its ETag is another"),
        (|service| service.content.truncate(700), "it had 1000 bytes and has 700"),
        (|service| service.content.truncate(10), "it had 1000 bytes and has less"),
        (|service| service.content.push(0), "it had 1000 bytes and has 1001"),
        (
            |service| {
                service.content.push(0);
                service.serves = Serves::Whole;
            },
            "it had 1000 bytes and has 1001",
        ),
    ];
    for (change, difference) in changes {
        let mut service = Service::new(1000, Serves::Ranges);
        let (mut machine, disk) = begun(&service, 1, halfway);
        let saved = checkpoint(&mut machine);
        change(&mut service);
        let mut machine = Fetch::resume(&api(), plan(2, 100), saved, 1000, ENTROPY).unwrap();
        let mut run = Run::new(&service, disk);
        run.disk.checkpoint = None;
        run.faults = 0;
        let ended = run.until_end(&mut machine, &mut Dice([1].iter().cycle()), LONG).unwrap().unwrap_err();
        assert_eq!(ended.to_string(), format!("the file changed while it was downloaded: {difference}"));
        assert!(!ended.is_resumable() && run.disk.checkpoint.is_none());
    }
}

#[test]
fn patience_ends_when_nothing_comes_and_what_had_come_is_saved() {
    let service = Service::new(1000, Serves::Ranges);
    let (mut machine, _) = begun(&service, 1, halfway);
    let (mut failures, mut saved) = (0, None);
    let mut now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
    let ended = loop {
        match machine.poll(now) {
            Action::Start { id, task: DownloadTask::Send { .. } } => {
                failures += 1;
                machine.handle_failure(id, Failure::new(FailureKind::Interrupted), now);
            }
            Action::Save(checkpoint) => {
                saved = Some(checkpoint.written());
                machine.handle_saved(Ok(()));
            }
            Action::Wait { until } => match machine.flights.first().map(|flight| flight.id) {
                Some(id) => {
                    failures += 1;
                    machine.handle_failure(id, Failure::new(FailureKind::Timeout), now);
                }
                None => now.monotonic = until.unwrap(),
            },
            Action::Abandon(_) => {}
            Action::Start { task: DownloadTask::Retrieve { .. }, .. } => panic!("nothing is in doubt"),
            Action::Done(ended) => break ended.unwrap_err(),
        }
    };
    assert!(matches!(&ended, DownloadError::Away { .. }) && ended.is_resumable(), "{ended}");
    assert!(now.monotonic >= machine.plan.retry.give_up_after);
    // One at a time, every five seconds in the end.
    assert!((150..230).contains(&failures), "{failures}");
    assert_eq!(saved, Some((machine.progress().bytes_written, 1000)));
}

/// Answers that there is no object.
fn retrieved(machine: &mut Fetch, id: RequestId, now: Now) {
    let refusal = ApiError::new(StatusCode::NOT_FOUND, "no");
    machine.handle_retrieved(id, Err(ResponseError::Refused(refusal.into())), now);
}

/// Lets time pass until so many more requests were sent.
fn sent(machine: &mut Fetch, now: &mut Now, requests: usize) -> Vec<RequestId> {
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

#[test]
fn a_network_that_drops_all_requests_at_once_is_tried_by_one_and_used_by_all_again() {
    let service = Service::new(10_000, Serves::Ranges);
    let (mut machine, _) = begun(&service, 4, |machine| machine.progress().requests == 4);
    let mut now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
    let under_way: Vec<_> = machine.flights.iter().map(|flight| flight.id).collect();
    for id in under_way {
        machine.handle_failure(id, Failure::new(FailureKind::Interrupted), now);
    }
    for time in 1..=30 {
        let before = now.monotonic;
        let id = sent(&mut machine, &mut now, 1)[0];
        assert!(matches!(machine.poll(now), Action::Wait { .. }), "the others wait");
        let waited = now.monotonic.saturating_sub(before);
        assert!((Duration::from_secs(1)..=Duration::from_secs(5)).contains(&waited), "{time}: {waited:?}");
        machine.handle_failure(id, Failure::new(FailureKind::Connect), now);
        assert!(machine.failures <= 1, "an outage takes nothing of the budget");
    }
    let id = sent(&mut machine, &mut now, 1)[0];
    let operation = DownloadFile { range: None, ..DownloadFile::new("file-1") };
    let rest = machine.flights[0].rest.clone();
    let range = ByteRange::From { first: rest.start, last: Some(rest.end - 1) };
    let (head, _) = service.answer(&DownloadFile { range: Some(range), ..operation });
    let at = now.monotonic;
    assert!(machine.handle_answer(id, head, now).is_some());
    assert_eq!(sent(&mut machine, &mut now, 3).len(), 3);
    assert_eq!(now.monotonic, at, "at once");
}

#[test]
fn a_service_that_never_answered_is_given_up_after_half_a_minute() {
    let mut machine = Fetch::new(&api(), plan(4, 100), ENTROPY);
    let mut now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
    let ended = loop {
        match machine.poll(now) {
            Action::Start { id, .. } => machine.handle_failure(id, Failure::new(FailureKind::Connect), now),
            Action::Wait { until } => now.monotonic = until.expect("something is to come"),
            Action::Done(ended) => break ended,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(ended, Err(DownloadError::Failed(_))), "{ended:?}");
    assert_eq!(now.monotonic, machine.plan.retry.give_up_before_contact);
}

#[test]
fn a_service_that_refused_in_the_words_of_the_api_is_there() {
    let mut machine = Fetch::new(&api(), plan(4, 100), ENTROPY);
    let mut now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
    let allowed = machine.plan.retry.max_failures;
    for failures in 1..=allowed + 1 {
        let id = sent(&mut machine, &mut now, 1)[0];
        let refusal = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "later");
        machine.handle_answer(id, Err(ResponseError::Refused(refusal.into())), now);
        let is_over = matches!(machine.end, End::Reached(Err(DownloadError::Refused(_))));
        assert_eq!(is_over, failures > allowed, "after {failures}");
    }
}

#[test]
fn what_comes_whole_after_ranges_waits_until_no_checkpoint_speaks_of_them() {
    for serves in [Serves::Whole, Serves::WholeWithoutLength] {
        let mut service = Service::new(1000, Serves::Ranges);
        let (mut machine, _) = begun(&service, 1, halfway);
        let saved = checkpoint(&mut machine);
        service.serves = serves;
        let mut machine = Fetch::resume(&api(), plan(1, 100), saved, 1000, ENTROPY).unwrap();
        let mut now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
        let id = sent(&mut machine, &mut now, 1)[0];
        let (head, _) = service.answer(&DownloadFile::new("file-1"));
        assert_eq!(machine.handle_answer(id, head, now), None);
        let Action::Abandon(_) = machine.poll(now) else { panic!("it is not wanted yet") };
        let Action::Save(saved) = machine.poll(now) else { panic!("nothing is there") };
        assert_eq!(saved.written(), (0, 1000));
        let Action::Start { task: DownloadTask::Retrieve { .. }, .. } = machine.poll(now) else {
            panic!("it looks")
        };
        assert!(matches!(machine.poll(now), Action::Wait { until: None }));
        machine.handle_saved(Ok(()));
        let Action::Start { task: DownloadTask::Send { operation, .. }, .. } = machine.poll(now) else {
            panic!("it asks")
        };
        assert_eq!(operation.range, None, "{serves:?}");
    }
}

#[test]
fn a_page_after_ranges_keeps_what_has_come() {
    let service = Service::new(1000, Serves::Ranges);
    let page = |length| {
        let content_type = Some("text/html".to_owned());
        DownloadHead { length, content_type, ..DownloadHead::default() }
    };
    let bare = DownloadHead { length: Some(71), ..DownloadHead::default() };
    for (head, said) in [
        (page(Some(56)), "the service answered with an HTML page instead of the rest of the file"),
        (page(None), "the service answered with an HTML page instead of the rest of the file"),
        (bare, "71 bytes came, and the file has 1000"),
    ] {
        let (mut machine, _) = begun(&service, 1, halfway);
        let saved = checkpoint(&mut machine);
        let mut machine = Fetch::resume(&api(), plan(1, 100), saved, 1000, ENTROPY).unwrap();
        let mut now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
        let id = sent(&mut machine, &mut now, 1)[0];
        let Action::Start { id: look, task: DownloadTask::Retrieve { .. } } = machine.poll(now) else {
            panic!("it looks")
        };
        let mut file = File::new("file-1");
        file.bytes = Some(1000);
        machine.handle_retrieved(look, Ok(file), now);
        assert_eq!(machine.handle_answer(id, Ok(head), now), None);
        let Action::Abandon(_) = machine.poll(now) else { panic!("it is wanted") };
        let Action::Done(Err(error)) = machine.poll(now) else { panic!("it goes on") };
        assert!(matches!(error, DownloadError::WrongContent(_)) && error.is_resumable(), "{error:?}");
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn a_checkpoint_of_nothing_holds_nobody_to_a_content() {
    let mut service = Service::new(1000, Serves::Ranges);
    let (mut machine, _) = begun(&service, 1, halfway);
    let mut saved = checkpoint(&mut machine);
    saved.written = Coverage::NOTHING;
    service.change();
    let mut machine = Fetch::resume(&api(), plan(2, 100), saved, 1000, ENTROPY).unwrap();
    let mut run = Run::new(&service, Disk::default());
    run.until_end(&mut machine, &mut Dice([1].iter().cycle()), LONG).unwrap().unwrap();
    run.assert_complete();
}

#[test]
fn without_ranges_everything_is_asked_for_at_once() {
    let service = Service::new(1000, Serves::Ranges);
    let mut one = plan(4, 100);
    one.ranges = false;
    let mut run = Run::new(&service, Disk::default());
    let mut machine = Fetch::new(&api(), one, ENTROPY);
    let Action::Start { id, task: DownloadTask::Send { operation, .. } } = machine.poll(at(Duration::ZERO))
    else {
        panic!("it asks")
    };
    assert_eq!(operation.range, None);
    run.running.push(Running { id, operation, answered: None });
    run.until_end(&mut machine, &mut Dice([3].iter().cycle()), LONG).unwrap().unwrap();
    run.assert_complete();
}

#[test]
fn what_a_later_answer_says_of_the_content_counts_from_then_on() {
    let mut service = Service::new(1000, Serves::Ranges);
    service.etag = None;
    let (mut machine, disk) = begun(&service, 1, halfway);
    let saved = checkpoint(&mut machine);
    service.etag = Some("\"a\"");
    let mut machine = Fetch::resume(&api(), plan(1, 100), saved, 1000, ENTROPY).unwrap();
    let mut run = Run::new(&service, disk);
    run.faults = 0;
    let mut dice = Dice([7, 1, 3].iter().cycle());
    while machine.progress().bytes_written < 700 {
        assert!(run.until_end(&mut machine, &mut dice, 1).is_none());
    }
    assert_eq!(machine.content.as_ref().and_then(Content::strong_etag), Some("\"a\""));
}

#[test]
fn a_file_that_is_not_found_by_one_key_may_be_found_by_another() {
    let service = Service::new(1000, Serves::Ranges);
    let (mut machine, _) = begun(&service, 1, halfway);
    let saved = checkpoint(&mut machine);
    let mut machine = Fetch::resume(&api(), plan(1, 100), saved, 1000, ENTROPY).unwrap();
    let mut now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
    let id = sent(&mut machine, &mut now, 1)[0];
    let refused = Err(ResponseError::Refused(ApiError::new(StatusCode::NOT_FOUND, "no").into()));
    machine.handle_answer(id, refused, now);
    let Action::Done(Err(error)) = machine.poll(now) else { panic!("it is not there") };
    assert!(error.is_resumable());
}

#[test]
fn an_overloaded_service_is_left_alone_by_all_requests() {
    let service = Service::new(10_000, Serves::Ranges);
    let (mut machine, _) = begun(&service, 2, |machine| machine.progress().requests == 2);
    let now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
    let id = machine.flights[0].id;
    let mut refusal = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "later");
    refusal.retry = crate::RetryHint::after(Duration::from_secs(9));
    let refused = Err(ResponseError::Refused(refusal.into()));
    assert_eq!(machine.handle_answer(id, refused, now), None);
    let other = machine.flights[0].id;
    machine.handle_end(other, now);
    let Action::Wait { until: Some(until) } = machine.poll(at(Duration::ZERO)) else { panic!("it asks") };
    assert!(until <= Duration::from_secs(9));
    assert!(matches!(machine.poll(at(Duration::from_secs(8))), Action::Wait { .. } | Action::Save(_)));
    let mut sent = 0;
    while let Action::Start { task: DownloadTask::Send { .. }, .. } | Action::Save(_) =
        machine.poll(at(Duration::from_secs(10)))
    {
        sent += 1;
    }
    assert!(sent >= 1);
}

#[test]
fn an_answer_that_is_none_of_this_api_ends_it() {
    let mut machine = Fetch::new(&api(), plan(1, 100), ENTROPY);
    let Action::Start { id, task: DownloadTask::Send { .. } } = machine.poll(at(Duration::ZERO)) else {
        panic!("it asks")
    };
    let head = Response::builder().status(206).body(Bytes::new()).unwrap();
    let now = Now { monotonic: Duration::ZERO, unix: UnixSeconds(1) };
    assert_eq!(machine.handle_answer(id, DownloadFile::decode_response(head), now), None);
    let Action::Start { id: look, task: DownloadTask::Retrieve { .. } } = machine.poll(at(Duration::ZERO))
    else {
        panic!("it looks")
    };
    let Action::Start { id, task: DownloadTask::Send { operation, .. } } = machine.poll(at(Duration::ZERO))
    else {
        panic!("it asks")
    };
    assert_eq!(operation.range, None, "a range that does not say which it is: everything is asked for");
    let range = Some(crate::ContentRange { first: 0, last: 4, total: Some(10) });
    let head = DownloadHead { range, ..DownloadHead::default() };
    assert_eq!(machine.handle_answer(id, Ok(head), now), None);
    let Action::Abandon(abandoned) = machine.poll(at(Duration::ZERO)) else { panic!("it is wanted") };
    assert_eq!(abandoned, look);
    let Action::Abandon(_) = machine.poll(at(Duration::ZERO)) else { panic!("it is not wanted") };
    let Action::Done(Err(DownloadError::Garbled(_))) = machine.poll(at(Duration::ZERO)) else {
        panic!("a part came although everything was asked for")
    };
}

#[test]
fn ranges_begin_small_grow_and_become_small_again() {
    const MIB: u64 = 1024 * 1024;
    let plan = DownloadPlan::new("file-1");
    assert_eq!(plan.first_size(), 16 * MIB);
    assert_eq!(plan.next_size(8 << 30), 64 * MIB);
    assert_eq!(plan.next_size(100 * MIB + 7), 12 * MIB);
    assert_eq!(plan.next_size(1), 8 * MIB);
}

#[test]
fn what_left_before_a_sleep_is_asked_for_again_at_once_and_spends_no_budget() {
    let service = Service::new(10_000, Serves::Ranges);
    let (machine, _) = begun(&service, 4, |machine| machine.progress().requests == 4);
    let state = ServiceState::new();
    let mut machine = machine.with_service(&state);
    let mut now = Now { monotonic: Duration::from_secs(1), unix: UnixSeconds(1) };
    for _ in 0..50 {
        now.monotonic += Duration::from_secs(1);
        state.woke(now.monotonic, Duration::from_secs(60));
        let under_way: Vec<_> = machine.flights.iter().map(|flight| flight.id).collect();
        assert_eq!(under_way.len(), 4);
        for id in under_way {
            machine.handle_failure(id, Failure::new(FailureKind::Interrupted), now);
        }
        let at = now.monotonic;
        assert_eq!(sent(&mut machine, &mut now, 4).len(), 4);
        assert_eq!((now.monotonic, machine.failures, machine.progress().offline), (at, 0, None));
    }
}
