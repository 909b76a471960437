//! Processes of this program that are asked over their input and answer over their output.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;

use super::machine;

/// A process that ends when its input does, and is ended when dropped. It answers each line of its input with a line of JSON.
pub(crate) struct ChildProcess {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl ChildProcess {
    /// Starts it, and gives back the first line that it says, without the line's end.
    pub(crate) fn start(command: &mut Command) -> Result<(Self, String)> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().context("it has no input")?;
        let output = BufReader::new(child.stdout.take().context("it has no output")?);
        let mut process = Self { child, input, output };
        let mut said = process.read()?;
        said.truncate(said.trim_end().len());
        Ok((process, said))
    }

    /// Asks once, and waits for the answer.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self) -> Result<T> {
        self.input.write_all(b"\n")?;
        Ok(serde_json::from_str(&self.read()?)?)
    }

    /// The processor time that it has taken so far.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        machine::cpu_of(self.child.id())
    }

    fn read(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line)
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
