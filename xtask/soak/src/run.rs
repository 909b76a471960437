//! The soak from its beginning to its end.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use fastrand::Rng;

use crate::audit::audit;
use crate::book::{Book, State};
use crate::client::Client;
use crate::disk::{Disk, Scarce};
use crate::findings::Findings;
use crate::samples::{Samples, descriptors_of_work, is_flat};
use crate::server::{Server, Setting};
use crate::world::{Budget, Counts, Side, World};

const TENANTS: usize = 5;
const MOST_MINUTES: f64 = 45.0;
/// The time for which the disk has room, and the time for which it is full.
const ROOM: Duration = Duration::from_secs(33);
const FULL: Duration = Duration::from_secs(14);
/// The share of the disk that the load itself may take.
const SHARE: f64 = 0.6;
/// The time a server has to close its side of connections that are gone.
const LET_GO: Duration = Duration::from_secs(20);
/// A write that nobody has touched for so long was given up.
const GIVEN_UP: Duration = Duration::from_secs(15);
/// The connections to a store elsewhere that a server may keep for later.
const TO_STORE: usize = 64;

/// The length and the place of a soak.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// The command whose server is loaded.
    #[arg(long)]
    partwise: PathBuf,
    /// A folder for the disk and the servers' logs; what an earlier soak left there is removed.
    #[arg(long)]
    dir: PathBuf,
    /// The length of the load, in minutes.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// The number of clients.
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// The seed of all that is drawn by chance; a new one by default.
    #[arg(long)]
    seed: Option<u64>,
    /// The size of the disk. To a store elsewhere the load writes no more than it would to such a disk.
    #[arg(long, default_value_t = 1024)]
    disk_mib: u64,
    /// A store elsewhere in place of the disk, as `partwise serve` takes it: an empty place in a bucket. Nothing fills it, and any of
    /// the servers is killed, not only the first.
    #[arg(long)]
    store: Option<String>,
    /// The number of servers.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=9))]
    servers: u8,
    /// End the load after so many kills; the time must have room for them.
    #[arg(long)]
    kills: Option<usize>,
    /// The time between two kills, in seconds, on average.
    #[arg(long, default_value_t = 20.0)]
    life: f64,
    /// Audit after every so many kills.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    audit_every: u64,
    /// Further arguments to `partwise serve`, after `--`.
    #[arg(last = true)]
    serve: Vec<String>,
}

/// Soaks, prints the summary, and says whether all holds.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..u64::from(u32::MAX)));
    ensure!(
        options.minutes <= MOST_MINUTES,
        "--minutes: at most {MOST_MINUTES}, since uploads expire after an hour"
    );
    let duration = Duration::try_from_secs_f64(options.minutes * 60.0).context("--minutes")?;
    let world = world(options, duration)?;
    eprintln!("seed {seed}, {} clients, {} s at most", options.clients, duration.as_secs());
    for server in &world.servers {
        server.start()?;
    }
    let idle: Vec<_> = world.servers.iter().map(|server| open_descriptors(&world, server).len()).collect();
    let samples = Samples::default();
    load(&world, &samples, options, seed, duration);
    finish(&world, &idle);
    Ok(summarize(&world, &samples, seed))
}

fn world(options: &Options, duration: Duration) -> Result<World> {
    let [disk, logs] = ["disk", "logs"].map(|name| options.dir.join(name));
    for folder in [&disk, &logs] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
    }
    fs::create_dir_all(&logs)?;
    let disk = match options.store {
        Some(_) => None,
        None => Some(Disk::mount(&disk, options.disk_mib)?),
    };
    if let Some(why) = disk.as_ref().and_then(Disk::why_shared) {
        eprintln!("the disk is not filled, since there is none of its own: {why}");
    }
    let folder = disk.as_ref().map(|disk| disk.store().into_os_string());
    let keys: Vec<_> = (0..TENANTS).map(|tenant| format!("soak-key-{tenant}")).collect();
    let listed = keys.iter().enumerate().map(|(tenant, key)| format!("t{tenant}:{key}"));
    let setting = Setting {
        executable: options.partwise.canonicalize().context("--partwise")?,
        store: options.store.clone().map(Into::into).or(folder).unwrap_or_default(),
        keys: listed.collect::<Vec<_>>().join(","),
        arguments: options.serve.clone(),
    };
    let budget = (options.disk_mib << 20) as f64 * SHARE;
    let server = |number| {
        let name = format!("{number}");
        let log = logs.join(format!("{name}.log"));
        Server::new(name, setting.clone(), log)
    };
    Ok(World {
        servers: (1..=options.servers).map(server).collect(),
        keys,
        book: Book::new(TENANTS),
        disk,
        findings: Findings::new(),
        budget: Budget::new(budget as u64, duration),
        counts: Counts::default(),
        gate: RwLock::default(),
        hush: AtomicBool::new(false),
        over: AtomicBool::new(false),
    })
}

