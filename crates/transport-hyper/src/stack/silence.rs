//! Silence, told from slowness and from time in which nobody looked.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{answers::AnswerTimes, backlog::Backlogs};
use partwise_net::sleep::{SHORTEST_SLEEP, SleepClock};

/// A connection that got nothing while each of the others moved so many bytes is not just one that has to share a line. On a
/// slow line, bytes count as they are written and once more as they are seen to be acknowledged.
///
/// Eight connections on a line of 100 kbit/s keep each other waiting for up to 53 s: a router drops what one of them sends
/// again and again, and each time its kernel waits twice as long.
const FAIR_SHARE: u64 = 256 * 1024;
/// It is looked so many times before a silence is long enough: twice at least before people are told of one.
const LOOKS: u32 = 8;
/// Timers are late by less, unless this process did not run.
const LATENESS: Duration = Duration::from_secs(1);
/// After a sleep of the machine, a connection has so long to show that it still stands: wireless networks need some seconds.
const AFTER_SLEEP: Duration = Duration::from_secs(10);

/// What all connections of a stack have moved.
#[derive(Debug)]
pub(super) struct Traffic {
    began: Instant,
    bytes: AtomicU64,
    /// Nanoseconds from `began` to the last moment at which a byte moved.
    moved: AtomicU64,
    open: AtomicUsize,
    pub(super) answers: AnswerTimes,
    pub(super) backlogs: Backlogs,
    sleep: SleepClock,
}

/// A moment, and what had been moved until then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) at: Instant,
    pub(super) bytes: u64,
}

/// Judges the silence of one connection while something of it is waited for.
#[derive(Debug)]
pub(super) struct Silence {
    limit: Duration,
    traffic: Arc<Traffic>,
    /// The last movement, or a later moment from which on somebody looked.
    since: Mark,
    looked: Instant,
    /// How long the machine had slept when something last moved.
    slept: Duration,
    /// After a sleep there is as much time as before: what may have been done is worth more than a connection.
    is_patient: bool,
    /// It has slept since.
    has_slept: bool,
}

impl Traffic {
    pub(super) fn new(sleep: SleepClock) -> Self {
        Self {
            sleep,
            began: Instant::now(),
            bytes: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            answers: AnswerTimes::default(),
            backlogs: Backlogs::default(),
        }
    }

