//! The line in a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result};

use super::machine;
use crate::line::{Span, Told};

/// What the line is like.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineOptions {
    /// Bytes a second.
    pub(crate) rate: u64,
    pub(crate) latency_ms: u64,
    pub(crate) cut_every_s: Option<f64>,
    pub(crate) away: Option<Span>,
}

/// A running line, ended when dropped.
pub(crate) struct Line {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) origin: String,
}

impl Line {
    pub(crate) fn start(options: &LineOptions, to: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["line", "--until-input-ends", "--to", to, "--rate", &options.rate.to_string()]);
        command.args(["--latency", &options.latency_ms.to_string()]);
        if let Some(seconds) = options.cut_every_s {
            command.args(["--cut-every", &seconds.to_string()]);
        }
        if let Some(span) = options.away {
            command.args(["--away", &span.to_string()]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("the line")?;
        let input = child.stdin.take().context("it has no input")?;
        let output = BufReader::new(child.stdout.take().context("it has no output")?);
        let mut line = Self { child, input, output, origin: String::new() };
        let said = line.read()?;
        let origin = said.trim_end().strip_prefix("listening on ");
        origin.with_context(|| format!("the line said {said:?}"))?.clone_into(&mut line.origin);
        Ok(line)
    }

    pub(crate) fn port(&self) -> Result<u16> {
        let port = self.origin.rsplit(':').next().and_then(|port| port.parse().ok());
        port.context("a line listens on a port")
    }

    /// The processor time that it has taken so far.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        machine::cpu_of(self.child.id())
    }

    /// What has passed so far.
    pub(crate) fn told(&mut self) -> Result<Told> {
        self.input.write_all(b"\n")?;
        serde_json::from_str(&self.read()?).context("the line tells nothing")
    }

    fn read(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
