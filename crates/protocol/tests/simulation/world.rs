//! One story: a file, a plan, a service, and everything that is drawn about them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use http::{Request, Response};
use partwise_models::{Purpose, UnixSeconds};
use partwise_protocol::{
    Api, Dialect,
    machine::{Now, RequestId},
    retry::RetryPolicy,
    transport::{FailureKind, SourceRange},
    upload::{Parallel, Plan, RouteChoice, SourceStamp},
};

use crate::faults::Faults;
use crate::service::{Habits, Service};
use bytes::Bytes;
use partwise_testkit::dice::Dice;

const FILENAME: &str = "train.jsonl";
/// Our wall clock at the beginning of every story.
pub(crate) const EPOCH: u64 = 1_700_000_000;

/// Something that happens at a moment; what belongs to a process dies with it.
pub(crate) enum Event {
    /// `left` is how many bytes of the body have left at most by the time of the answer.
    Arrive {
        process: u32,
        id: RequestId,
        request: Request<Bytes>,
        answered: bool,
        left: u64,
    },
    Answer {
        process: u32,
        id: RequestId,
        response: Response<Bytes>,
        left: u64,
    },
    Fail {
        process: u32,
        id: RequestId,
        kind: FailureKind,
        left: u64,
    },
    Compared {
        process: u32,
        id: RequestId,
        file_id: String,
        sent: Option<RequestId>,
        fails: bool,
    },
    Saved {
        process: u32,
        checkpoint: String,
        durable: bool,
    },
    /// What was hashed is what the source was at the beginning, or is at the end.
    Hashed {
        process: u32,
        id: RequestId,
        content: Option<Vec<u8>>,
        fails: bool,
    },
    Stamped {
        process: u32,
        id: RequestId,
    },
    Prepared {
        process: u32,
        id: RequestId,
        range: SourceRange,
        fails: bool,
    },
}

/// The caller's file.
pub(crate) struct Source {
    pub(crate) content: Vec<u8>,
    /// How often its modification time was set by a change.
    pub(crate) changes: u32,
    /// How often anything else of it changed, be it the content with the modification time put back.
    pub(crate) touches: u32,
    /// Every content that it ever had.
    pub(crate) versions: Vec<Vec<u8>>,
    pub(crate) readable: bool,
}