/// Lets the clients work, kills servers again and again, and fills the disk now and then.
fn load(world: &World, samples: &Samples, options: &Options, seed: u64, duration: Duration) {
    thread::scope(|scope| {
        for number in 0..options.clients {
            scope.spawn(move || Client::new(world, number, seed).run());
        }
        scope.spawn(|| samples.collect(world, duration));
        if let Some(disk) = world.disk.as_ref().filter(|disk| disk.why_shared().is_none()) {
            scope.spawn(move || fill_and_empty(world, disk));
        }
        // Not on a thread of its own: the kernel ends the servers when the thread that has started them ends.
        kill_servers(world, options, seed, duration);
        world.over.store(true, SeqCst);
        world.hush.store(true, SeqCst);
    });
}

/// Kills one server after the other until the time is over, or all are killed that are to be.
fn kill_servers(world: &World, options: &Options, seed: u64, duration: Duration) {
    let (begin, mut random) = (Instant::now(), Rng::with_seed(seed));
    let mut kills = 0;
    while options.kills.is_none_or(|wanted| kills < wanted) {
        let life = Duration::from_secs_f64(options.life * (0.5 + random.f64()));
        let left = duration.saturating_sub(begin.elapsed());
        thread::sleep(left.min(life));
        if left <= life {
            break;
        }
        // With a disk the last one stays, so that its memory can be followed.
        let victim = if world.disk.is_some() { Side(0) } else { world.draw(&mut random) };
        kill(world, victim);
        kills += 1;
        if kills as u64 % options.audit_every == 0 {
            audit_in_quiet(world, victim);
        }
    }
    if options.kills.is_some_and(|wanted| kills < wanted) {
        world.findings.note("the soak itself: the time has no room for the kills", format!("{kills}"));
    }
}

fn kill(world: &World, victim: Side) {
    notice_crashes(world);
    let server = world.server(victim);
    if let Err(error) = server.kill() {
        world.findings.note("a server cannot be killed", format!("{error:#}"));
    }
    start_again(world, server);
}

fn audit_in_quiet(world: &World, side: Side) {
    world.hush.store(true, SeqCst);
    let _quiet = world.gate.write().unwrap_or_else(PoisonError::into_inner);
    world.hush.store(false, SeqCst);
    audit(world, side);
}

/// Starts a server again, on whatever disk there is.
fn start_again(world: &World, server: &Server) {
    loop {
        let phase = world.phase();
        let Err(error) = server.start() else { return };
        let disk = if world.was_full_since(phase) { " on a full disk" } else { "" };
        world.findings.note(format!("a server does not start again{disk}"), format!("{error:#}"));
        if world.is_over() {
            return;
        }
        thread::sleep(Duration::from_secs(1));
    }
}

fn notice_crashes(world: &World) {
    for server in &world.servers {
        if server.has_crashed() {
            world.findings.note("a server has ended by itself", server.name());
        }
    }
}

fn fill_and_empty(world: &World, disk: &Disk) {
    let pause = |time: Duration| {
        let begin = Instant::now();
        while begin.elapsed() < time && !world.is_over() {
            thread::sleep(Duration::from_millis(100));
        }
        !world.is_over()
    };
    let note = |result: std::io::Result<()>| {
        if let Err(error) = result {
            world.findings.note("the soak itself: the disk cannot be filled or emptied", error.to_string());
        }
    };
    for scarce in [Scarce::Bytes, Scarce::Inodes].into_iter().cycle() {
        if !pause(ROOM) {
            break;
        }
        let begin = Instant::now();
        while begin.elapsed() < FULL && !world.is_over() {
            note(disk.fill(scarce));
            pause(Duration::from_millis(200));
        }
        note(disk.empty());
    }
}

/// Checks what has to hold when the clients are gone, and after another start.
fn finish(world: &World, idle: &[usize]) {
    world.hush.store(false, SeqCst);
    if let Some(Err(error)) = world.disk.as_ref().map(Disk::empty) {
        world.findings.note("the soak itself: the disk cannot be filled or emptied", error.to_string());
    }
    notice_crashes(world);
    for (server, idle) in world.servers.iter().zip(idle) {
        hold_descriptors(world, server, *idle);
    }
    for side in world.sides() {
        audit(world, side);
    }
    if let Some(disk) = &world.disk {
        hold_leftovers(world, disk);
    }
    for server in &world.servers {
        stop(world, server);
    }
    start_again(world, &world.servers[0]);
    audit(world, Side(0));
    stop(world, &world.servers[0]);
    for server in &world.servers {
        for line in server.panics() {
            world.findings.note("a server has panicked", format!("{}: {line}", server.name()));
        }
    }
}

