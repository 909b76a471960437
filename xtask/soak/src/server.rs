//! `partwise serve`, started, killed and started again.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::samples::peak_memory_kib;
use crate::tether::tethered;

/// The time limit of a start.
const START: Duration = Duration::from_secs(60);
/// The time limit of a shutdown with no connection left.
const END: Duration = Duration::from_secs(60);

/// The settings that all servers have in common.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) executable: PathBuf,
    /// A folder or a URL, as `--store` takes it.
    pub(crate) store: OsString,
    /// As `PARTWISE_API_KEYS` has them.
    pub(crate) keys: String,
    /// Further arguments to `partwise serve`.
    pub(crate) arguments: Vec<String>,
}

/// A server over the one store, on the same port in each of its lives.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    setting: Setting,
    log: PathBuf,
    address: RwLock<Option<SocketAddr>>,
    child: Mutex<Option<Child>>,
    /// Odd while it runs.
    life: AtomicU64,
    /// When it was ended with SIGKILL.
    kills: Mutex<Vec<SystemTime>>,
    /// The most memory that it had in any of the lives that have ended, in KiB.
    peak_kib: AtomicU64,
}

impl Server {
    pub(crate) fn new(name: String, setting: Setting, log: PathBuf) -> Self {
        Self {
            name,
            setting,
            log,
            address: RwLock::default(),
            child: Mutex::default(),
            life: AtomicU64::new(0),
            kills: Mutex::default(),
            peak_kib: AtomicU64::new(0),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Starts it; the first start picks the port.
    pub(crate) fn start(&self) -> Result<()> {
        let listen = self.address().map_or_else(|_| "127.0.0.1:0".to_owned(), |address| address.to_string());
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = tethered(&self.setting.executable)?;
        command
            .args(["serve", "--listen", &listen, "--store"])
            .arg(&self.setting.store)
            .args(&self.setting.arguments);
        command
            .env("PARTWISE_API_KEYS", &self.setting.keys)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().context("partwise serve")?;
        let address = first_line(&mut child).and_then(|line| {
            let address = line.trim_end().strip_prefix("listening on http://");
            address.and_then(|address| address.parse().ok()).with_context(|| format!("it said {line:?}"))
        });
        match address {
            Ok(address) => {
                *self.address.write().unwrap_or_else(PoisonError::into_inner) = Some(address);
                *self.child() = Some(child);
                self.life.fetch_add(1, SeqCst);
                Ok(())
            }
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                let log = std::fs::read(&self.log).unwrap_or_default();
                let log = String::from_utf8_lossy(&log);
                let lines: Vec<_> = log.lines().collect();
                let words = lines[lines.len().saturating_sub(2)..].join("; ");
                Err(error.context(format!("the last of its log {}: {words}", self.log.display())))
            }
        }
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(&self) -> Result<()> {
        let Some(mut child) = self.child().take() else { return Ok(()) };
        self.life.fetch_add(1, SeqCst);
        self.note_peak(&child);
        child.kill()?;
        child.wait()?;
        self.kills().push(SystemTime::now());
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&self) -> Result<()> {
        let Some(mut child) = self.child().take() else { return Ok(()) };
        self.life.fetch_add(1, SeqCst);
        self.note_peak(&child);
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
        let begin = Instant::now();
        while begin.elapsed() < END {
            if let Some(status) = child.try_wait()? {
                return if status.success() { Ok(()) } else { Err(anyhow!("it ended with {status}")) };
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        bail!("it runs on {} s after SIGTERM although nobody is connected", END.as_secs())
    }

    /// The address that it listens on in all its lives.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        self.address.read().unwrap_or_else(PoisonError::into_inner).context("it was never started")
    }

    /// Differs from life to life, and is odd while it runs.
    pub(crate) fn life(&self) -> u64 {
        self.life.load(SeqCst)
    }

    /// Returns true if it has run all the time since `before`, which is an earlier life.
    pub(crate) fn has_lived_since(&self, before: u64) -> bool {
        before % 2 == 1 && self.life() == before
    }

    /// The number of its process, if it runs.
    pub(crate) fn process(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// Returns true if it has ended without a signal of ours.
    pub(crate) fn has_crashed(&self) -> bool {
        self.child().as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// When it was ended with SIGKILL.
    pub(crate) fn kills(&self) -> MutexGuard<'_, Vec<SystemTime>> {
        self.kills.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most memory that it had in any of the lives that have ended, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        self.peak_kib.load(SeqCst)
    }

    fn note_peak(&self, child: &Child) {
        self.peak_kib.fetch_max(peak_memory_kib(child.id()).unwrap_or(0), SeqCst);
    }

    /// Lines of its log that tell of a panic.
    pub(crate) fn panics(&self) -> Vec<String> {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        log.lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect()
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child().take() {
            // One that has ended already is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Reads the first line of standard output; no other follows.
fn first_line(child: &mut Child) -> Result<String> {
    let output = child.stdout.take().context("it has no output")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(output).read_line(&mut line);
        let _ = sender.send(read.map(|_| line));
    });
    let line =
        receiver.recv_timeout(START).with_context(|| format!("it says nothing for {} s", START.as_secs()))?;
    Ok(line?)
}
