//! The rate that all connections share.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// What was not used so far back can still be used.
const DEPTH: Duration = Duration::from_millis(100);
/// What is worth a read, where the rate allows it.
const WORTH: f64 = 16.0 * 1024.0;

/// A token bucket for one direction. Its tokens are bytes.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Bytes a second; `None` is as fast as can be.
    rate: Option<f64>,
    tokens: Cell<f64>,
    filled: Cell<Instant>,
    /// Connections take turns, in the order in which they come.
    turn: Mutex<()>,
}

impl Bucket {
    /// An empty one.
    pub(super) fn of_rate(rate: Option<u64>) -> Self {
        let rate = rate.map(|rate| rate as f64);
        Self { rate, tokens: Cell::new(0.0), filled: Cell::new(Instant::now()), turn: Mutex::new(()) }
    }

    /// Waits until there is something, and takes at most so many bytes.
    pub(super) async fn take(&self, most: usize) -> usize {
        let Some(rate) = self.rate else { return most };
        let _turn = self.turn.lock().await;
        let depth = rate * DEPTH.as_secs_f64();
        let least = (depth / 8.0).clamp(1.0, WORTH).min(most as f64);
        loop {
            self.fill(rate, depth);
            let tokens = self.tokens.get();
            if tokens >= least {
                let taken = tokens.min(most as f64).floor();
                self.tokens.set(tokens - taken);
                return taken as usize;
            }
            sleep(Duration::from_secs_f64((least - tokens) / rate)).await;
        }
    }

    /// Gives back what was not used.
    pub(super) fn give_back(&self, bytes: usize) {
        self.tokens.set(self.tokens.get() + bytes as f64);
    }

    fn fill(&self, rate: f64, depth: f64) {
        let now = Instant::now();
        let fresh = rate * now.duration_since(self.filled.replace(now)).as_secs_f64();
        self.tokens.set((self.tokens.get() + fresh).min(depth.max(1.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Virtual time: nothing else runs, so that each sleep is as long as it should be.
    fn in_virtual_time(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(test);
    }

    async fn taken_within(bucket: &Bucket, limit: Duration, most: usize) -> usize {
        let (end, mut total) = (Instant::now() + limit, 0);
        while Instant::now() < end {
            total += bucket.take(most).await;
        }
        total
    }

    #[test]
    fn a_rate_is_shared_and_a_pause_gives_no_more_than_the_depth() {
        in_virtual_time(async {
            let bucket = Bucket::of_rate(Some(1_000_000));
            let second = Duration::from_secs(1);
            let (one, other) =
                tokio::join!(taken_within(&bucket, second, 65_536), taken_within(&bucket, second, 65_536));
            assert!((950_000..1_050_000).contains(&(one + other)), "{one} and {other}");
            assert!(one.abs_diff(other) < 50_000, "{one} and {other}");

            sleep(60 * second).await;
            let after = taken_within(&bucket, second, 65_536).await;
            assert!((1_050_000..1_150_000).contains(&after), "{after}");
        });
    }

    #[test]
    fn what_is_given_back_is_there_again() {
        in_virtual_time(async {
            let bucket = Bucket::of_rate(Some(1_000_000));
            let mut used = 0;
            let end = Instant::now() + Duration::from_secs(1);
            while Instant::now() < end {
                let taken = bucket.take(65_536).await;
                bucket.give_back(taken - taken / 2);
                used += taken / 2;
            }
            assert!((900_000..1_050_000).contains(&used), "{used}");
        });
    }
}
