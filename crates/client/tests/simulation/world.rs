//! One story: a file, a plan, a service and what is between them.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::TryStreamExt;
use object_store::{ObjectStore, memory::InMemory};
use partwise::{Client, Reading};
use partwise_models::{File, Purpose};
use partwise_protocol::{
    Api, Credential, Dialect,
    multipart::Boundary,
    operations::{CreateFile, ListFiles, OperationId},
    upload::{Plan, RouteChoice, UploadError},
};
use partwise_server::{Keys, Server};
use partwise_testkit::dice::Dice;
use tokio::time::Instant;

use crate::{
    books::Books,
    clocks::Clocks,
    disk::Disk,
    fate::{Fate, Rates},
    journal::Journal,
    network::{Network, Wires},
    rules::Broken,
    source::{Content, Mishap},
};

const FILENAME: &str = "train.jsonl";
/// Parts begin with whole words of the content.
const WORD: u64 = 8;

/// Everything of one story.
pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) plan: Plan,
    pub(crate) source: Arc<Content>,
    /// What the source was when the upload that the checkpoint belongs to began.
    pub(crate) content: Vec<u8>,
    pub(crate) clocks: Clocks,
    pub(crate) disk: Disk,
    pub(crate) books: Arc<Books>,
    pub(crate) broken: Broken,
    pub(crate) journal: Journal,
    /// When the caller gives up, counted from the beginning.
    pub(crate) cancel_after: Option<Duration>,
    /// What interrupts the upload before its end, run by run.
    pub(crate) interruptions: VecDeque<Interruption>,
    /// How often an upload that has failed is begun again.
    pub(crate) reruns_left: u64,
    /// How long the last run took, and how it ended.
    pub(crate) took: Duration,
    pub(crate) result: Option<Result<File, UploadError>>,
    wires: Arc<Wires>,
    store: Arc<InMemory>,
    foreign: Vec<String>,
    entropy: Arc<AtomicU64>,
}

/// How an upload is interrupted, and how long it is before somebody begins it again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interruption {
    pub(crate) how: How,
    pub(crate) pause: Duration,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    /// Dropped after so many turns of the driver.
    DroppedAfterTurns(u64),
    /// Dropped after it has run so long.
    DroppedAfter(Duration),
    /// Asked to stop after it has run so long.
    StoppedAfter(Duration),
}

impl Interruption {
    fn draw(dice: &mut Dice) -> Self {
        let time = |dice: &mut Dice| dice.up_to(Duration::from_secs(20));
        let how = match dice.below(4) {
            0 | 1 => How::DroppedAfterTurns(dice.below(60)),
            2 => How::DroppedAfter(time(dice)),
            _ => How::StoppedAfter(time(dice)),
        };
        // Mostly soon, sometimes too late for the upload.
        let longest = *dice.pick(&[0, 1, 60, 60, 9000]);
        Self { how, pause: dice.up_to(Duration::from_secs(longest)) }
    }
}

/// What a story is made of.
pub(crate) struct Setting {
    pub(crate) seed: u64,
    pub(crate) plan: Plan,
    pub(crate) length: u64,
    pub(crate) api: Api,
    pub(crate) skew: i64,
    /// When the client's wall clock is set, and by how much.
    pub(crate) set: Option<(Duration, i64)>,
    pub(crate) rates: Rates,
    pub(crate) sends_date: bool,
    /// How long a checkpoint takes to be saved at most, and how many of a thousand cannot be.
    pub(crate) disk: (Duration, u64),
    pub(crate) mishap: Option<(Duration, Mishap)>,
    pub(crate) script: Vec<(OperationId, Fate)>,
    pub(crate) journal: Journal,
}

impl Setting {
    /// A setting in which nothing goes wrong: ten parts and a bit, two at a time.
    pub(crate) fn quiet() -> Self {
        let mut plan = Plan::new(FILENAME, "application/jsonl", Purpose::FineTune);
        (plan.route, plan.part_size, plan.parallel) = (RouteChoice::Parts, Some(1000), 2.into());
        Self {
            seed: 7,
            plan,
            length: 10_003,
            api: Api::with_base("http://localhost/v1", Dialect::OpenAi).unwrap(),
            skew: 0,
            set: None,
            rates: Rates::none(),
            sends_date: true,
            disk: (Duration::ZERO, 0),
            mishap: None,
            script: Vec::new(),
            journal: Journal::kept(),
        }
    }

