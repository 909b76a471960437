//! The seeds of a run: a window that moves, so that later runs try new ones.

use std::{
    collections::BTreeMap,
    ops::Range,
    panic::catch_unwind,
    time::{SystemTime, UNIX_EPOCH},
};

/// How many seeds a run of the tests looks at.
const WINDOW: u64 = 1000;
/// How often the window moves.
const SECONDS: u64 = 3600;

/// The seeds of one run.
pub(crate) struct Window {
    pub(crate) seeds: Range<u64>,
}

impl Window {
    /// Another thousand every hour; `PARTWISE_SEEDS=FROM..TO` chooses others.
    pub(crate) fn of_the_run() -> Self {
        let seeds = match std::env::var("PARTWISE_SEEDS") {
            Ok(asked) => {
                let (from, to) = asked.split_once("..").expect("PARTWISE_SEEDS is FROM..TO");
                let number = |text: &str| text.parse().expect("FROM and TO are numbers");
                number(from)..number(to)
            }
            Err(_) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                let first = now / SECONDS * WINDOW;
                first..first + WINDOW
            }
        };
        Self { seeds }
    }

    /// Whether the seeds are too few to show together what many show.
    pub(crate) fn is_short(&self) -> bool {
        self.seeds.end - self.seeds.start < WINDOW
    }
}

/// Tells the story of each seed, and counts how they end. One that breaks a rule says how to tell it again.
pub(crate) fn for_each(
    window: &Window,
    story: impl Fn(u64) -> &'static str + std::panic::RefUnwindSafe,
) -> BTreeMap<&'static str, u64> {
    let mut tally = BTreeMap::new();
    for seed in window.seeds.clone() {
        let Ok(end) = catch_unwind(|| story(seed)) else {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            panic!(
                "seed {seed} breaks a rule; tell it again:\nPARTWISE_SEEDS={seed}..{} cargo test -p partwise-protocol \
                 --test {} {test}",
                seed + 1,
                env!("CARGO_CRATE_NAME")
            );
        };
        *tally.entry(end).or_default() += 1;
    }
    println!("seeds {:?}: {tally:#?}", window.seeds);
    tally
}
