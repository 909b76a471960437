//! Our tests of the official Node client, against `partwise serve`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::server::{KEYS, Server};
use crate::workspace::run;

pub(super) fn client(root: &Path) -> Result<()> {
    let folder = root.join("target/interop/node");
    install(&root.join("xtask/interop/node"), &folder)?;
    let server = Server::start(root)?;
    let mut node = Command::new("node");
    // One file after the other: all of them list the files of one tenant.
    node.args(["--test", "--test-concurrency=1", "--test-reporter=spec"]).current_dir(folder);
    node.env("PARTWISE_ORIGIN", server.origin()).env("PARTWISE_KEYS", KEYS.join(","));
    run(&mut node, "the tests that fail stand above")
}

/// Copies the tests, and installs what their lock file names beside them.
fn install(tests: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()? {
        // Of an earlier run, perhaps of a test that is no more.
        if entry.file_name().to_string_lossy().ends_with(".mjs") {
            fs::remove_file(entry.path())?;
        }
    }
    for entry in fs::read_dir(tests)? {
        let entry = entry?;
        fs::copy(entry.path(), folder.join(entry.file_name()))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--loglevel=error", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(folder);
    run(&mut npm, "node and npm are needed, and the packages that package-lock.json names")
}
