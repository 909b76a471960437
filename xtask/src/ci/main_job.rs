//! The main job, end to end: the README's commands as they stand there, a larger file in parts in every dialect, and a file
//! of two gibibytes within little memory.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{command, large_file};
use crate::workspace::cargo;

/// How a command of the README starts that runs the command.
const README_COMMAND: &str = "cargo run --release -- ";

/// Large enough for several parts of [`PART`], with a short one at the end.
const LENGTH: usize = 20 * 1024 * 1024 + 4321;
const PART: &str = "4MiB";

pub(super) fn run(root: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    readme(root, folder.path()).context("the README's commands")?;
    let executable = command::build(root, command::Profile::Release)?;
    parts(&executable, folder.path()).context("a file in parts")?;
    large_file::run(root, &executable, folder.path()).context("a large file")
}

/// Runs the README's commands in a folder of their own that has a copy of it, with a store of their own.
fn readme(root: &Path, folder: &Path) -> Result<()> {
    let readme = fs::read_to_string(root.join("README.md"))?;
    fs::write(folder.join("README.md"), &readme)?;
    let commands: Vec<_> = readme.lines().filter_map(|line| line.strip_prefix(README_COMMAND)).collect();
    let [upload, download] = commands[..] else {
        anyhow::bail!("there are {} of them, and this job knows what to do with two", commands.len());
    };
    let id = command::id_of(&command::output(&mut released(root, folder, upload.split_whitespace()))?)?;
    let arguments: Vec<_> =
        download.split_whitespace().map(|word| if word == "ID" { &id } else { word }).collect();
    command::output(&mut released(root, folder, arguments.iter().copied()))?;
    let target = arguments.last().context("it has no arguments")?;
    ensure!(
        fs::read(folder.join(target))? == readme.as_bytes(),
        "what came back differs from what was stored"
    );
    Ok(())
}

fn released<'a>(root: &Path, folder: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = cargo(root, ["run", "--release", "--quiet", "--manifest-path"]);
    command
        .arg(root.join("Cargo.toml"))
        .arg("--")
        .args(arguments)
        .args(["--store", "store"])
        .current_dir(folder);
    command
}

fn parts(executable: &Path, folder: &Path) -> Result<()> {
    // No two parts are alike, so that parts in a wrong order are found.
    let content: Vec<u8> =
        (0_u32..).flat_map(|word| word.wrapping_mul(0x9e37_79b9).to_le_bytes()).take(LENGTH).collect();
    fs::write(folder.join("data.jsonl"), &content)?;
    for provider in ["openai", "azure", "azure-v1"] {
        let run = |arguments: &[&str]| {
            let mut command = Command::new(executable);
            command.args(arguments).args(["--local", "--store", "store", "--provider", provider]);
            command::output(command.current_dir(folder))
        };
        let upload =
            ["upload", "data.jsonl", "--purpose", "fine-tune", "--parallel", "4", "--part-size", PART];
        let id = command::id_of(&run(&[&upload[..], &["--md5", "--json"]].concat())?)?;
        run(&["files", "download", &id, "-o", provider])?;
        ensure!(
            fs::read(folder.join(provider))? == content,
            "{provider}: what came back differs from what was sent"
        );
    }
    Ok(())
}