/// What stands for an MD5 here.
pub(crate) fn digest(content: &[u8]) -> [u8; 16] {
    let fold = |seed: u64| {
        content.iter().fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
    };
    let mut digest = [0; 16];
    digest[..8].copy_from_slice(&fold(0xCBF2_9CE4_8422_2325).to_le_bytes());
    digest[8..].copy_from_slice(&fold(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    digest
}

pub(crate) fn hex(digest: [u8; 16]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Source {
    pub(crate) fn stamp(&self) -> SourceStamp {
        let mut stamp = SourceStamp::new(self.content.len() as u64);
        stamp.modified = Some(self.changes.to_string());
        stamp.changed = Some((self.changes + self.touches).to_string());
        stamp
    }

    /// Other content of the same length, and the modification time put back.
    pub(crate) fn rewrite(&mut self) {
        self.touches += 1;
        self.content.iter_mut().for_each(|byte| *byte ^= 0xAA);
        self.versions.push(self.content.clone());
    }
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
    pub(crate) api: Api,
    pub(crate) source: Source,
    /// What the source was when the upload began that the checkpoint belongs to, and how often it had changed by then.
    pub(crate) original: Vec<u8>,
    pub(crate) begun_with: u32,
    /// How often it had been touched by then.
    pub(crate) touched_then: u32,
    pub(crate) time: Duration,
    pub(crate) events: BTreeMap<(Duration, u64), Event>,
    pub(crate) disk: Option<String>,
    /// All boundaries that were used.
    pub(crate) boundaries: BTreeSet<String>,
    pub(crate) process_number: u32,
    pub(crate) reruns_left: u32,
    pub(crate) quota_exhausted: bool,
    next_event: u64,
    foreign_files: usize,
    skew: i64,
    /// Runs that have the key of another project.
    pub(crate) strangers: BTreeSet<u32>,
    /// By how many seconds our wall clock was set since the beginning, and whether it ever was.
    pub(crate) set: i64,
    pub(crate) was_set: bool,
    slow_network: u64,
    /// How long this machine has slept, while only its monotonic clock stood still.
    pub(crate) slept: Duration,
    /// While nothing at all can be reached.
    pub(crate) away: Range<Duration>,
    /// What part of a body is reported as sent while it flies.
    reported: u64,
    /// What the requests of this process sent that had all of the source, where the driver takes digests.
    pub(crate) sent: BTreeMap<RequestId, Vec<u8>>,
    pub(crate) takes_digests: bool,
    /// Whether the driver knows how much has left.
    pub(crate) counts_left: bool,
    /// The file of somebody else who uploads the same.
    twin: Option<String>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut length = 1 + dice.below(240);
        let mut plan = draw_plan(&mut dice);
        let apis = [
            Api::with_base("http://service/v1", Dialect::OpenAi),
            Api::azure("http://service", "2024-10-21"),
            Api::azure_v1("http://service"),
        ];
        let mut api = dice.pick(&apis).as_ref().unwrap().clone();
        let mut faults = Faults::draw(&mut dice);
        if plan.part_size.is_none() && plan.route == RouteChoice::Automatic && dice.chance(700) {
            // Small enough for one request, and large enough for parts when the line does not last for it.
            length = (64 << 10) + 1 + dice.below(128 << 10);
            plan.parallel = Parallel::Fixed(plan.parallel.most());
            faults.reset = *dice.pick(&[30, 400, 700]);
        } else if plan.part_size.is_none() {
            // The machine cuts as it likes, and that in parts as small as the file.
            let mut limits = api.limits();
            limits.part = 1 + dice.below(60);
            api = api.with_limits(limits);
        }
        let lifetime = *dice.pick(&[40, 300, 3600, 3600, 7200]);
        let mut service = Service::new(lifetime, dice.below(15_000), dice.chance(500), dice.chance(700));
        service.names_nonsense = dice.chance(30);
        service.size_lag = *dice.pick(&[0, 0, 0, 5000, 25_000, 120_000]);
        service.serves_content = dice.chance(700);
        service.habits = Habits::drawn(&mut dice);
        let skew = *dice.pick(&[0, 0, 1, -1, 300, -90_000]);
        let mut world = Self::assemble(dice, faults, service, plan, api, length as usize, skew);
        world.add_foreign_files();
        world.reruns_left = world.dice.below(3) as u32;
        world.slow_network = *world.dice.pick(&[50, 2000]);
        let (from, long) = (world.dice.millis(20_000), *world.dice.pick(&[0, 0, 0, 0, 0, 10, 120, 1500]));
        world.away = from..from + Duration::from_secs(long);
        world.reported = *world.dice.pick(&[2, 2, 2, 60]);
        world.counts_left = world.dice.chance(700);
        world.takes_digests = world.dice.chance(500);
        world
    }

    /// A story without any fault, in parts of ten bytes, to which a named test adds its own.
    pub(crate) fn quiet(length: usize) -> Self {
        let mut plan = Plan::new(FILENAME, "application/jsonl", Purpose::FineTune);
        plan.part_size = Some(10);
        plan.route = RouteChoice::Parts;
        let service = Service::new(3600, 0, true, true);
        let api = Api::with_base("http://service/v1", Dialect::OpenAi).unwrap();
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
        let content: Vec<u8> = (0..length).map(|_| dice.word() as u8).collect();
        Self {
            dice,
            faults,
            service,
            plan,
            crash_after_arrival: false,
            is_told: false,
            api,
            original: content.clone(),
            begun_with: 0,
            touched_then: 0,
            source: Source {
                versions: vec![content.clone()],
                content,
                changes: 0,
                touches: 0,
                readable: true,
            },
            time: Duration::ZERO,
            events: BTreeMap::new(),
            disk: None,
            boundaries: BTreeSet::new(),
            process_number: 0,
            reruns_left: 0,
            quota_exhausted: false,
            next_event: 0,
            foreign_files: 0,
            skew,
            strangers: BTreeSet::new(),
            set: 0,
            was_set: false,
            slow_network: 50,
            slept: Duration::ZERO,
            away: Duration::ZERO..Duration::ZERO,
            reported: 2,
            counts_left: true,
            sent: BTreeMap::new(),
            takes_digests: true,
            twin: None,
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

    /// The service's clock, in milliseconds.
    pub(crate) fn service_clock(&self) -> u64 {
        let ours = EPOCH * 1000 + (self.time + self.slept).as_millis() as u64;
        ours.checked_add_signed(self.skew * 1000).expect("the skew is small")
    }

    /// Our clocks, of which the monotonic one starts anywhere and the other may be set.
    pub(crate) fn now(&self, origin: Duration) -> Now {
        let unix = (EPOCH + (self.time + self.slept).as_secs())
            .checked_add_signed(self.set)
            .expect("it is set by days");
        Now { monotonic: origin + self.time, unix: UnixSeconds(unix) }
    }

    pub(crate) fn our_files(&self) -> usize {
        self.service.files.len() - self.foreign_files - usize::from(self.twin.is_some())
    }

    /// Whether this file was there before, or is somebody else's.
    pub(crate) fn is_foreign(&self, id: &str) -> bool {
        self.service.files[..self.foreign_files].iter().any(|stored| stored.file.id == id)
    }

    /// Somebody uploads the same file under the same name, right now: nobody can tell it from ours.
    pub(crate) fn add_twin(&mut self) {
        if self.twin.is_none() {
            let (content, now) = (self.original.clone(), self.service_clock());
            self.service.add_file(FILENAME, Purpose::FineTune, content, now / 1000);
            self.twin = self.service.files.last().map(|stored| stored.file.id.clone());
        }
    }

    /// How many bytes of this body are reported as sent while it flies.
    pub(crate) fn reported(&self, content_length: u64) -> u64 {
        content_length / self.reported
    }

    pub(crate) fn schedule(&mut self, delay: Duration, event: Event) {
        self.events.insert((self.time + delay, self.next_event), event);
        self.next_event += 1;
    }

    /// This machine sleeps. Answers that are on their way to this process may be lost by the time it wakes.
    pub(crate) fn sleep(&mut self) {
        self.slept += Duration::from_secs(*self.dice.pick(&[20, 20, 600, 5400]));
        let kinds = [FailureKind::Interrupted, FailureKind::Timeout];
        for event in self.events.values_mut() {
            let Event::Answer { process, id, left, .. } = *event else { continue };
            if self.dice.chance(700) {
                *event = Event::Fail { process, id, kind: *self.dice.pick(&kinds), left };
            }
        }
    }

    pub(crate) fn delay(&mut self) -> Duration {
        let most = self.slow_network;
        self.dice.millis(most)
    }

    /// One line of the story, for whoever reads a failing seed: `cargo test` shows what failing tests print.
    pub(crate) fn tell(&self, what: impl std::fmt::Display) {
        if self.is_told {
            println!("{:>10.3} [{}] {what}", self.time.as_secs_f64(), self.process_number);
        }
    }
}

fn draw_plan(dice: &mut Dice) -> Plan {
    let mut plan = Plan::new(FILENAME, "application/jsonl", Purpose::FineTune);
    let part_size = 1 + dice.below(60);
    plan.part_size = dice.chance(600).then_some(part_size);
    let most = 1 + dice.below(6) as u16;
    plan.parallel = match most {
        _ if dice.chance(200) => Parallel::Adaptive { most },
        1 if part_size % 2 == 0 => Parallel::InOrder,
        _ => Parallel::Fixed(most),
    };
    plan.route =
        *dice.pick(&[RouteChoice::Automatic, RouteChoice::Parts, RouteChoice::Parts, RouteChoice::Single]);
    plan.md5 = plan.route == RouteChoice::Parts && dice.chance(300);
    plan.restart_when_expired = dice.chance(300);
    let mut retry = RetryPolicy::default();
    retry.max_failures = *dice.pick(&[1, 3, 8, 8]);
    plan.compare_limit = Duration::from_secs(*dice.pick(&[10, 900]));
    retry.max_failures_before_contact = *dice.pick(&[1, 3, 3]);
    retry.give_up_after = Duration::from_secs(*dice.pick(&[20, 900, 900]));
    retry.give_up_before_contact = Duration::from_secs(*dice.pick(&[5, 30]));
    plan.retry(retry)
}
