//! The machine that measures: what it is, and what else it does meanwhile.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::statvfs::statvfs;
use nix::sys::time::TimeValLike as _;

use super::scene::GIB;
use super::tools::said;

/// The kernel counts in hundredths of a second, on every platform that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;
/// The process that all threads of the kernel count as children of.
const KERNEL_THREADS: u32 = 2;

/// What the machine is, in a line.
pub(crate) fn words() -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("a processor of no name", |(_, name)| name);
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kib: u64 = memory.split_whitespace().nth(1).context("/proc/meminfo")?.parse()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let congestion = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control");
    let congestion = congestion.as_deref().unwrap_or("unknown");
    let (gib, kernel, congestion) = (kib / (1024 * 1024), kernel.trim(), congestion.trim());
    Ok(format!("{count} × {model}, {gib} GiB, Linux {kernel}, congestion control {congestion}"))
}

/// What a folder is on.
#[derive(Clone, Debug)]
pub(crate) struct FileSystem {
    kind: String,
    device: String,
}

impl FileSystem {
    /// Whether files there are nowhere but in memory.
    pub(crate) fn is_memory(&self) -> bool {
        ["tmpfs", "ramfs"].contains(&self.kind.as_str())
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.kind, self.device)?;
        if self.is_memory() { f.write_str(", which is memory: no disk takes part") } else { Ok(()) }
    }
}

/// The kind of file system that a folder is on, and its device.
pub(crate) fn file_system_of(folder: &Path) -> Result<FileSystem> {
    let folder = folder.canonicalize()?;
    let mounts = fs::read_to_string("/proc/mounts")?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        Some((fields.next()?, fields.next()?, fields.next()?))
    });
    // Of two on one place the later one is seen.
    let nearest =
        mounts.filter(|(_, place, _)| folder.starts_with(place)).max_by_key(|(_, place, _)| place.len());
    let (device, _, kind) = nearest.context("no file system is mounted there")?;
    Ok(FileSystem { kind: kind.to_owned(), device: device.to_owned() })
}

/// Complains when there is less room for files than this.
pub(crate) fn ensure_room(folder: &Path, bytes: u64) -> Result<()> {
    let file_system = statvfs(folder)?;
    let free = file_system.blocks_available() * file_system.fragment_size();
    let gib = |bytes: u64| bytes as f64 / GIB as f64;
    ensure!(
        free >= bytes,
        "{} has {:.1} GiB free, and {:.1} GiB are needed: make room for {:.1} GiB, or name another folder with --scratch",
        folder.display(),
        gib(free),
        gib(bytes),
        gib(bytes.saturating_sub(free))
    );
    Ok(())
}

/// Waits until nothing waits to be written to any disk.
pub(crate) fn settle() -> Result<()> {
    said(&mut Command::new("sync")).map(drop)
}

/// Watches what the machine does besides what we know of.
pub(crate) struct Watch {
    begin: Instant,
    busy: Busy,
    written_kib: u64,
    own_s: f64,
    workers_s: HashMap<u32, f64>,
}

impl Watch {
    pub(crate) fn begin() -> Result<Self> {
        let (begin, busy, written_kib) = (Instant::now(), Busy::now()?, written_kib()?);
        Ok(Self { begin, busy, written_kib, own_s: own_s()?, workers_s: workers_s()? })
    }

    /// How many processors have been busy on average with neither this process, nor the children that it has waited for, nor a
    /// service that took so much meanwhile. The kernel's workers are no others: they write to the disk what was written to
    /// files, and hand on over loopback what the sender's own call has not got to. What interrupts take is nobody's; a few
    /// hundredths are the counters' own. What the host of a virtual machine takes while much is written to disks is its part of
    /// that writing: next to nothing in every run that writes nothing.
    pub(crate) fn others(&self, service_s: f64) -> Result<f64> {
        let wall_s = self.begin.elapsed().as_secs_f64();
        let busy = Busy::now()?;
        let stolen_s = match written_kib()? - self.written_kib {
            MUCH_KIB.. => 0.0,
            _ => busy.stolen_s - self.busy.stolen_s,
        };
        let worker_s = |(worker, now_s): (u32, f64)| {
            (now_s - self.workers_s.get(&worker).copied().unwrap_or_default()).max(0.0)
        };
        let workers_s: f64 = workers_s()?.into_iter().map(worker_s).sum();
        let known_s = own_s()? - self.own_s + service_s + workers_s;
        let busy_s = busy.here_s - self.busy.here_s + stolen_s;
        Ok(((busy_s - known_s) / wall_s).max(0.0))
    }
}

