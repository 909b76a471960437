//! The drivers on the protocol alone: killed in the middle, they send the rest.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::slow_line::SlowLine;
use super::{Bench, KEYS, words};

/// Three seconds of the line.
const LENGTH: usize = 3 * 6_000_000 + 4321;
const BYTES_A_SECOND: u64 = 6_000_000;
/// So much has to be stored before the first run is killed.
const STORED: u64 = 3_000_000;

pub(super) fn resumes(bench: &Bench, driver: &str) -> Result<()> {
    let name = format!("{driver}.jsonl");
    let content = bench.file(&name, LENGTH)?;
    let checkpoint = bench.folder.path().join(format!("{name}.checkpoint"));
    let line = SlowLine::start(bench.server.origin(), BYTES_A_SECOND)?;
    let mut command = bench.example(driver);
    command.args([&format!("{}/v1", line.origin()), KEYS[0], &name, "fine-tune"]);

    let mut first = command.spawn().context("cannot start it")?;
    let stored = stored_in_time(&checkpoint);
    first.kill()?;
    ensure!(!first.wait()?.success(), "it was over before it could be killed");
    let stored = stored?;

    line.count_anew();
    let said = words(&mut command)?;
    let sent = line.passed();
    let [id] = &said[..] else { bail!("it printed {said:?}") };
    ensure!(!checkpoint.exists(), "the checkpoint is left over");
    bench.holds(&bench.base(), id, &content)?;
    // Around each part stand a few hundred bytes.
    let most = LENGTH as u64 - stored + 200_000;
    ensure!(sent <= most, "{sent} bytes were sent after {stored} of {LENGTH} had been stored");
    Ok(())
}

/// An error of the service ends it at once, and leaves no checkpoint of nothing.
pub(super) fn says_what_is_wrong(bench: &Bench, driver: &str) -> Result<()> {
    let name = format!("{driver}-rejected.jsonl");
    bench.file(&name, 100)?;
    let mut command = bench.example(driver);
    let output = command.args([bench.base().as_str(), "a-wrong-key", &name, "fine-tune"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success() && said.contains("401"), "with a wrong key it says {said:?}");
    ensure!(!bench.folder.path().join(format!("{name}.checkpoint")).exists(), "a checkpoint of nothing");
    Ok(())
}

/// Waits until a checkpoint says that enough is stored, and tells how much.
fn stored_in_time(checkpoint: &Path) -> Result<u64> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if let Ok(json) = fs::read(checkpoint) {
            // It is written beside its place and renamed, so that it is always whole.
            let checkpoint: Value = serde_json::from_slice(&json).context("half a checkpoint")?;
            let stored = stored(&checkpoint);
            if stored >= STORED {
                return Ok(stored);
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
    bail!("nothing was stored in twenty seconds")
}

/// The bytes of the parts that a checkpoint names.
fn stored(checkpoint: &Value) -> u64 {
    let parts = checkpoint["route"]["parts"]["acknowledged"].as_array();
    parts.into_iter().flatten().filter_map(|part| part["length"].as_u64()).sum()
}
