//! The line in a process of its own.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::child_process::ChildProcess;
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
    process: ChildProcess,
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
        let (process, said) = ChildProcess::start(&mut command).context("the line")?;
        let origin = said.strip_prefix("listening on ").with_context(|| format!("the line said {said:?}"))?;
        Ok(Self { process, origin: origin.to_owned() })
    }

    pub(crate) fn port(&self) -> Result<u16> {
        let port = self.origin.rsplit(':').next().and_then(|port| port.parse().ok());
        port.context("a line listens on a port")
    }

    /// The processor time that it has taken so far.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        self.process.cpu_s()
    }

    /// What has passed so far.
    pub(crate) fn told(&mut self) -> Result<Told> {
        self.process.ask().context("the line tells nothing")
    }
}
