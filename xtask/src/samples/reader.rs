//! The program among the models' examples that reads and writes JSON by their types.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::workspace;

/// A running reader. This crate does not depend on the models, so that it runs when they do not compile.
pub(super) struct Reader {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Reader {
    pub(super) fn start(root: &Path) -> Result<Self> {
        let arguments = ["run", "--quiet", "--package", "partwise-models", "--example", "read_samples"];
        let mut process = workspace::cargo(root, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start cargo")?;
        let input = process.stdin.take().context("the reader takes no input")?;
        let output = process.stdout.take().context("the reader gives no output")?;
        Ok(Self { process, input, output: BufReader::new(output) })
    }

    /// Reads JSON as a value of the type, and gives it as written again.
    pub(super) fn read_and_write(&mut self, type_name: &str, json: &Value) -> Result<Value> {
        writeln!(self.input, "{type_name}\t{json}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        match line.trim_end().split_once('\t') {
            Some(("ok", json)) => Ok(serde_json::from_str(json)?),
            Some((_, message)) => bail!("cannot be read as {type_name}: {message}"),
            None => bail!("the reader has stopped"),
        }
    }

    pub(super) fn finish(mut self) -> Result<()> {
        drop(self.input);
        ensure!(self.process.wait()?.success(), "the reader has failed");
        Ok(())
    }
}
