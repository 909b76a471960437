//! A file of two gibibytes goes up and comes back, from client to server in one process, within little memory.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::command;

const LENGTH: u64 = 2 << 30;
const MEMORY_KIB: u64 = 64 * 1024;
/// The content is made and compared in pieces of this many bytes.
const PIECE: usize = 1 << 20;

pub(super) fn run(root: &Path, executable: &Path, folder: &Path) -> Result<()> {
    let mut file = BufWriter::with_capacity(PIECE, File::create(folder.join("large.bin"))?);
    for piece in 0..LENGTH / PIECE as u64 {
        file.write_all(&content(piece))?;
    }
    file.flush()?;
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
    compare(&folder.join("large.copy"))
}

/// One piece of bytes that no compression and no other piece has.
fn content(piece: u64) -> Vec<u8> {
    let mut word = piece.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
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

fn compare(copy: &Path) -> Result<()> {
    let mut file = File::open(copy)?;
    ensure!(file.metadata()?.len() == LENGTH, "what came back has another length than what was sent");
    let mut read = vec![0; PIECE];
    for piece in 0..LENGTH / PIECE as u64 {
        file.read_exact(&mut read)?;
        ensure!(
            read == content(piece),
            "what came back differs from what was sent at {}",
            piece * PIECE as u64
        );
    }
    Ok(())
}