    fn draw(seed: u64, dice: &mut Dice, journal: Journal) -> Self {
        let mut plan = Plan::new(FILENAME, "application/jsonl", Purpose::FineTune);
        let part_size = WORD * (1 + dice.below(400));
        let length = 1 + dice.below(12 * part_size);
        plan.part_size = Some(part_size);
        plan.parallel = (1 + dice.below(6) as u16).into();
        plan.route = *dice.pick(&[
            RouteChoice::Automatic,
            RouteChoice::Parts,
            RouteChoice::Parts,
            RouteChoice::Parts,
            RouteChoice::Single,
        ]);
        plan.md5 = plan.route == RouteChoice::Parts && dice.chance(150);
        plan.restart_when_expired = dice.chance(300);
        let apis = [
            Api::with_base("http://localhost/v1", Dialect::OpenAi),
            Api::azure("http://localhost", "2024-10-21"),
            Api::azure_v1("http://localhost"),
        ];
        let mishaps =
            [Mishap::Rewritten, Mishap::Shrunk(length.div_ceil(2)), Mishap::Unreadable, Mishap::Gone];
        // An earlier run's moment of a single request is on a wall clock that nothing can be compared with.
        let is_set = plan.route == RouteChoice::Parts && dice.chance(200);
        let set_at = dice.up_to(*dice.clone().pick(&[Duration::from_millis(300), Duration::from_secs(60)]));
        let set = *dice.pick(&[3600, -3600, 90_000, -90_000, 30, -30]);
        let mishap_at =
            dice.up_to(*dice.clone().pick(&[Duration::from_millis(300), Duration::from_secs(60)]));
        Self {
            seed,
            plan,
            length,
            api: dice.pick(&apis).as_ref().unwrap().clone(),
            skew: *dice.pick(&[0, 0, 1, -1, 300, -90_000]),
            set: is_set.then_some((set_at, set)),
            rates: Rates::draw(dice),
            sends_date: dice.chance(700),
            disk: (
                *dice.pick(&[Duration::ZERO, Duration::from_millis(50), Duration::from_secs(3)]),
                *dice.pick(&[0, 0, 0, 0, 0, 0, 20]),
            ),
            mishap: dice.chance(100).then(|| (mishap_at, *dice.pick(&mishaps))),
            script: Vec::new(),
            journal,
        }
    }
}

impl World {
    /// The story of a seed.
    pub(crate) async fn of_seed(seed: u64, journal: Journal) -> Self {
        let mut dice = Dice::new(seed);
        let setting = Setting::draw(seed, &mut dice, journal);
        let mut world = Self::new(setting).await;
        world.cancel_after = dice.chance(50).then(|| dice.up_to(Duration::from_secs(30)));
        world.interruptions = (0..*dice.pick(&[0, 0, 1, 3])).map(|_| Interruption::draw(&mut dice)).collect();
        world.reruns_left = dice.below(3);
        world.add_foreign_files(dice.below(4)).await;
        world
    }

    /// Whether the story depends on how fast a thread is: the driver has a turn more when the hash comes while it waits.
    pub(crate) fn depends_on_threads(&self) -> bool {
        let by_turns = |interruption: &Interruption| matches!(interruption.how, How::DroppedAfterTurns(_));
        self.plan.md5 && self.interruptions.iter().any(by_turns)
    }