    pub(super) fn opened(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    pub(super) fn closed(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    /// So many bytes were moved now.
    pub(super) fn note(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
        let moved = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.moved.store(moved, Relaxed);
    }

    pub(super) fn now(&self) -> Mark {
        Mark { at: Instant::now(), bytes: self.bytes() }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// How long the machine has slept since it was started.
    pub(super) fn slept(&self) -> Duration {
        self.sleep.slept()
    }

    fn moved(&self) -> Instant {
        self.began + Duration::from_nanos(self.moved.load(Relaxed))
    }

    /// What each connection has moved since then, on average.
    fn share_since(&self, since: Mark) -> u64 {
        let open = u64::try_from(self.open.load(Relaxed)).unwrap_or(u64::MAX);
        self.bytes().saturating_sub(since.bytes) / open.max(1)
    }
}

impl Silence {
    /// A silence that would begin now, and is long enough after `limit`.
    pub(super) fn new(limit: Duration, traffic: Arc<Traffic>) -> Self {
        let since = traffic.now();
        let slept = traffic.slept();
        Self { limit, looked: since.at, since, traffic, slept, is_patient: false, has_slept: false }
    }

    /// The same, as patient after a sleep of the machine as before.
    pub(super) fn patient(self) -> Self {
        Self { is_patient: true, ..self }
    }

    /// Starts from now on. A sleep since something last moved still counts.
    fn restart(&mut self) {
        self.since = self.traffic.now();
        self.looked = self.since.at;
        self.has_slept = self.traffic.slept().saturating_sub(self.slept) >= SHORTEST_SLEEP;
    }

    /// Something moves.
    fn interrupt(&mut self) {
        (self.slept, self.has_slept) = (self.traffic.slept(), false);
    }

    /// When to look next.
    pub(super) fn next_look(&self) -> Instant {
        self.looked + self.interval()
    }

    /// Takes in when a byte last moved.
    pub(super) fn look(&mut self, moved: Mark) {
        self.look_again();
        if moved.at > self.since.at {
            self.since = moved;
            self.interrupt();
        }
    }

    /// Looks while nothing has moved. Time in which nobody could look is no silence: this process was stopped, or its
    /// threads were busy.
    fn look_again(&mut self) {
        let now = Instant::now();
        let was_stopped = now > self.next_look() + LATENESS.max(self.interval());
        self.looked = now;
        let has_slept = self.traffic.slept().saturating_sub(self.slept) >= SHORTEST_SLEEP;
        if was_stopped || (has_slept && !self.has_slept) {
            self.since = self.traffic.now();
        }
        self.has_slept = has_slept;
    }

    /// How long it has been.
    pub(super) fn lasted(&self) -> Duration {
        self.looked.saturating_duration_since(self.since.at)
    }

    /// Says whether it may be one that is long enough, so that it is worth while to ask more.
    pub(super) fn is_suspicious(&self) -> bool {
        self.lasted() >= self.interval()
    }

    /// Whether the machine has slept since something last moved.
    pub(super) fn has_slept(&self) -> bool {
        self.has_slept
    }

    /// How long it may last where that is `limit` for a machine that was awake.
    pub(super) fn patience(&self, limit: Duration) -> Duration {
        if self.has_slept && !self.is_patient { limit.min(AFTER_SLEEP) } else { limit }
    }

    /// Says whether it has been long enough, and no connection has moved anything meanwhile. A connection from before a sleep
    /// does not wait for others.
    pub(super) fn is_over_for_all(&self, limit: Duration) -> bool {
        let limit = self.patience(limit);
        self.lasted() >= limit && (self.has_slept || self.line_is_silent(limit))
    }

    fn line_is_silent(&self, limit: Duration) -> bool {
        self.looked.saturating_duration_since(self.traffic.moved()) >= limit
    }

    /// Says whether it has been long enough: for this connection, and either for all of them or while the others moved so
    /// much that this one had its turn. A connection from before a sleep has no turn to wait for.
    pub(super) fn is_over(&self, limit: Duration) -> bool {
        let limit = self.patience(limit);
        let had_its_turn =
            || (self.has_slept && !self.is_patient) || self.traffic.share_since(self.since) >= FAIR_SHARE;
        self.lasted() >= limit && (self.line_is_silent(limit) || had_its_turn())
    }

    fn interval(&self) -> Duration {
        (self.patience(self.limit) / LOOKS).max(Duration::from_millis(10))
    }
}

/// A [`Silence`] that a task waits for while it reads.
#[derive(Debug)]
pub(super) struct ReadSilence {
    silence: Silence,
    sleep: Pin<Box<Sleep>>,
    waiting: bool,
}

impl ReadSilence {
    pub(super) fn new(limit: Duration, traffic: Arc<Traffic>) -> Self {
        let silence = Silence::new(limit, traffic);
        Self { sleep: Box::pin(sleep_until(silence.next_look())), silence, waiting: false }
    }

    /// Something has come.
    pub(super) fn ended(&mut self) {
        self.waiting = false;
        self.silence.interrupt();
    }

    /// Waits for the end of patience, and says how long that is. It begins when this is first called after something has
    /// come, so that a reader that takes its time is no silence.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        if !self.waiting {
            self.waiting = true;
            self.silence.restart();
            self.sleep.as_mut().reset(self.silence.next_look());
        }
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            self.silence.look_again();
            if self.silence.is_over(self.silence.limit) {
                return Poll::Ready(self.silence.patience(self.silence.limit));
            }
            self.sleep.as_mut().reset(self.silence.next_look());
        }
    }
}

