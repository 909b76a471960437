//! What one command takes: wall time, processor time, memory.

use std::io;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::{TimeVal, TimeValLike as _};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// What a whole process took, its children included.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Taken {
    pub(crate) wall_s: f64,
    pub(crate) user_s: f64,
    pub(crate) system_s: f64,
    pub(crate) peak_kib: u64,
}

/// Why nobody waits for the command any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It has ended by itself.
    Ended,
    /// Whoever started this process, and holds its standard input, has gone.
    Alone,
}

/// Runs the command and prints what it took as the last line of standard error. This process waits for no other child and is
/// small, so that what the kernel counts for its children is the command's. The command is ended after the limit, and when
/// standard input ends.
pub(crate) fn run(command: &[String], limit_s: u64) -> Result<ExitCode> {
    let begin = Instant::now();
    let child = Command::new(&command[0]).args(&command[1..]).stdin(Stdio::null()).spawn();
    let mut child = child.with_context(|| format!("cannot start {}", command[0]))?;
    let process = Pid::from_raw(child.id().try_into()?);
    let (ended, wait_for_end) = channel();
    let alone = ended.clone();
    thread::spawn(move || {
        // Nobody sends anything; that it ends, or cannot be read, is the message.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = alone.send(End::Alone);
    });
    let watch = thread::spawn(move || {
        let end = wait_for_end.recv_timeout(Duration::from_secs(limit_s));
        // It has not been waited for yet, so the number is still its own.
        end != Ok(End::Ended) && kill(process, Signal::SIGKILL).is_ok()
    });
    let status = child.wait()?;
    let wall_s = begin.elapsed().as_secs_f64();
    // Whoever waits for it may have killed it and gone.
    let _ = ended.send(End::Ended);
    ensure!(
        !watch.join().unwrap_or_default(),
        "{} was ended: it took more than {limit_s} s, or nobody waited for it",
        command[0]
    );
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: TimeVal| time.num_microseconds() as f64 / 1e6;
    let taken = Taken {
        wall_s,
        user_s: seconds(usage.user_time()),
        system_s: seconds(usage.system_time()),
        peak_kib: u64::try_from(usage.max_rss())?,
    };
    eprintln!("{}", serde_json::to_string(&taken)?);
    Ok(ExitCode::from(u8::from(!status.success())))
}
