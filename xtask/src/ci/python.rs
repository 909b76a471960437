//! The official Python client against `partwise serve`, and through the gateway among the examples.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::server::{KEYS, Listening, Server};
use crate::workspace::{built, cargo, run, virtual_environment};

pub(super) fn client(root: &Path) -> Result<()> {
    let python = environment(root)?;
    let server = Server::start(root)?;
    let script = |origin: &str, clients: &[&str]| {
        let mut client = Command::new(&python);
        client.arg(root.join("xtask/interop/official_client.py")).arg(origin).args(KEYS).args(clients);
        run(&mut client, "the traceback above says which assertion does not hold")
    };
    script(server.origin(), &[])?;
    let example = ["build", "--package", "partwise-protocol", "--example", "gateway"];
    let mut gateway = Command::new(built(&mut cargo(root, example))?);
    let gateway = Listening::start(gateway.args(["127.0.0.1:0", server.origin()]))?;
    eprintln!("through the gateway to Azure v1:");
    script(gateway.origin(), &["openai"])
}

/// Makes a virtual environment `target/interop/venv` with the packages of `xtask/interop/requirements.txt`, and returns
/// its Python.
pub(super) fn environment(root: &Path) -> Result<PathBuf> {
    let requirements = root.join("xtask/interop/requirements.txt");
    virtual_environment(
        &root.join("target/interop/venv"),
        [OsStr::new("--requirement"), requirements.as_os_str()],
    )
}
