//! The gateway between clients of OpenAI and a service that speaks Azure's dialects: a large file passes through it in both
//! directions, and its memory stays small.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{Bench, command};
use crate::ci::server::Listening;

const LENGTH: usize = 300_000_000;
const MEMORY_KIB: u64 = 64 * 1024;

pub(super) fn forwards(bench: &Bench) -> Result<()> {
    let content = bench.file("large.jsonl", LENGTH)?;
    for version in [Some("2024-10-21"), None] {
        let mut gateway = bench.example("gateway");
        gateway.args(["127.0.0.1:0", bench.server.origin()]).args(version);
        let gateway = Listening::start(&mut gateway)?;
        let base = format!("{}/v1", gateway.origin());
        for route in ["single", "parts"] {
            let upload = ["upload", "large.jsonl", "--purpose", "fine-tune", "--json", "--route", route];
            let id = command::id_of(&command::output(bench.command(&base).args(upload))?)?;
            bench.holds(&base, &id, &content).with_context(|| format!("{version:?}, {route}"))?;
        }
        let peak = peak_kib(gateway.id())?;
        eprintln!("the gateway took {peak} KiB at most");
        ensure!(peak <= MEMORY_KIB, "the gateway took {peak} KiB of memory, and may take {MEMORY_KIB}");
    }
    Ok(())
}

/// The most memory that a process has had.
fn peak_kib(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
    peak.context("the system does not say how much memory it took")?.trim().parse().context("no number")
}
