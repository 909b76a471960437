//! The memory and the descriptors of the servers, from `/proc`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::server::Server;
use crate::world::World;

const BETWEEN: Duration = Duration::from_secs(1);
/// The first tenth of the time warms up.
const WARM: f64 = 0.1;
/// Memory may grow by a quarter of what it was, and by so much: lists read the names of all that was deleted lately.
const GROWTH: f64 = 1.25;
const SLACK_KIB: f64 = 8.0 * 1024.0;

/// The memory of the steady server, in KiB, by the share of the time that was over.
#[derive(Debug, Default)]
pub(crate) struct Samples(Mutex<Vec<(f64, u64)>>);

impl Samples {
    /// Samples until the load is over, or `duration` is.
    pub(crate) fn collect(&self, world: &World, duration: Duration) {
        let begin = Instant::now();
        while !world.is_over() {
            if let Some(memory) = world.steady().and_then(Server::process).and_then(memory_kib) {
                let share = begin.elapsed().as_secs_f64() / duration.as_secs_f64();
                self.0.lock().unwrap_or_else(PoisonError::into_inner).push((share, memory));
            }
            thread::sleep(BETWEEN);
        }
    }

    /// The medians of the first third after the warm-up and of the last third.
    pub(crate) fn medians(&self) -> Option<(u64, u64)> {
        let third = (1.0 - WARM) / 3.0;
        self.median(WARM, WARM + third).zip(self.median(1.0 - third, f64::INFINITY))
    }

    /// The median of each tenth of the time.
    pub(crate) fn tenths(&self) -> Vec<u64> {
        let tenths =
            (0..10).filter_map(|tenth| self.median(f64::from(tenth) / 10.0, f64::from(tenth + 1) / 10.0));
        tenths.collect()
    }

    fn median(&self, from: f64, to: f64) -> Option<u64> {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let within = samples.iter().filter(|(share, _)| (from..to).contains(share));
        let mut within: Vec<u64> = within.map(|(_, memory)| *memory).collect();
        within.sort_unstable();
        within.get(within.len() / 2).copied()
    }
}

/// Returns true if memory that was `first` and is `last` has grown no more than it may.
pub(crate) fn is_flat(first: u64, last: u64) -> bool {
    last as f64 <= first as f64 * GROWTH + SLACK_KIB
}

/// The memory that a process has.
fn memory_kib(process: u32) -> Option<u64> {
    status_kib(process, "VmRSS:")
}

/// The most memory that a process had.
pub(crate) fn peak_memory_kib(process: u32) -> Option<u64> {
    status_kib(process, "VmHWM:")
}

fn status_kib(process: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let memory = status.lines().find_map(|line| line.strip_prefix(field))?;
    memory.trim().trim_end_matches("kB").trim().parse().ok()
}

/// The sockets of a process, and the files in the store's folder that it has open; not what its threads wait with, nor folders.
pub(crate) fn descriptors_of_work(process: u32, store: Option<&Path>) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    // One may be closed meanwhile.
    let targets = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    let is_work = |target: &PathBuf| {
        let is_in_store = store.is_some_and(|store| target.starts_with(store) && !target.is_dir());
        is_in_store || target.to_string_lossy().starts_with("socket:")
    };
    targets.filter(is_work).map(|target| target.to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirds_are_compared_after_the_warm_up() {
        let samples = Samples::default();
        assert_eq!(samples.medians(), None);
        *samples.0.lock().unwrap() =
            (0..100).map(|number| (f64::from(number) / 100.0, 1000 + number as u64)).collect();
        let (first, last) = samples.medians().unwrap();
        assert!((1020..1030).contains(&first) && (1080..1090).contains(&last), "{first} {last}");
        assert_eq!(samples.tenths(), [1005, 1015, 1025, 1035, 1045, 1055, 1065, 1075, 1085, 1095]);
    }

    #[test]
    fn growth_beyond_the_slack_is_not_flat() {
        assert!(is_flat(10_000, 20_000));
        assert!(!is_flat(10_000, 21_000));
        assert!(is_flat(200_000, 250_000));
        assert!(!is_flat(200_000, 300_000));
    }

    #[test]
    fn this_process_can_be_sampled() {
        assert!(memory_kib(std::process::id()).unwrap() > 0);
        let folder = tempfile::tempdir().unwrap();
        let (folder, file) = (folder.path().canonicalize().unwrap(), folder.path().join("open"));
        let _open = [fs::File::create(file).unwrap(), fs::File::open(&folder).unwrap()];
        let _socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open = descriptors_of_work(std::process::id(), Some(&folder));
        let is_in_folder = |target: &&String| target.starts_with(&*folder.to_string_lossy());
        assert_eq!(open.iter().filter(is_in_folder).count(), 1);
        assert!(open.iter().any(|target| target.starts_with("socket:")));
    }
}
