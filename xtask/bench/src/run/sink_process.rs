//! The sink in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};

use super::child_process::ChildProcess;
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
    process: Mutex<ChildProcess>,
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
        let (process, address) = ChildProcess::start(&mut command).context("the sink")?;
        Ok(Self { process: Mutex::new(process), address, certificate })
    }

    pub(crate) fn origin(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The processor time that it has taken so far.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        self.process().cpu_s()
    }

    /// What it saw since it was asked last.
    pub(crate) fn told(&self) -> Result<Told> {
        self.process().ask().context("the sink tells nothing")
    }

    fn process(&self) -> MutexGuard<'_, ChildProcess> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
