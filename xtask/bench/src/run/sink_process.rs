//! The sink in a process of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use super::machine;
use crate::sink::Told;

/// How the sink takes what comes.
#[derive(Clone, Debug, Default)]
pub(crate) struct SinkOptions {
    pub(crate) tls: bool,
    pub(crate) length: u64,
    pub(crate) rate: Option<u64>,
    pub(crate) slow_rate: Option<u64>,
    pub(crate) shared_rate: Option<u64>,
    pub(crate) latency_ms: u64,
}

/// A running sink, ended when dropped.
pub(crate) struct Sink {
    child: Child,
    address: String,
    pub(crate) certificate: Option<PathBuf>,
}

impl Sink {
    pub(crate) fn start(options: &SinkOptions, scratch: &Path) -> Result<Self> {
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
        let child = command.stdout(Stdio::piped()).spawn().context("cannot start the sink")?;
        // From here on it is ended whatever happens.
        let mut sink = Self { child, address: String::new(), certificate };
        BufReader::new(sink.child.stdout.as_mut().context("it has no output")?)
            .read_line(&mut sink.address)?;
        sink.address.truncate(sink.address.trim_end().len());
        Ok(sink)
    }

    pub(crate) fn origin(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The processor time that it has taken so far.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        machine::cpu_of(self.child.id())
    }

    /// What it saw since it was asked last. Only a plain one can be asked.
    pub(crate) fn told(&self) -> Result<Option<Told>> {
        if self.certificate.is_some() {
            return Ok(None);
        }
        let mut stream = TcpStream::connect(&self.address)?;
        stream.write_all(b"GET /report HTTP/1.1\r\n\r\n")?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, json) = answer.split_once("\r\n\r\n").context("the sink tells nothing")?;
        Ok(Some(serde_json::from_str(json)?))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
