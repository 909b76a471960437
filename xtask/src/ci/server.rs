//! `partwise serve`, as the jobs with official clients start it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::command;

/// The keys of two tenants.
pub(super) const KEYS: [&str; 2] = ["interop-key-one", "interop-key-two"];

/// A running server over a store of its own, ended when dropped.
pub(super) struct Server {
    process: Listening,
    _store: TempDir,
}

impl Server {
    /// Builds the command and starts it.
    pub(super) fn start(root: &Path) -> Result<Self> {
        let executable = command::build(root, command::Profile::Debug)?;
        let store = tempfile::tempdir()?;
        let mut command = Command::new(executable);
        command.args(["serve", "--listen", "127.0.0.1:0", "--store"]).arg(store.path());
        let [one, two] = KEYS;
        command.env("PARTWISE_API_KEYS", format!("one:{one},two:{two}"));
        Ok(Self { process: Listening::start(&mut command)?, _store: store })
    }

    /// `http://HOST:PORT`.
    pub(super) fn origin(&self) -> &str {
        &self.process.origin
    }
}

/// A process that says on its first line of output where it listens, ended when dropped.
pub(super) struct Listening {
    child: Child,
    input: Option<ChildStdin>,
    origin: String,
}

impl Listening {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start {name}"))?;
        let input = child.stdin.take();
        // From here on it is ended whatever happens.
        let mut listening = Self { child, input, origin: String::new() };
        let mut line = String::new();
        // Nothing follows on that line: no byte stays behind in this reader.
        BufReader::new(listening.child.stdout.as_mut().context("it has no output")?).read_line(&mut line)?;
        let origin = line.trim_end().strip_prefix("listening on ");
        origin.with_context(|| format!("{name} said {line:?}"))?.clone_into(&mut listening.origin);
        Ok(listening)
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// The number of the process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Closes its input, and gives back the rest of what it says.
    pub(super) fn finish(mut self) -> Result<String> {
        drop(self.input.take());
        let output = self.child.stdout.take().context("it has no output")?;
        Ok(std::io::read_to_string(output)?)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
