//! The program that does the work, and valgrind's callgrind around it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::workspace::{built, cargo};

/// One piece of work that the program can do.
pub(super) struct Workload {
    pub(super) name: String,
    /// How many of what one round does.
    pub(super) amount: u64,
    pub(super) of: String,
}

/// The bench `instructions`.
pub(super) struct Program {
    executable: PathBuf,
    /// Where callgrind puts what it counted.
    folder: TempDir,
}

impl Program {
    pub(super) fn build(root: &Path) -> Result<Self> {
        let arguments =
            ["bench", "--package", "partwise-instructions", "--bench", "instructions", "--no-run"];
        let executable = built(&mut cargo(root, arguments))?;
        Ok(Self { executable, folder: tempfile::tempdir()? })
    }

    pub(super) fn workloads(&self) -> Result<Vec<Workload>> {
        let output = Command::new(&self.executable).output().context("cannot start the bench")?;
        ensure!(output.status.success(), "the bench does not list what it can do");
        String::from_utf8(output.stdout)?.lines().map(workload).collect()
    }

    /// How many instructions one round takes.
    pub(super) fn count(&self, workload: &Workload) -> Result<u64> {
        // The first round asks the system for memory, and finds out what the processor can do.
        let warm = self.total(&workload.name, 1)?;
        let done = self.total(&workload.name, 2)?;
        done.checked_sub(warm).filter(|count| *count > 0).context("a round takes no instructions")
    }

    /// How many instructions so many rounds take, with all that precedes and follows them.
    fn total(&self, name: &str, rounds: u32) -> Result<u64> {
        let profile = self.folder.path().join("profile");
        let mut valgrind = Command::new("valgrind");
        valgrind
            .args(["--quiet", "--tool=callgrind"])
            .arg(format!("--callgrind-out-file={}", profile.display()))
            .arg(&self.executable)
            .args([name, &rounds.to_string()]);
        // The size of the environment moves the stack, and with it how much is copied byte by byte.
        if let Some(path) = std::env::var_os("PATH") {
            valgrind.env_clear().env("PATH", path);
        }
        let output = valgrind.output().context("cannot start valgrind: install the package of that name")?;
        ensure!(
            output.status.success(),
            "it has failed under valgrind: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        total_of(&fs::read_to_string(profile)?)
    }
}

fn workload(line: &str) -> Result<Workload> {
    let words: Vec<_> = line.split(' ').collect();
    let [name, amount, of] = words[..] else {
        anyhow::bail!("the bench lists {line:?}, which is no workload")
    };
    Ok(Workload { name: name.to_owned(), amount: amount.parse()?, of: of.to_owned() })
}

/// The total of a profile, which is one number since instructions are the only event that was asked for.
fn total_of(profile: &str) -> Result<u64> {
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.context("callgrind's profile has no totals")?.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_profile_is_found_behind_its_costs() {
        let profile = "version: 1\nevents: Ir\nsummary: 7\n\nfn=(0)\n0 1207\n\ntotals: 1207\n";
        assert_eq!(total_of(profile).unwrap(), 1207);
        assert!(total_of("version: 1\nevents: Ir\n").is_err());
    }

    #[test]
    fn a_line_of_the_list_is_a_name_and_an_amount_of_something() {
        let Workload { name, amount, of } = workload("boundary-search 4194304 byte").unwrap();
        assert_eq!((name.as_str(), amount, of.as_str()), ("boundary-search", 4_194_304, "byte"));
        assert!(workload("boundary-search").is_err());
    }
}
