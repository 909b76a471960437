//! Measures a stream, of which no machine tells the progress.

use std::{collections::VecDeque, time::Duration};

use partwise_protocol::machine::TransferState;
use tokio::time::Instant;

use super::view::Snapshot;

/// A stream of which nothing has come for this long is stalled.
const SILENCE: Duration = Duration::from_secs(10);
/// The time over which the rate is measured.
const WINDOW: Duration = Duration::from_secs(10);
/// A rate measured over less says little.
const RATE_NEEDS: Duration = Duration::from_secs(2);
/// The time between notes of the count.
const NOTE_EVERY: Duration = Duration::from_millis(200);

/// Counts what comes of a stream, and how fast it comes.
#[derive(Debug)]
pub(super) struct Meter {
    began: Instant,
    total: Option<u64>,
    step: Step,
    there: u64,
    /// The moment from which more is waited for; `None` while its reader is, who may be slow, and the stream is not stalled.
    waiting_since: Option<Instant>,
    noted: VecDeque<(Instant, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Connecting,
    Receiving,
    Done,
}

impl Meter {
    /// A stream that has not begun.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            total: None,
            step: Step::Connecting,
            there: 0,
            waiting_since: Some(now),
            noted: VecDeque::new(),
        }
    }

    /// Notes that the stream has begun, and its length if it tells one.
    pub(super) fn begin(&mut self, total: Option<u64>) {
        (self.step, self.total) = (Step::Receiving, total);
        self.noted.push_back((Instant::now(), 0));
    }

    /// Notes that so many more bytes have come and were passed on.
    pub(super) fn add(&mut self, bytes: u64) {
        self.there = self.there.saturating_add(bytes);
        let now = Instant::now();
        if self.noted.back().is_some_and(|(at, _)| now.duration_since(*at) >= NOTE_EVERY) {
            self.note(now);
        }
    }

    /// Notes that all has come and was passed on.
    pub(super) fn end(&mut self) {
        self.step = Step::Done;
    }

    /// Notes since when more is waited for; `None` when it is not.
    pub(super) fn wait(&mut self, since: Option<Instant>) {
        self.waiting_since = since;
    }

    pub(super) fn snapshot(&mut self, now: Instant) -> Snapshot {
        if self.step == Step::Receiving {
            self.note(now);
        }
        let rate = self.rate();
        let silent_since = self.waiting_since.filter(|since| now.duration_since(*since) >= SILENCE);
        let state = match (self.step, silent_since) {
            (Step::Connecting, _) => TransferState::Connecting,
            (Step::Receiving, Some(since)) => {
                TransferState::Stalled { since: since.duration_since(self.began) }
            }
            (Step::Receiving, None) => TransferState::Receiving,
            (Step::Done, _) => TransferState::Done,
        };
        let left = self.total.and_then(|total| {
            let rest = total.saturating_sub(self.there);
            Duration::try_from_secs_f64(rest as f64 / rate? as f64).ok()
        });
        Snapshot {
            now: now.duration_since(self.began),
            state,
            total: self.total,
            there: self.there,
            resumable: 0,
            in_flight: 0,
            is_one_request: false,
            rate,
            time_left: left,
        }
    }

    fn note(&mut self, now: Instant) {
        self.noted.push_back((now, self.there));
        // The last one before the window begins is where the rate is measured from.
        while self.noted.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.noted.pop_front();
        }
    }

    fn rate(&self) -> Option<u64> {
        let ((began, before), (ended, after)) = (*self.noted.front()?, *self.noted.back()?);
        let time = ended.duration_since(began);
        let rate = ((after - before) as f64 / time.as_secs_f64()) as u64;
        (time >= RATE_NEEDS && rate > 0).then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_measured_over_ten_seconds_and_stalls_after_ten() {
        let mut meter = Meter::new();
        assert_eq!(meter.snapshot(Instant::now()).state, TransferState::Connecting);
        meter.begin(Some(40_000));
        for second in 1..=20 {
            meter.wait(Some(Instant::now()));
            sleep(Duration::from_secs(1)).await;
            meter.add(if second <= 10 { 3000 } else { 500 });
        }
        let snapshot = meter.snapshot(Instant::now());
        assert_eq!((snapshot.there, snapshot.rate), (35_000, Some(500)));
        assert_eq!(snapshot.time_left, Some(Duration::from_secs(10)));
        meter.wait(Some(Instant::now()));
        sleep(Duration::from_secs(10)).await;
        let snapshot = meter.snapshot(Instant::now());
        assert_eq!(snapshot.state, TransferState::Stalled { since: Duration::from_secs(20) });
        assert_eq!((snapshot.rate, snapshot.time_left), (None, None));
        meter.wait(None);
        sleep(Duration::from_secs(20)).await;
        assert_eq!(meter.snapshot(Instant::now()).state, TransferState::Receiving, "its reader is slow");
    }
}
