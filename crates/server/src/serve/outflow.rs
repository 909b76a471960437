//! The account of what a caller takes of what it is sent.
//!
//! Linux calls a socket writable again only when a third of its buffer is free, and the buffer grows to megabytes: seen from
//! above, a slow caller stands still for minutes. So the kernel is to take little that it cannot send yet
//! (`TCP_NOTSENT_LOWAT`), and what it may have taken is left out of the account of the least rate. A caller that was fast is not
//! bound so: over loopback, 512 KiB cost the server 1.8 times the processor time. It is given more time instead, also since
//! its system may have a receive buffer of megabytes by then, which Linux says to have room again only when a sixteenth is free.
//!
//! Over loopback, a reader of 8 KiB a second is seen to move every 18 seconds, one of 2 KiB every 70. A slow line moves all the
//! time.
//!
//! The kernel's own limit, `TCP_USER_TIMEOUT`, is of no use: with a limit of 2 seconds it ended connections whose peers read
//! 64 KiB a second all the time, since it counts from the first closed window and a window that opens a little does not end that.

use std::time::Duration;

use tokio::{net::TcpStream, time::Instant};

use crate::{limits::Limits, pace::Pace};

/// Bytes that a caller has to take within [`FAST`] to be fast.
const SAMPLE: usize = 1024 * 1024;
const FAST: Duration = Duration::from_secs(1);
/// The factor by which a caller that was fast may take nothing for longer.
const PATIENCE_WITH_FAST: u32 = 5;
/// Bytes for a slow caller that the kernel is to take although it cannot send them yet.
const UNSENT: u32 = 32 * 1024;
/// Bytes that the kernel takes at once although it has that much.
const AT_ONCE: u32 = 64 * 1024;
/// Bytes to which Linux lets a send buffer grow.
const SEND_BUFFER: u32 = 4 * 1024 * 1024;

/// The speed at which a caller takes what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speed {
    /// Not known to be fast.
    Slow,
    /// Was fast once. What the kernel has taken by then can take minutes to leave, so there is no way back.
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
    /// Bytes that may leave before the socket takes more.
    fn unseen(self) -> u64 {
        u64::from(match self {
            Self::Slow => UNSENT + AT_ONCE,
            Self::Fast => SEND_BUFFER,
        })
    }

    fn stall(self, limit: Duration) -> Duration {
        match self {
            Self::Slow => limit,
            Self::Fast => limit.saturating_mul(PATIENCE_WITH_FAST),
        }
    }

    /// Tells the kernel how much to take that it cannot send yet. A connection without the option works too.
    pub(crate) fn adapt(self, stream: &TcpStream) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(match self {
            Self::Slow => UNSENT,
            // What the system has by default.
            Self::Fast => 0,
        });
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let _ = stream;
    }
}

impl Outflow {
    pub(super) fn new(limits: &Limits) -> Self {
        let mut pace = Pace::new(limits.min_rate, limits.rate_window);
        let speed = Speed::Slow;
        pace.set_unseen(speed.unseen());
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

    /// So many bytes were taken. Says which speed the peer has when that has become another.
    pub(super) fn sent(&mut self, bytes: usize) -> Option<Speed> {
        if let Some(since) = self.blocked.take() {
            self.pace.waited(since.elapsed());
        }
        self.pace.moved(bytes as u64);
        self.sample.bytes = self.sample.bytes.saturating_add(bytes);
        if self.speed == Speed::Fast || self.sample.bytes < SAMPLE {
            return None;
        }
        let is_fast = self.sample.since.elapsed() <= FAST;
        self.sample = Sample::new();
        if !is_fast {
            return None;
        }
        self.speed = Speed::Fast;
        self.pace.set_unseen(self.speed.unseen());
        self.pace.restart();
        Some(self.speed)
    }

    /// Tells whether the socket takes nothing now.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// The moment at which the peer has taken too little, if it takes nothing until then.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let since = self.blocked?;
        let stall = self.speed.stall(self.stall);
        // What the pace leaves was counted up to when the socket took nothing any more.
        since.checked_add(self.pace.left().map_or(stall, |left| left.min(stall)))
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
        advance(Duration::from_secs(2)).await;
        assert_eq!(outflow.sent(SAMPLE), None);
        assert_eq!(waits(&mut outflow), Some(60));
        assert_eq!(outflow.sent(SAMPLE), Some(Speed::Fast));
        assert_eq!(waits(&mut outflow), Some(300));
        advance(Duration::from_secs(200)).await;
        assert_eq!(outflow.sent(SAMPLE), None);
        outflow.restart();
        assert_eq!(waits(&mut outflow), Some(300));
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