/// What comes of `future`, unless it takes `limit` or more, of which time in which this process did not run is no part.
pub(super) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut silence = Silence::new(limit, Arc::new(Traffic::new(SleepClock::default())));
    loop {
        if let Ok(output) = tokio::time::timeout_at(silence.next_look(), &mut future).await {
            return Some(output);
        }
        silence.look_again();
        if silence.lasted() >= limit {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};

    use tokio::time::{advance, sleep};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// How long it takes until this connection is silent, while `moved` of all of them goes on once a second.
    async fn silent_after(connections: usize, moved: impl Fn(u64) -> u64) -> Duration {
        let traffic = Arc::new(Traffic::new(SleepClock::default()));
        (0..connections).for_each(|_| traffic.opened());
        let mut silence = ReadSilence::new(LIMIT, traffic.clone());
        let began = Instant::now();
        let mut silent = std::pin::pin!(poll_fn(|cx| silence.poll(cx)));
        for second in 0.. {
            tokio::select! {
                limit = &mut silent => { assert_eq!(limit, LIMIT); break }
                () = sleep(seconds(1)) => match moved(second) {
                    0 => {}
                    bytes => traffic.note(bytes),
                },
            }
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_moves_nothing_is_silent_when_no_other_moves_anything() {
        assert_eq!(silent_after(1, |_| 0).await, LIMIT);
        assert_eq!(silent_after(8, |_| 0).await, LIMIT);
        // The others stop at 6 s.
        let stops = |second| if second < 6 { 12_500 } else { 0 };
        assert_eq!(silent_after(8, stops).await, Duration::from_millis(27_500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_waits_for_its_turn_on_a_slow_line_is_not_silent() {
        // 100 kbit/s: as long as eight connections with 256 KiB each need.
        assert_eq!(silent_after(8, |_| 12_500).await, seconds(170));
        assert_eq!(silent_after(2, |_| 12_500).await, Duration::from_millis(42_500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_moves_nothing_while_others_are_fast_is_silent() {
        assert_eq!(silent_after(8, |_| 1 << 20).await, LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_looked_is_no_silence() {
        let mut silence = Silence::new(LIMIT, Arc::new(Traffic::new(SleepClock::default())));
        let began = silence.since;
        advance(seconds(5)).await;
        silence.look(began);
        assert_eq!(silence.lasted(), seconds(5));
        // Stopped for 70 s.
        advance(seconds(75)).await;
        silence.look(began);
        assert_eq!(silence.lasted(), Duration::ZERO);
        for _ in 0..4 {
            assert!(!silence.is_over(LIMIT));
            advance(seconds(5)).await;
            silence.look(began);
        }
        assert!(silence.is_over(LIMIT));
    }

    /// A line whose machine has slept for so many seconds.
    fn asleep() -> (Arc<Traffic>, Arc<AtomicU64>) {
        let slept = Arc::new(AtomicU64::new(0));
        let clock = {
            let slept = slept.clone();
            SleepClock::of(move || seconds(slept.load(Relaxed)))
        };
        (Arc::new(Traffic::new(clock)), slept)
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_sleep_a_connection_has_a_few_seconds_to_show_that_it_stands() {
        let (traffic, slept) = asleep();
        let mut silence = Silence::new(LIMIT, traffic.clone());
        let before = silence.since;
        advance(seconds(5)).await;
        silence.look(before);
        slept.store(3600, Relaxed);
        advance(seconds(3)).await;
        let woke = Instant::now();
        while !silence.is_over(LIMIT) {
            sleep_until(silence.next_look()).await;
            // Others move: a new connection has been opened.
            traffic.note(1000);
            silence.look(before);
        }
        // It was due to be looked at as it woke.
        assert_eq!((woke.elapsed(), silence.patience(LIMIT)), (AFTER_SLEEP, AFTER_SLEEP));
        silence.look(traffic.now());
        assert!(!silence.is_over(LIMIT));
        assert_eq!(silence.patience(LIMIT), LIMIT, "it stands");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_whose_machine_slept_waits_for_a_few_seconds_until_something_comes() {
        let (traffic, slept) = asleep();
        let mut silence = ReadSilence::new(LIMIT, traffic);
        // It slept while the reader was busy.
        slept.store(60, Relaxed);
        let began = Instant::now();
        assert_eq!(poll_fn(|cx| silence.poll(cx)).await, AFTER_SLEEP);
        assert_eq!(began.elapsed(), AFTER_SLEEP);
        silence.ended();
        assert_eq!(poll_fn(|cx| silence.poll(cx)).await, LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_is_late_waits_anew() {
        let mut silence = ReadSilence::new(LIMIT, Arc::new(Traffic::new(SleepClock::default())));
        assert!(futures_util::poll!(poll_fn(|cx| silence.poll(cx))).is_pending());
        // Its thread was busy, as with a disk that is slow.
        advance(seconds(70)).await;
        let resumed = Instant::now();
        poll_fn(|cx| silence.poll(cx)).await;
        assert_eq!(resumed.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_limit_does_not_count_time_in_which_nobody_looked() {
        assert_eq!(within(seconds(10), async { 7 }).await, Some(7));
        let began = Instant::now();
        assert_eq!(within(seconds(10), pending::<()>()).await, None);
        assert_eq!(began.elapsed(), seconds(10));
        let began = Instant::now();
        let mut limited = std::pin::pin!(within(seconds(10), pending::<()>()));
        assert!(futures_util::poll!(&mut limited).is_pending());
        advance(seconds(70)).await;
        assert_eq!(limited.await, None);
        assert_eq!(began.elapsed(), seconds(80));
    }
}
