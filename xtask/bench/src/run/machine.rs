//! The machine that measures: what it is, and what else it does meanwhile.

use std::fs;

use anyhow::{Context as _, Result};

/// The kernel counts in hundredths of a second, on every platform that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What the machine is, in a line.
pub(crate) fn words() -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("a processor of no name", |(_, name)| name);
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kib: u64 = memory.split_whitespace().nth(1).context("/proc/meminfo")?.parse()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!("{count} × {model}, {} GiB, Linux {}", kib / (1024 * 1024), kernel.trim()))
}

/// The processor time that all processes together have taken, interrupts included.
pub(crate) fn busy_s() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("/proc/stat is empty")?;
    let fields: Vec<u64> = line.split_whitespace().skip(1).map(str::parse).collect::<Result<_, _>>()?;
    // user, nice, system, idle, iowait, irq, softirq, steal
    let busy: u64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|index| fields.get(*index)).sum();
    Ok(busy as f64 / TICKS_PER_SECOND)
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
