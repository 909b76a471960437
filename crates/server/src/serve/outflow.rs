//! Whether a caller takes what it is sent.
//!
//! Linux calls a socket writable again only when a third of its buffer is free, and the buffer grows to megabytes: seen from
//! above, a slow caller stands still for minutes. So the kernel is to take little that it cannot send yet
//! (`TCP_NOTSENT_LOWAT`), and what it may have taken is left out of the account of the least rate.
//!
//! How little depends on what the caller showed. Little costs processor time for one that takes everything at once (1.2 to 1.3
//! times as much over loopback with 32 to 128 KiB), and much hides one that hardly reads. One that was fast may
//! also have a receive buffer of megabytes, which Linux says to have room again only when a sixteenth of it is free.
//!
//! The kernel's own limit, `TCP_USER_TIMEOUT`, is of no use: with a limit of 2 seconds it ended connections whose peers read
//! 64 KiB a second all the time, since it counts from the first closed window and a window that opens a little does not end that.

use std::time::Duration;

use tokio::{net::TcpStream, time::Instant};

use crate::{limits::Limits, pace::Pace};

/// Bytes after which it is looked at how fast they went.
const SAMPLE: usize = 1024 * 1024;
/// A sample within this time is fast.
const FAST: Duration = Duration::from_secs(1);
/// How many times as long a caller that was fast may take nothing.
const PATIENCE_WITH_FAST: u32 = 5;
/// What the kernel takes at once although it has enough.
const AT_ONCE: u32 = 64 * 1024;

/// How fast a caller takes what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speed {
    /// Not known to be fast.
    Slow,
    Fast,
}

/// The account of one connection.
pub(super) struct Outflow {
    speed: Speed,
    pace: Pace,
    stall: Duration,
    blocked: Option<Instant>,
    sample: Sample,
}

/// Bytes since a moment.
struct Sample {
    since: Instant,
    bytes: usize,
}

impl Sample {
    fn new() -> Self {
        Self { since: Instant::now(), bytes: 0 }
    }
}

impl Speed {
    /// How many bytes the kernel is to take that it cannot send yet.
    fn unsent(self) -> u32 {
        match self {
            Self::Slow => 32 * 1024,
            Self::Fast => 512 * 1024,
        }
    }

    fn stall(self, limit: Duration) -> Duration {
        match self {
            Self::Slow => limit,
            Self::Fast => limit * PATIENCE_WITH_FAST,
        }
    }

    /// Has the kernel take no more than that. A connection without the option works too.
    pub(crate) fn adapt(self, stream: &TcpStream) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(self.unsent());
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let _ = stream;
    }
}

impl Outflow {
    pub(super) fn new(limits: &Limits) -> Self {
        let mut pace = Pace::new(limits.min_rate, limits.rate_window);
        let speed = Speed::Slow;
        pace.set_unseen(u64::from(speed.unsent() + AT_ONCE));
        let stall = limits.write_stall_timeout;
        Self { speed, pace, stall, blocked: None, sample: Sample::new() }
    }

    /// An answer begins.
    pub(super) fn restart(&mut self) {
        self.pace.restart();
        self.sample = Sample::new();
    }

    pub(super) fn blocked(&mut self) {
        self.blocked.get_or_insert_with(Instant::now);
    }

    /// So many bytes were taken. Says which speed the peer has when that is another than before.
    pub(super) fn sent(&mut self, bytes: usize) -> Option<Speed> {
        if let Some(since) = self.blocked.take() {
            self.pace.waited(since.elapsed());
        }
        self.pace.moved(bytes as u64);
        self.sample.bytes += bytes;
        if self.sample.bytes < SAMPLE {
            return None;
        }
        let speed = if self.sample.since.elapsed() <= FAST { Speed::Fast } else { Speed::Slow };
        self.sample = Sample::new();
        if speed == self.speed {
            return None;
        }
        self.speed = speed;
        self.pace.set_unseen(u64::from(speed.unsent() + AT_ONCE));
        Some(speed)
    }

    /// When the peer has taken too little, if it takes nothing until then.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let since = self.blocked?;
        let stall = self.speed.stall(self.stall);
        // What the pace leaves was counted up to when the socket took nothing any more.
        Some(since + self.pace.left().map_or(stall, |left| left.min(stall)))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn outflow() -> Outflow {
        let mut outflow = Outflow::new(&Limits::default());
        outflow.restart();
        outflow
    }

    fn waits(outflow: &mut Outflow) -> Option<u64> {
        outflow.blocked();
        Some((outflow.deadline()? - Instant::now()).as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_takes_everything_is_never_late() {
        let mut outflow = outflow();
        outflow.sent(1);
        advance(Duration::from_secs(1000)).await;
        assert_eq!(outflow.deadline(), None);
        assert_eq!(waits(&mut outflow), Some(60));
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_fast_may_take_nothing_for_longer() {
        let mut outflow = outflow();
        assert_eq!(outflow.sent(SAMPLE), Some(Speed::Fast));
        assert_eq!(outflow.sent(SAMPLE), None);
        assert_eq!(waits(&mut outflow), Some(300));
        advance(Duration::from_secs(200)).await;
        assert_eq!(outflow.sent(SAMPLE), Some(Speed::Slow));
        assert_eq!(waits(&mut outflow), Some(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_of_steps_is_late_only_when_they_are_too_small() {
        for (step, is_late) in [(64 * 1024, false), (32 * 1024, true)] {
            let mut outflow = outflow();
            let mut late = false;
            for _ in 0..100 {
                outflow.blocked();
                advance(Duration::from_secs(50)).await;
                late |= outflow.deadline().is_some_and(|deadline| deadline <= Instant::now());
                outflow.sent(step);
            }
            assert_eq!(late, is_late, "{step} bytes in 50 seconds");
        }
    }
}
