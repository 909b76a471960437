//! A file of two gibibytes goes up and comes back, from client to server in one process, within little memory.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::command;

const LENGTH: u64 = 2 << 30;
const MEMORY_KIB: u64 = 64 * 1024;
/// The content is made and compared in pieces of this many bytes.
const PIECE: usize = 1 << 20;

pub(super) fn run(root: &Path, executable: &Path, folder: &Path) -> Result<()> {
    let noise = noise();
    let mut file = File::create(folder.join("large.bin"))?;
    for piece in 0..LENGTH / PIECE as u64 {
        file.write_all(&content(&noise, piece))?;
    }
    let upload = [
        "upload",
        "large.bin",
        "--purpose",
        "assistants",
        "--parallel",
        "4",
        "--part-size",
        "64MiB",
        "--json",
    ];
    let id = command::id_of(measured(root, executable, folder, &upload)?.as_bytes())?;
    std::fs::remove_file(folder.join("large.bin"))?;
    measured(root, executable, folder, &["files", "download", &id, "-o", "large.copy"])?;
    compare(&noise, &folder.join("large.copy"))
}

/// The bytes of a piece: noise, with the piece's number every few kilobytes, so that none is like another.
fn content(noise: &[u8], piece: u64) -> Vec<u8> {
    let mut content = noise.to_vec();
    for block in content.chunks_exact_mut(4096) {
        block[..8].copy_from_slice(&piece.to_le_bytes());
    }
    content
}

/// One piece that no compression makes smaller.
fn noise() -> Vec<u8> {
    let mut word = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        word.to_le_bytes()
    });
    words.take(PIECE / 8).flatten().collect()
}

/// Runs the command, holds its memory to the limit, and gives back what it wrote to standard output.
fn measured(root: &Path, executable: &Path, folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut python = Command::new("python3");
    python.arg(root.join("xtask/interop/peak_memory.py")).arg(executable).args(arguments);
    let stdout = command::output(python.args(["--local", "--store", "store"]).current_dir(folder))?;
    let stdout = String::from_utf8(stdout)?;
    let (printed, peak) = stdout.trim_end().rsplit_once('\n').unwrap_or(("", stdout.trim_end()));
    let peak: u64 = peak.parse().context("nothing was measured")?;
    eprintln!("{}: {peak} KiB at most", arguments[0]);
    ensure!(peak <= MEMORY_KIB, "it took {peak} KiB of memory, and may take {MEMORY_KIB}");
    Ok(printed.to_owned())
}

fn compare(noise: &[u8], copy: &Path) -> Result<()> {
    let mut file = File::open(copy)?;
    ensure!(file.metadata()?.len() == LENGTH, "what came back has another length than what was sent");
    let mut read = vec![0; PIECE];
    for piece in 0..LENGTH / PIECE as u64 {
        file.read_exact(&mut read)?;
        ensure!(
            read == content(noise, piece),
            "what came back differs from what was sent at {}",
            piece * PIECE as u64
        );
    }
    Ok(())
}
