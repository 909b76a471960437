//! The client's driver in a seeded world: the real `Client` against the real server, in one process, on tokio's paused
//! time, with everything in between that can go wrong.
//!
//! Every seed is one story: a file, a plan, a network and their faults are drawn from it. The driver must hold its rules
//! (`rules.rs`) in all of them. A failing seed prints itself and how to run it alone, and tells what happened; it then
//! becomes a named story in `stories.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::large_futures,
    reason = "a story that cannot be told fails, and tells itself"
)]

mod body;
mod books;
mod clocks;
mod disk;
mod fate;
mod journal;
mod network;
mod rules;
mod source;
mod stories;
mod story;
mod world;

use std::{
    collections::BTreeMap,
    ops::Range,
    panic::catch_unwind,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use journal::Journal;
use partwise_testkit::seeds::{Window, again};
use world::World;

/// So many seeds are needed before every end has to be among theirs.
const ENOUGH: u64 = 10_000;

/// The seeds of this run.
fn seeds() -> &'static Range<u64> {
    static SEEDS: OnceLock<Range<u64>> = OnceLock::new();
    SEEDS.get_or_init(|| Window::of_the_run().seeds)
}

/// Runs a story in a runtime of its own, whose time passes only when everybody waits.
fn in_paused_time<T>(story: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(story)
}

fn story_of(seed: u64, journal: Journal) -> &'static str {
    in_paused_time(async { World::of_seed(seed, journal).await.tell().await })
}

/// Tells the story of a seed that breaks a rule, up to where it breaks it.
fn tell(seed: u64) -> ! {
    println!("seed {seed} breaks a rule; tell it again:\n{}", again(seed, "the_driver"));
    story_of(seed, Journal::kept());
    unreachable!("a seed tells the same story every time")
}

#[test]
fn the_driver_holds_its_rules_whatever_fails() {
    let next = AtomicU64::new(seeds().start);
    let tally = Mutex::new(BTreeMap::<&'static str, u64>::new());
    let failed = Mutex::new(None);
    let tellers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..tellers {
            scope.spawn(|| {
                while failed.lock().unwrap().is_none() {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= seeds().end {
                        break;
                    }
                    match catch_unwind(|| story_of(seed, Journal::default())) {
                        Ok(end) => *tally.lock().unwrap().entry(end).or_default() += 1,
                        Err(_) => *failed.lock().unwrap() = Some(seed),
                    }
                }
            });
        }
    });
    if let Some(seed) = failed.into_inner().unwrap() {
        tell(seed);
    }
    let tally = tally.into_inner().unwrap();
    println!("seeds {:?}: {tally:#?}", seeds());
    if seeds().end - seeds().start >= ENOUGH {
        // Stories that never end in some way would prove nothing about it.
        for end in story::ENDS {
            assert!(tally.contains_key(end), "no seed ended with {end}: {tally:?}");
        }
    }
}

#[test]
fn a_seed_tells_the_same_story_every_time() {
    let is_steady = |seed: &u64| {
        !in_paused_time(async { World::of_seed(*seed, Journal::default()).await.depends_on_threads() })
    };
    for seed in seeds().clone().filter(is_steady).take(20) {
        let [first, second] = [Journal::kept(), Journal::kept()];
        assert_eq!(story_of(seed, first.clone()), story_of(seed, second.clone()));
        assert!(first.lines() == second.lines(), "seed {seed} told two stories");
    }
}
