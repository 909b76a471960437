//! The seeds of a run: a window that moves, so that later runs try new ones.

use std::{
    collections::BTreeMap,
    env,
    ops::Range,
    panic::{RefUnwindSafe, catch_unwind},
    time::UNIX_EPOCH,
};

/// How many seeds a run of the tests looks at.
const WINDOW: u64 = 1000;
/// How often the window moves.
const SECONDS: u64 = 3600;

/// The seeds of one run.
#[derive(Clone, Debug)]
pub struct Window {
    /// The seeds, each of which is a story.
    pub seeds: Range<u64>,
}

impl Window {
    /// Returns another thousand seeds every hour; `PARTWISE_SEEDS=FROM..TO` chooses others.
    #[must_use]
    pub fn of_the_run() -> Self {
        let seeds = match env::var("PARTWISE_SEEDS") {
            Ok(asked) => {
                let (from, to) = asked.split_once("..").expect("PARTWISE_SEEDS is FROM..TO");
                let number = |text: &str| text.parse().expect("FROM and TO are numbers");
                number(from)..number(to)
            }
            Err(_) => {
                let first = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() / SECONDS * WINDOW;
                first..first + WINDOW
            }
        };
        Self { seeds }
    }

    /// Returns `true` when the seeds are too few to show together what many show.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.seeds.end - self.seeds.start < WINDOW
    }
}

/// Tells the story of each seed, and counts how they end. One that breaks a rule says how to tell it again.
///
/// # Panics
///
/// On the first story that does.
pub fn for_each(
    window: &Window,
    story: impl Fn(u64) -> &'static str + RefUnwindSafe,
) -> BTreeMap<&'static str, u64> {
    let mut tally = BTreeMap::new();
    for seed in window.seeds.clone() {
        let Ok(end) = catch_unwind(|| story(seed)) else {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            panic!("seed {seed} breaks a rule; tell it again:\n{}", again(seed, &test));
        };
        *tally.entry(end).or_default() += 1;
    }
    println!("seeds {:?}: {tally:#?}", window.seeds);
    tally
}

/// Returns the command that tells one story again, of the test target that is running.
#[must_use]
pub fn again(seed: u64, test: &str) -> String {
    let package = env::var("CARGO_PKG_NAME").unwrap_or_default();
    let target = env::current_exe().unwrap();
    let target = target.file_stem().unwrap().to_string_lossy();
    let target = target.rsplit_once('-').map_or(&*target, |(name, _hash)| name);
    format!("PARTWISE_SEEDS={seed}..{} cargo test -p {package} --test {target} {test}", seed + 1)
}