/// The processor time of this process and of the children that it has waited for.
fn own_s() -> Result<f64> {
    let mut microseconds = 0;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who)?;
        microseconds += usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    }
    Ok(microseconds as f64 / 1e6)
}

/// So much is written to disks now and then by whatever runs.
const MUCH_KIB: u64 = 64 * 1024;

/// How busy the processors have been.
struct Busy {
    /// With all processes together, interrupts included.
    here_s: f64,
    /// With what the host of a virtual machine did meanwhile.
    stolen_s: f64,
}

impl Busy {
    fn now() -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        let line = stat.lines().next().context("/proc/stat is empty")?;
        let fields: Vec<u64> = line.split_whitespace().skip(1).map(str::parse).collect::<Result<_, _>>()?;
        // user, nice, system, idle, iowait, irq, softirq, steal
        let sum = |indices: &[usize]| indices.iter().filter_map(|index| fields.get(*index)).sum::<u64>();
        let seconds = |indices| sum(indices) as f64 / TICKS_PER_SECOND;
        Ok(Self { here_s: seconds(&[0, 1, 2, 5, 6]), stolen_s: seconds(&[7]) })
    }
}

/// What was written to disks so far.
fn written_kib() -> Result<u64> {
    let counters = fs::read_to_string("/proc/vmstat")?;
    let written = counters.lines().find_map(|line| line.strip_prefix("pgpgout "));
    Ok(written.context("/proc/vmstat")?.trim().parse()?)
}

/// The processor time that each of the kernel's workers has taken, which are there for whoever gives the kernel something to do
/// later, such as to write pages back, and end when there is nothing.
fn workers_s() -> Result<HashMap<u32, f64>> {
    let mut taken = HashMap::new();
    for worker in children_of(KERNEL_THREADS)? {
        // It may have ended meanwhile.
        let Ok(name) = fs::read_to_string(format!("/proc/{worker}/comm")) else { continue };
        if ["kworker/", "jbd2/", "ksoftirqd/"].iter().any(|kind| name.starts_with(kind)) {
            taken.extend(cpu_of(worker).ok().map(|seconds| (worker, seconds)));
        }
    }
    Ok(taken)
}

/// The processor time that one process has taken.
pub(crate) fn cpu_of(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may have spaces.
    let (_, rest) = stat.rsplit_once(')').context("/proc/PID/stat")?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("/proc/PID/stat")?;
    Ok((user + system) as f64 / TICKS_PER_SECOND)
}

/// The most memory that one process has had so far.
pub(crate) fn peak_kib_of(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("/proc/PID/status")?;
    Ok(peak.trim().trim_end_matches("kB").trim().parse()?)
}

/// The processes that one process has started and that are still there.
pub(crate) fn children_of(process: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(child) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may have ended meanwhile.
        let Ok(stat) = fs::read_to_string(format!("/proc/{child}/stat")) else { continue };
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if parent == Some(process) {
            children.push(child);
        }
    }
    Ok(children)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_in_memory_says_so() {
        let on = |kind: &str| FileSystem { kind: kind.to_owned(), device: "there".to_owned() };
        assert_eq!(on("ext4").to_string(), "ext4 on there");
        assert_eq!(on("tmpfs").to_string(), "tmpfs on there, which is memory: no disk takes part");
    }

    #[test]
    fn what_room_is_missing_is_said() {
        let folder = std::env::temp_dir();
        assert!(ensure_room(&folder, 0).is_ok());
        let error = ensure_room(&folder, 1 << 60).expect_err("no disk has so much").to_string();
        assert!(error.contains(" GiB free, and 1073741824.0 GiB are needed: make room for "), "{error}");
    }
}
