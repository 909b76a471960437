//! The examples at work: each one that takes a service is run against `partwise serve` with a real file, and the bytes are compared.

mod drivers;
mod gateway;
mod slow_line;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::command::{self, Profile};
use super::server::{KEYS, Listening, Server};
use crate::workspace::{cargo, run, target};

/// Examples that are to stay short, and the number of lines that each has less than.
const SHORT: [(&str, usize); 3] = [
    ("crates/protocol/examples/reqwest.rs", 80),
    ("crates/protocol/examples/ureq.rs", 80),
    ("crates/client/examples/five_jobs.rs", 25),
];

/// What the examples need: a service, the command to look at it with, and a folder.
struct Bench {
    server: Server,
    command: PathBuf,
    examples: PathBuf,
    folder: tempfile::TempDir,
}

pub(super) fn examples(root: &Path) -> Result<()> {
    for (path, most) in SHORT {
        let lines = fs::read_to_string(root.join(path))?.lines().count();
        ensure!(lines < most, "{path} has {lines} lines, and may have fewer than {most}");
    }
    run(&mut cargo(root, ["build", "--workspace", "--examples"]), "fix the example that is shown above")?;
    let bench = Bench {
        server: Server::start(root)?,
        command: command::build(root, Profile::Debug)?,
        examples: target(root)?.join("debug/examples"),
        folder: tempfile::tempdir()?,
    };
    five_jobs(&bench).context("five_jobs")?;
    upload(&bench).context("upload")?;
    custom_transport(&bench).context("custom_transport")?;
    azure_token(&bench).context("azure_token")?;
    axum_service(&bench).context("axum_service")?;
    for driver in ["reqwest", "ureq"] {
        drivers::resumes(&bench, driver).context(driver)?;
        drivers::says_what_is_wrong(&bench, driver).context(driver)?;
    }
    gateway::forwards(&bench).context("gateway")
}

impl Bench {
    /// An example, in the folder.
    fn example(&self, name: &str) -> Command {
        let mut command = Command::new(self.examples.join(name));
        command.current_dir(self.folder.path());
        command
    }

    /// The same, with OpenAI's variables set to the service.
    fn openai_example(&self, name: &str) -> Command {
        let mut command = self.example(name);
        command.env("OPENAI_BASE_URL", self.base()).env("OPENAI_API_KEY", KEYS[0]);
        command
    }

    fn base(&self) -> String {
        format!("{}/v1", self.server.origin())
    }

    /// A file of this length, no block of which is like another.
    fn file(&self, name: &str, length: usize) -> Result<Vec<u8>> {
        let words = (0..1024_u32).flat_map(|word| word.wrapping_mul(0x9e37_79b9).to_le_bytes());
        let block: Vec<u8> = words.collect();
        let mut content = block.repeat(length.div_ceil(block.len()));
        for (number, block) in content.chunks_exact_mut(block.len()).enumerate() {
            block[..8].copy_from_slice(&(number as u64).to_le_bytes());
        }
        content.truncate(length);
        fs::write(self.folder.path().join(name), &content)?;
        Ok(content)
    }

    /// The command against a service of OpenAI's dialect.
    fn command(&self, base: &str) -> Command {
        let mut command = Command::new(&self.command);
        command.current_dir(self.folder.path()).env("OPENAI_BASE_URL", base).env("OPENAI_API_KEY", KEYS[0]);
        command
    }

    /// Downloads the file with this identifier, compares its bytes and deletes it.
    fn holds(&self, base: &str, id: &str, content: &[u8]) -> Result<()> {
        command::output(self.command(base).args(["files", "download", id, "-o", "came"]))?;
        let came = self.folder.path().join("came");
        ensure!(fs::read(&came)? == content, "what came back differs from what was sent");
        fs::remove_file(came)?;
        command::output(self.command(base).args(["files", "delete", id]))?;
        Ok(())
    }
}

/// The words that an example printed.
fn words(command: &mut Command) -> Result<Vec<String>> {
    let stdout = String::from_utf8(command::output(command)?)?;
    Ok(stdout.split_whitespace().map(str::to_owned).collect())
}

fn five_jobs(bench: &Bench) -> Result<()> {
    let content = bench.file("notes.md", 300_000)?;
    let said = command::output(bench.openai_example("five_jobs").arg("notes.md"))?;
    let said = String::from_utf8(said)?;
    ensure!(said.contains("300000 bytes, deleted: true"), "it printed {said:?}");
    ensure!(fs::read(bench.folder.path().join("notes.md.copy"))? == content, "the copy differs");
    Ok(())
}

fn upload(bench: &Bench) -> Result<()> {
    let content = bench.file("train.jsonl", 20_000_001)?;
    let said = words(bench.openai_example("upload").args(["train.jsonl", "fine-tune"]))?;
    let [id] = &said[..] else { anyhow::bail!("it printed {said:?}") };
    ensure!(!bench.folder.path().join("train.jsonl.partwise").exists(), "the checkpoint is left over");
    bench.holds(&bench.base(), id, &content)?;
    drivers::sends_the_rest(bench, "killed.jsonl", "killed.jsonl.partwise", |base| {
        let mut command = bench.openai_example("upload");
        command.env("OPENAI_BASE_URL", base).args(["killed.jsonl", "fine-tune"]);
        command
    })
}

/// It lists a file that another example has made.
fn custom_transport(bench: &Bench) -> Result<()> {
    bench.file("listed.txt", 10)?;
    let made = words(bench.openai_example("upload").args(["listed.txt", "assistants"]))?;
    let said = words(&mut bench.openai_example("custom_transport"))?;
    ensure!(said == [&made[0], "listed.txt"], "it printed {said:?}, and {made:?} is there");
    Ok(())
}

/// A service of its own, which answers one file and says that there is no other.
fn axum_service(bench: &Bench) -> Result<()> {
    let service = Listening::start(bench.example("axum_service").arg("127.0.0.1:0"))?;
    let base = format!("{}/v1", service.origin());
    let get = |id: &str| bench.command(&base).args(["files", "get", id, "--json"]).output();
    let file: Value = serde_json::from_slice(&get("file-1")?.stdout)?;
    ensure!(file["filename"] == "notes.md" && file["bytes"] == 5, "it answered {file}");
    let missing = get("file-2")?;
    let said = String::from_utf8_lossy(&missing.stderr);
    ensure!(!missing.status.success() && said.contains("there is no file file-2"), "it answered {said:?}");
    Ok(())
}

/// The token comes from a command that stands in for Azure's.
fn azure_token(bench: &Bench) -> Result<()> {
    let tools = bench.folder.path().join("tools");
    fs::create_dir(&tools)?;
    let expires = SystemTime::UNIX_EPOCH.elapsed()? + Duration::from_secs(3600);
    let az = tools.join("az");
    fs::write(&az, format!("#!/bin/sh\nprintf '%s\\t%s\\n' '{}' '{}'\n", KEYS[0], expires.as_secs()))?;
    make_executable(&az)?;
    let content = bench.file("tokens.jsonl", 9_000_000)?;
    let path = std::env::var_os("PATH").context("there is no PATH")?;
    let path = std::env::join_paths([tools].into_iter().chain(std::env::split_paths(&path)))?;
    let mut example = bench.example("azure_token");
    example.arg("tokens.jsonl").env("PATH", path).env("AZURE_OPENAI_ENDPOINT", bench.server.origin());
    let said = words(&mut example)?;
    bench.holds(&bench.base(), said.first().context("it printed nothing")?, &content)
}

fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}
