//! `partwise serve` and its tests over stores that run on this machine: conversations, races and kills, and the words for stores that
//! cannot be used.
//!
//! A store that overwrites, or answers as if it had not, shows itself where servers compete or die.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::command::{self, Profile};
use crate::stores::{Service, Store};
use crate::workspace::{built, cargo, run as run_command, target};

/// The tests of the server that need a store elsewhere, and are ignored without one.
const TESTS: [&str; 6] = [
    "elsewhere::a_random_conversation_goes_as_the_model_says",
    "elsewhere::a_part_that_is_stored_in_pieces_comes_back_whole",
    "elsewhere::of_complete_and_cancel_exactly_one_wins",
    "elsewhere::of_two_completes_with_other_parts_exactly_one_wins",
    "elsewhere::of_two_completes_with_the_same_parts_both_get_the_file",
    "elsewhere::of_two_deletes_exactly_one_is_told_that_it_did",
];

/// The load under which servers are killed.
const LOAD: [&str; 10] =
    ["--kills", "30", "--life", "0.7", "--audit-every", "10", "--clients", "12", "--minutes", "3"];

/// The number of stores whose own processes may end.
const STORES: usize = 2;

/// The seconds after which a server that should have refused to start serves.
const SERVES: &str = "60";

struct Programs {
    partwise: PathBuf,
    soak: PathBuf,
    /// The folder for what must survive a failure.
    logs: PathBuf,
}

pub(super) fn run(root: &Path) -> Result<()> {
    let programs = Programs {
        partwise: command::build(root, Profile::Debug)?,
        soak: built(&mut cargo(root, ["build", "--package", "partwise-soak"]))?,
        logs: target(root)?.join("stores/logs"),
    };
    for service in [Service::Radosgw, Service::Azurite] {
        let test = |store: &Store| served_by(root, &programs, service, store);
        over(root, &programs.logs, service, service.name(), test).with_context(|| service.name())?;
    }
    over(root, &programs.logs, Service::Rclone, Service::Rclone.name(), |rclone| {
        programs.is_refused(
            rclone.give_to(&mut programs.serve(&rclone.url(""))),
            "overwrites objects that are to be created only if they are not there",
        )
    })
}

/// Tests with a store, and with a fresh one where its own process has ended: that alone says nothing about the server. The store's
/// logs stay, in a folder of `logs` that has this name in its own.
pub(super) fn over(
    root: &Path,
    logs: &Path,
    service: Service,
    name: &str,
    test: impl Fn(&Store) -> Result<()>,
) -> Result<()> {
    for number in 1.. {
        let folder = logs.join(format!("{name}-store-{number}"));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let mut store = Store::start(root, service, &folder)?;
        let held = test(&store);
        match store.check() {
            Ok(()) => {
                held?;
                eprintln!("{}: {} MiB of memory at most", service.name(), store.peak_memory_kib() / 1024);
                break;
            }
            Err(ended) if number < STORES => {
                let cause = held.err().map(|error| format!("; with that: {error:#}")).unwrap_or_default();
                eprintln!("the store itself has ended, all begins again with a fresh one: {ended:#}{cause}");
            }
            Err(ended) => return Err(ended.context(format!("{STORES} stores have ended"))),
        }
    }
    Ok(())
}

/// All that a store has to stand.
fn served_by(root: &Path, programs: &Programs, service: Service, store: &Store) -> Result<()> {
    run_tests(root, store)?;
    programs.is_refused(
        store.give_to(&mut programs.serve(&store.url_in("absent", ""))),
        "there is no bucket or container `",
    )?;
    programs
        .is_refused(without_rights(store, &mut programs.serve(&store.url(""))), "rejects the credentials")?;
    ["2", "3"].into_iter().try_for_each(|servers| programs.kill(store, service, servers))
}

/// Runs the tests by their names, and holds that each has run: one that is gone, or is ignored, is no success.
fn run_tests(root: &Path, store: &Store) -> Result<()> {
    // What the tests of the whole workspace have built before.
    let mut tests = cargo(root, ["test", "--workspace", "--test", "it", "--", "--ignored", "--exact"]);
    let output = store.give_to(tests.args(TESTS)).stderr(Stdio::inherit()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "the tests of the server have failed:\n{said}");
    for name in TESTS {
        ensure!(said.contains(&format!("test {name} ... ok")), "{name} did not run:\n{said}");
    }
    eprintln!("{} tests of the server pass", TESTS.len());
    Ok(())
}

/// The command with the store in its environment, and a key that the store does not know.
fn without_rights<'c>(store: &Store, command: &'c mut Command) -> &'c mut Command {
    let command = store.give_to(command);
    command.env("AWS_SECRET_ACCESS_KEY", "wrong").env("AZURE_STORAGE_ACCOUNT_KEY", "d3Jvbmc=")
}

impl Programs {
    /// A server at a store, which is ended if it serves.
    fn serve(&self, url: &str) -> Command {
        let mut command = Command::new("timeout");
        command.arg(SERVES).arg(&self.partwise).args(["serve", "--listen", "127.0.0.1:0", "--store", url]);
        command.env_remove("PARTWISE_API_KEYS");
        command
    }

    /// Holds that a server does not start, and says why in these words.
    fn is_refused(&self, command: &mut Command, words: &str) -> Result<()> {
        let output = command.stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(1),
            "{}, not 1, where it should say {words:?}: {said}",
            output.status
        );
        ensure!(said.contains(words), "it does not say {words:?}: {said}");
        eprintln!("refused: {}", said.trim_end());
        Ok(())
    }

    /// Kills servers over one store while clients use them, and audits what they acknowledged.
    fn kill(&self, store: &Store, service: Service, servers: &str) -> Result<()> {
        let name = format!("{}-{servers}", service.name());
        let mut soak = Command::new(&self.soak);
        soak.arg("run").arg("--partwise").arg(&self.partwise).arg("--dir").arg(self.logs.join(&name));
        soak.args(["--store", &store.url(&name), "--servers", servers]).args(LOAD);
        run_command(
            store.give_to(&mut soak),
            "what does not hold stands above, and the logs are in the folders beside --dir",
        )
    }
}
