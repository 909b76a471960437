//! How a comparison ends before its time.

use std::fs;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

use super::machine;

/// How often an end is tried: somebody may still write to the folder.
const TRIES: u32 = 100;
const BETWEEN: Duration = Duration::from_millis(50);

/// Whether somebody has asked for the end (`SIGINT`, `SIGTERM`), which ends all that was started, and empties the scratch folder.
#[derive(Debug)]
pub(crate) struct Ending {
    is_asked_for: Arc<AtomicBool>,
}

impl Ending {
    /// From here on the signals are heard, on a thread of their own.
    pub(crate) fn of(scratch: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut interrupt, mut terminate) = {
            let _entered = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let is_asked_for = Arc::new(AtomicBool::new(false));
        let (asked, scratch) = (is_asked_for.clone(), scratch.to_owned());
        thread::Builder::new().spawn(move || {
            let number = runtime.block_on(poll_fn(|cx| match interrupt.poll_recv(cx) {
                Poll::Ready(_) => Poll::Ready(Signal::SIGINT),
                Poll::Pending => terminate.poll_recv(cx).map(|_| Signal::SIGTERM),
            }));
            asked.store(true, SeqCst);
            clean_up(&scratch);
            std::process::exit(128 + number as i32);
        })?;
        Ok(Self { is_asked_for })
    }

    /// Returns soon, or never when the end was asked for: what was killed must not count as measured.
    pub(crate) fn hold(&self) {
        // A terminal tells everyone at once, and what was measured may have ended before the signal was heard here.
        thread::sleep(BETWEEN);
        while self.is_asked_for.load(SeqCst) {
            thread::park();
        }
    }
}

fn clean_up(scratch: &PathBuf) {
    for _ in 0..TRIES {
        end_descendants_of(std::process::id());
        if !scratch.exists() || fs::remove_dir_all(scratch).is_ok() {
            break;
        }
        thread::sleep(BETWEEN);
    }
}

/// Ends all processes that one has started, and those that they have started, without asking.
pub(crate) fn end_descendants_of(process: u32) {
    let children = machine::children_of(process).unwrap_or_default();
    for child in children {
        end_descendants_of(child);
        if let Ok(child) = child.try_into() {
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
        }
    }
}
