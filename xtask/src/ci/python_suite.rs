//! The official Python client's own generated tests for files and uploads, against `partwise serve`.
//!
//! They come with the client's source package and expect a mock that answers anything: `made_up.py` stands between them and a
//! server with real state, and `counted.py` sees to it that none of them goes missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::python::environment;
use super::server::{KEYS, Listening, Server};
use crate::workspace::run;

/// The tests, as the source package has them.
const TESTS: [&str; 3] = [
    "tests/api_resources/test_files.py",
    "tests/api_resources/test_uploads.py",
    "tests/api_resources/uploads/test_parts.py",
];

pub(super) fn tests(root: &Path) -> Result<()> {
    let suite = root.join("xtask/interop/suite");
    let python = environment(root)?;
    let source = source(root, &python, &suite)?;
    let server = Server::start(root)?;
    let mut made_up = Command::new(&python);
    made_up.arg(suite.join("made_up.py")).arg(server.origin()).arg(KEYS[0]);
    let made_up = Listening::start(&mut made_up)?;

    let mut pytest = Command::new(&python);
    pytest.args(["-m", "pytest", "--override-ini=addopts=", "--tb=short", "--quiet", "-p", "counted"]);
    pytest.args(TESTS).current_dir(source).env("PYTHONPATH", &suite);
    pytest.env("TEST_API_BASE_URL", format!("{}/v1", made_up.origin()));
    run(&mut pytest, "the tests that fail or are missing stand above")?;
    eprintln!("made-up values that were replaced: {}", made_up.finish()?.trim_end());
    Ok(())
}

/// Unpacks the client's source package, whose version and digest stand in `source.txt`, and says where it is.
fn source(root: &Path, python: &Path, suite: &Path) -> Result<PathBuf> {
    let folder = root.join("target/interop/suite-source");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--no-binary", ":all:", "--require-hashes", "--requirement"]);
    run(
        pip.arg(suite.join("source.txt")).arg("--dest").arg(&folder),
        "the client's source could not be had",
    )?;
    let archive = only_entry(&folder)?;
    let mut tar = Command::new("tar");
    run(
        tar.arg("-xzf").arg(&archive).arg("-C").arg(&folder),
        "the client's source package is not understood",
    )?;
    fs::remove_file(archive)?;
    only_entry(&folder)
}

fn only_entry(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    ensure!(entries.len() == 1, "{} has {} entries, not one", folder.display(), entries.len());
    Ok(entries.into_iter().next().context("no entry")?.path())
}
