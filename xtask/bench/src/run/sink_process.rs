//! The sink in a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};

use super::machine;
use crate::sink::Told;

/// How the sink takes what comes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SinkOptions {
    pub(crate) tls: bool,
    /// The length of the file that is downloaded.
    pub(crate) length: u64,
    /// Bits a second on each connection.
    pub(crate) rate: Option<u64>,
    /// Bits a second on one of them.
    pub(crate) slow_rate: Option<u64>,
    /// Bits a second on all together.
    pub(crate) shared_rate: Option<u64>,
    pub(crate) latency_ms: u64,
}

/// A running sink, ended when dropped.
pub(crate) struct Sink {
    child: Child,
    lines: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    address: String,
    pub(crate) certificate: Option<PathBuf>,
}

impl Sink {
    pub(crate) fn start(options: SinkOptions, scratch: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("sink").args(["--length", &options.length.to_string()]);
        command.args(["--latency", &options.latency_ms.to_string()]);
        for (name, rate) in [
            ("--rate", options.rate),
            ("--slow-rate", options.slow_rate),
            ("--shared-rate", options.shared_rate),
        ] {
            if let Some(rate) = rate {
                command.args([name, &rate.to_string()]);
            }
        }
        let certificate = options.tls.then(|| scratch.join("sink.pem"));
        if let Some(path) = &certificate {
            command.arg("--certificate").arg(path);
        }
        // It ends by itself when its input does.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("the sink")?;
        let input = child.stdin.take().context("it has no input")?;
        let mut output = BufReader::new(child.stdout.take().context("it has no output")?);
        let mut address = String::new();
        output.read_line(&mut address)?;
        address.truncate(address.trim_end().len());
        Ok(Self { child, lines: Mutex::new((input, output)), address, certificate })
    }

    pub(crate) fn origin(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The processor time that it has taken so far.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        machine::cpu_of(self.child.id())
    }

    /// What it saw since it was asked last.
    pub(crate) fn told(&self) -> Result<Told> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let (input, output) = &mut *lines;
        input.write_all(b"\n")?;
        let mut line = String::new();
        output.read_line(&mut line)?;
        serde_json::from_str(&line).context("the sink tells nothing")
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
