//! The processes of a store.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The time that a process has until it is of use.
const START: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The lines of its log that tell why a process has ended.
const LAST_LINES: usize = 12;

/// A process that is ended when this is dropped.
pub(super) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// A command that becomes `program`, which the kernel kills when the thread that has started it ends.
pub(crate) fn tethered(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Runs a command to its end, and gives back what it wrote to standard output.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let words: Vec<_> = [command.get_program()].into_iter().chain(command.get_args()).collect();
    let words = words.join(" ".as_ref()).to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{words}`"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{words}` has failed ({}): {}", output.status, last_lines(&said));
    Ok(String::from_utf8(output.stdout)?)
}

/// Ports of 127.0.0.1 that are free now. Other processes may take them before they are used.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    // All at once, so that none is found twice.
    let mut listeners = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

pub(super) fn pause() {
    thread::sleep(LOOK_AGAIN);
}

impl Process {
    /// Starts a [tethered] command, whose output goes to a log in `folder`.
    pub(super) fn start(name: &'static str, command: &mut Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, log })
    }

    /// Waits until `look` finds something, which is given the log so far.
    pub(super) fn wait_for<T>(&mut self, mut look: impl FnMut(&str) -> Option<T>) -> Result<T> {
        let begin = Instant::now();
        loop {
            if let Some(found) = look(&self.log()) {
                return Ok(found);
            }
            self.check()?;
            let log = || self.log();
            ensure!(
                begin.elapsed() < START,
                "{} is of no use after {} s: {}",
                self.name,
                START.as_secs(),
                last_lines(&log())
            );
            pause();
        }
    }

    /// Waits until it listens on this port.
    pub(super) fn wait_for_port(&mut self, port: u16) -> Result<()> {
        self.wait_for(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()).map(drop)
    }

    /// Waits until its log tells on which port of 127.0.0.1 it listens.
    pub(super) fn wait_for_told_port(&mut self) -> Result<u16> {
        self.wait_for(told_port)
    }

    /// Fails if it has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} has ended ({status}): {}", self.name, last_lines(&self.log())),
        }
    }

    /// The most memory that it had, in KiB.
    pub(super) fn peak_memory_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        peak.trim().trim_end_matches("kB").trim().parse().ok()
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn told_port(log: &str) -> Option<u16> {
    let (_, rest) = log.rsplit_once("http://127.0.0.1:")?;
    let end = rest.find(|character: char| !character.is_ascii_digit())?;
    rest[..end].parse().ok()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ends_early_is_an_error_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut shell = tethered("sh");
        let mut process =
            Process::start("shell", shell.args(["-c", "echo no room >&2; exit 3"]), folder.path()).unwrap();
        let error = process.wait_for(|_| None::<()>).unwrap_err().to_string();
        assert_eq!(error, "shell has ended (exit status: 3): no room");
    }

    #[test]
    fn the_port_is_known_once_its_line_is_whole() {
        assert_eq!(told_port("Starting s3 server on [http://127.0.0.1:4071/]"), Some(4071));
        assert_eq!(told_port("listening at http://127.0.0.1:40"), None);
    }
}