    pub(crate) async fn new(setting: Setting) -> Self {
        let Setting { seed, plan, length, api, skew, set, rates, sends_date, disk, mishap, script, journal } =
            setting;
        let clocks = Clocks::start(skew, set);
        let broken = Broken::default();
        let disk = Disk::new(seed, disk.0, disk.1, broken.clone());
        let books = Books::new(plan.parallel.most(), clocks, disk.clone(), broken.clone());
        let mut source = Content::new(length, seed as u32 | 1);
        if let Some((after, mishap)) = mishap {
            source = source.with_mishap(Instant::now() + after, mishap);
        }
        let source = Arc::new(source);
        let store = Arc::new(InMemory::new());
        let wires = Wires {
            seed,
            server: server(store.clone(), clocks).await,
            api,
            rates,
            sends_date,
            clocks,
            books: books.clone(),
            source: source.clone(),
            journal: journal.clone(),
            requests: AtomicU64::new(0),
            quota_exhausted: AtomicBool::new(false),
            script: Mutex::new(script),
        };
        Self {
            dice: Dice::of(seed, "world", 0),
            plan,
            source,
            content: Vec::new(),
            clocks,
            disk,
            books,
            broken,
            journal,
            cancel_after: None,
            interruptions: VecDeque::new(),
            reruns_left: 0,
            took: Duration::ZERO,
            result: None,
            wires: Arc::new(wires),
            store,
            foreign: Vec::new(),
            entropy: Arc::new(AtomicU64::new(seed << 32)),
        }
    }

    /// Files in the list that must not be taken for ours.
    async fn add_foreign_files(&mut self, count: u64) {
        let length = self.source.len() as usize;
        for index in 0..count {
            let (name, length) =
                if index % 2 == 0 { ("other.jsonl", length) } else { (FILENAME, length + 1) };
            let (content, boundary) = (vec![0; length], Boundary::from_entropy([7; 16]));
            let file =
                CreateFile::new(Purpose::FineTune, name, "text/plain", bytes::Bytes::from(content), boundary);
            self.foreign.push(self.truthful().call(&file).await.unwrap().id);
        }
    }

    /// A client on the faulty network, and what shows whether anything of it is left.
    pub(crate) fn client(&self) -> (Client, Arc<()>) {
        let (sign, clocks) = (Arc::new(()), self.clocks);
        let network = Network { wires: self.wires.clone(), client: sign.clone() };
        let (seed, entropy) = (self.wires.seed, self.entropy.clone());
        let random = move || {
            let mut dice = Dice::of(seed, "entropy", entropy.fetch_add(1, Relaxed));
            std::array::from_fn(|_| dice.word() as u8)
        };
        let client =
            self.client_over(network).to_builder().clock(move || clocks.client()).entropy(random).build();
        (client, sign)
    }

    /// A client that talks to the server itself.
    pub(crate) fn truthful(&self) -> Client {
        self.client_over(self.wires.server.clone())
    }

    fn client_over<S, B>(&self, service: S) -> Client
    where
        S: tower_service::Service<http::Request<partwise::RequestBody>, Response = http::Response<B>>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let key = Credential::key("a-key").unwrap();
        Client::builder(self.wires.api.clone(), key).transport(service).reading(Reading::Inline).build()
    }

    /// The files on the server that this story made.
    pub(crate) async fn files(&self) -> Vec<File> {
        let mut files = self.truthful().call(&ListFiles::new()).await.unwrap().data;
        files.retain(|file| !self.foreign.contains(&file.id));
        files
    }

    pub(crate) async fn download(&self, id: &str) -> Vec<u8> {
        let download = self.truthful().download(id).await.unwrap();
        download.try_collect::<Vec<_>>().await.unwrap().concat()
    }

    /// How many bodies the server has in its store, those of the story alone.
    pub(crate) async fn bodies(&self) -> u64 {
        let objects: Vec<_> = self.store.list(None).try_collect().await.unwrap();
        let blobs = objects.iter().filter(|object| object.location.as_ref().contains("/blobs/"));
        blobs.count() as u64 - self.foreign.len() as u64
    }

    /// How many requests have been sent so far.
    pub(crate) fn requests(&self) -> u64 {
        self.wires.requests.load(Relaxed)
    }
}

async fn server(store: Arc<InMemory>, clocks: Clocks) -> Server {
    let numbers = AtomicU64::new(1);
    let objects: Arc<dyn ObjectStore> = store;
    Server::builder(objects)
        .keys(Keys::any())
        .clock(move || clocks.server())
        .entropy(move || u128::from(numbers.fetch_add(1, Relaxed)))
        .build()
        .await
        .unwrap()
}
