//! What resumes: the drivers on the protocol alone, and the client's upload. Killed in the middle, they send the rest.

use std::fs;
use std::path::Path;
use std::process::Command;
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
    sends_the_rest(bench, &name, &format!("{name}.checkpoint"), |base| {
        let mut command = bench.example(driver);
        command.args([base, KEYS[0], &name, "fine-tune"]);
        command
    })
}

/// Kills the command in the middle of its upload of the file with this name, and runs it again: it sends only what its checkpoint does not have.
pub(super) fn sends_the_rest(
    bench: &Bench,
    name: &str,
    checkpoint: &str,
    command: impl FnOnce(&str) -> Command,
) -> Result<()> {
    let content = bench.file(name, LENGTH)?;
    let checkpoint = bench.folder.path().join(checkpoint);
    let line = SlowLine::start(bench.server.origin(), BYTES_A_SECOND)?;
    let mut command = command(&format!("{}/v1", line.origin()));

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
            let stored = stored(&json)?;
            if stored >= STORED {
                return Ok(stored);
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
    bail!("nothing was stored in twenty seconds")
}

/// The bytes of the parts that a checkpoint names. It is put in its place whole; the client appends a line for each part that comes later, of
/// which the last may be half written.
fn stored(json: &[u8]) -> Result<u64> {
    let mut lines = serde_json::Deserializer::from_slice(json).into_iter::<Value>();
    let whole = lines.next().context("an empty checkpoint")?.context("half a checkpoint")?;
    let parts = whole["route"]["parts"]["acknowledged"].as_array();
    let later: Vec<_> = lines.map_while(Result::ok).collect();
    Ok(parts.into_iter().flatten().chain(&later).filter_map(|part| part["length"].as_u64()).sum())
}

#[cfg(test)]
mod tests {
    use super::stored;

    #[test]
    fn parts_count_wherever_a_checkpoint_names_them_and_half_a_line_does_not() {
        let whole = r#"{"route":{"parts":{"acknowledged":[{"length":10},{"length":20}]}}}"#;
        assert_eq!(stored(whole.as_bytes()).unwrap(), 30);
        let later = format!("{whole}\n{{\"length\":3}}\n{{\"length\":4}}\n{{\"length\":1");
        assert_eq!(stored(later.as_bytes()).unwrap(), 37);
        assert!(stored(b"{\"route\"").is_err());
        assert!(stored(b"").is_err());
    }
}
