//! A seeded world around the upload machine: virtual time, a model of the service, and everything that can go wrong.
//!
//! Every seed is one story: a file, a plan, a service, a network and their faults are drawn from it. The machine must
//! hold its rules (`rules.rs`) in all of them. A failing seed prints itself; it then becomes a named test in `stories.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::result_large_err,
    clippy::print_stdout,
    clippy::needless_pass_by_value,
    reason = "a story that cannot be told fails, and tells itself"
)]

mod books;
mod dice;
mod faults;
mod network;
mod pace;
mod patience;
mod process;
mod rules;
mod saved;
mod service;
mod stories;
mod story;
mod world;

use world::World;

/// How many seeds each run looks at; `PARTWISE_SEEDS=FROM..TO` looks at others.
const SEEDS: std::ops::Range<u64> = 0..10_000;

fn seeds() -> std::ops::Range<u64> {
    let Ok(asked) = std::env::var("PARTWISE_SEEDS") else { return SEEDS };
    let (from, to) = asked.split_once("..").expect("PARTWISE_SEEDS is FROM..TO");
    from.parse().expect("FROM is a number")..to.parse().expect("TO is a number")
}

/// Tells the story of a seed that breaks a rule, up to where it breaks it.
fn tell(seed: u64) -> ! {
    println!("seed {seed} breaks a rule: run it alone with PARTWISE_SEEDS={seed}..{}", seed + 1);
    let mut world = World::new(seed);
    world.is_told = true;
    world.run();
    unreachable!("a seed tells the same story every time")
}

#[test]
fn the_machine_holds_its_rules_whatever_fails() {
    let mut tally = std::collections::BTreeMap::<&'static str, u64>::new();
    for seed in seeds() {
        let Ok(end) = std::panic::catch_unwind(|| World::new(seed).run()) else { tell(seed) };
        *tally.entry(end).or_default() += 1;
    }
    println!("{tally:#?}");
    if seeds() == SEEDS {
        // Stories that never end in some way would prove nothing about it.
        for end in story::ENDS {
            assert!(tally.contains_key(end), "no seed ended with {end}: {tally:?}");
        }
        for (rule, times) in rules::checked() {
            println!("{rule}: looked at {times} times");
            assert!(times >= 50, "{rule} was looked at {times} times only");
        }
    }
}