fn stop(world: &World, server: &Server) {
    if let Err(error) = server.stop() {
        world
            .findings
            .note("a server does not end well after SIGTERM", format!("{}: {error:#}", server.name()));
    }
}

/// The sockets that a server has, and the files of the store that it has open.
fn open_descriptors(world: &World, server: &Server) -> Vec<String> {
    let folder = world.disk.as_ref().map(Disk::store);
    server.process().map_or_else(Vec::new, |process| descriptors_of_work(process, folder.as_deref()))
}

/// All that was opened for clients is closed.
fn hold_descriptors(world: &World, server: &Server, idle: usize) {
    let most = if world.disk.is_some() { idle } else { idle + TO_STORE };
    let begin = Instant::now();
    let mut open = open_descriptors(world, server);
    while open.len() > most && begin.elapsed() < LET_GO {
        thread::sleep(Duration::from_millis(100));
        open = open_descriptors(world, server);
    }
    if open.len() > most {
        let (name, count) = (server.name(), open.len());
        world
            .findings
            .note("descriptors stay open", format!("server {name}: {count}, {idle} when idle: {open:?}"));
    }
}

/// Unfinished writes are those of the killed servers' last moments, and no others.
fn hold_leftovers(world: &World, disk: &Disk) {
    let kills: Vec<_> = world.servers.iter().flat_map(|server| server.kills().clone()).collect();
    let leftovers = match disk.unfinished() {
        Ok(leftovers) => leftovers,
        Err(error) => {
            return world.findings.note("the soak itself: the store cannot be read", error.to_string());
        }
    };
    for (path, written) in leftovers {
        let was_killed =
            kills.iter().any(|kill| kill.duration_since(written).is_ok_and(|time| time < GIVEN_UP));
        if !was_killed {
            world
                .findings
                .note("an unfinished write stays that no kill has cut short", path.display().to_string());
        }
    }
}

fn summarize(world: &World, samples: &Samples, seed: u64) -> bool {
    let memory = samples.medians();
    if let Some((first, last)) = memory.filter(|(first, last)| !is_flat(*first, *last)) {
        world
            .findings
            .note("memory grows", format!("{first} KiB in the first third, {last} KiB in the last"));
    }
    let counts = &world.counts;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(SeqCst);
    println!(
        "answers: {}, of them {} that the disk is full; without an answer: {}; cut by clients: {}",
        count(&counts.answers),
        count(&counts.full),
        count(&counts.unanswered),
        count(&counts.cuts)
    );
    let in_state = |state| world.book.count(state);
    println!(
        "files: {} stored, {} deleted, {} of which either may be true, {} that were never made",
        in_state(State::Stored),
        in_state(State::Deleted),
        in_state(State::Possible) + in_state(State::PerhapsDeleted),
        in_state(State::Impossible)
    );
    let (audits, compared) = (count(&counts.audits), count(&counts.compared));
    println!("audits: {audits}, which compared {compared} contents");
    let kills: Vec<_> = world.servers.iter().map(|server| server.kills().len()).collect();
    match kills.iter().sum() {
        0 => println!("kills: NOT TESTED, the soak was too short"),
        all => println!("kills: {all}, by server {kills:?}"),
    }
    let peak = world.servers.iter().map(Server::peak_kib).max();
    println!("memory of a server: {} KiB at most", peak.unwrap_or(0));
    match memory {
        Some((first, last)) => {
            println!("memory of the steady server: {first} KiB in the first third, {last} KiB in the last");
            println!("    by tenths of the time: {:?}", samples.tenths());
        }
        None if world.steady().is_none() => println!("growth of memory: NOT TESTED, any server is killed"),
        None => println!("memory of the steady server: NOT TESTED, the soak was too short"),
    }
    match world.disk.as_ref().map(|disk| (disk.why_shared(), disk.phase() / 2)) {
        None => println!("a full disk: NOT TESTED, the store is elsewhere"),
        Some((Some(why), _)) => println!("a full disk: NOT TESTED, {why}"),
        Some((None, 0)) => println!("a full disk: NOT TESTED, the soak was too short"),
        Some((None, times)) => println!("the disk was filled and emptied {times} times"),
    }
    match world.findings.report() {
        None => println!("seed {seed}: nothing was found"),
        Some(report) => println!("{report}seed {seed}: all that was found stands above"),
    }
    world.findings.report().is_none()
}
