//! A seeded world around the upload machine: virtual time, a model of the service, and everything that can go wrong.
//!
//! Every seed is one story: a file, a plan, a service, a network and their faults are drawn from it. The machine must
//! hold its rules (`rules.rs`) in all of them. A failing seed prints the command that tells it again; it then becomes a named
//! test in `stories.rs`. A run of the tests tries a thousand seeds, others every hour; `cargo xtask simulate` tries ten thousand.

#![allow(
    clippy::unwrap_used,
    clippy::result_large_err,
    clippy::print_stdout,
    clippy::needless_pass_by_value,
    reason = "a story that cannot be told fails, and tells itself"
)]

mod books;
mod faults;
mod line;
mod network;
mod pace;
mod parallel;
mod patience;
mod process;
mod rules;
mod saved;
mod service;
mod stories;
mod story;
mod world;

use partwise_testkit::seeds::{Window, for_each};
use world::World;

/// So many seeds are needed before what they show together is held against what they must show.
const ENOUGH: u64 = 10_000;

/// A chosen seed is told while it happens, up to where it breaks a rule.
fn tell(seed: u64, is_told: bool) -> &'static str {
    let mut world = World::new(seed);
    world.is_told = is_told;
    world.run()
}

#[test]
fn the_machine_holds_its_rules_whatever_fails() {
    let window = Window::of_the_run();
    let count = window.seeds.end - window.seeds.start;
    let tally = for_each(&window, |seed| tell(seed, count == 1));
    if count < ENOUGH {
        return;
    }
    // Rules that no story looked at, and ends that none came to, would prove nothing.
    for end in story::ENDS {
        assert!(tally.contains_key(end), "no seed ended with {end}: {tally:?}");
    }
    for (rule, times) in rules::checked() {
        println!("{rule}: looked at {times} times");
        assert!(times >= 50, "{rule} was looked at {times} times only");
    }
}
