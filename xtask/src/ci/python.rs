//! The official Python client against `partwise serve`.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::command;
use crate::workspace::run;

const KEYS: [&str; 2] = ["interop-key-one", "interop-key-two"];

pub(super) fn client(root: &Path) -> Result<()> {
    let python = environment(root)?;
    let executable = command::build(root, command::Profile::Debug)?;
    let store = tempfile::tempdir()?;
    let server = Server::start(&executable, store.path())?;
    let mut client = Command::new(python);
    client.arg(root.join("xtask/interop/official_client.py")).arg(&server.origin).args(KEYS);
    run(&mut client, "the traceback above says which assertion does not hold")
}

/// A virtual environment under `target/` with what `xtask/interop/requirements.txt` names, and the Python in it.
fn environment(root: &Path) -> Result<PathBuf> {
    let folder = root.join("target/interop/venv");
    let python = folder.join("bin/python");
    if !python.exists() {
        run(
            Command::new("python3").args(["-m", "venv"]).arg(&folder),
            "python3 and its module venv are needed",
        )?;
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    run(pip.arg(root.join("xtask/interop/requirements.txt")), "the Python packages could not be installed")?;
    Ok(python)
}

/// A running `partwise serve`, ended when dropped.
struct Server {
    child: Child,
    origin: String,
}

impl Server {
    fn start(executable: &Path, store: &Path) -> Result<Self> {
        let mut command = Command::new(executable);
        command.args(["serve", "--listen", "127.0.0.1:0", "--store"]).arg(store).stdout(Stdio::piped());
        let [one, two] = KEYS;
        command.env("PARTWISE_API_KEYS", format!("one:{one},two:{two}"));
        let child = command.spawn().context("cannot start partwise serve")?;
        // From here on it is ended whatever happens.
        let mut server = Self { child, origin: String::new() };
        let mut line = String::new();
        BufReader::new(server.child.stdout.as_mut().context("it has no output")?).read_line(&mut line)?;
        let origin = line.trim_end().strip_prefix("listening on ");
        origin.with_context(|| format!("partwise serve said {line:?}"))?.clone_into(&mut server.origin);
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
