//! How long connections were in use.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A clock that stands still while no connection is in use: in a pause none is needed, and all of them may be after it.
#[derive(Debug, Default)]
pub(super) struct UseTime(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    in_use: usize,
    /// What the clock read when it stopped last.
    before: Duration,
    /// When it began to go, if it goes.
    since: Option<Instant>,
}

/// One connection in use.
#[derive(Debug)]
pub(super) struct Use(Arc<UseTime>);

impl UseTime {
    pub(super) fn now(&self) -> Duration {
        self.lock().now()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn now(&self) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Use {
    pub(super) fn begin(of: &Arc<UseTime>) -> Self {
        let mut state = of.lock();
        state.in_use += 1;
        state.since.get_or_insert_with(Instant::now);
        drop(state);
        Self(of.clone())
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.in_use -= 1;
        if state.in_use == 0 {
            state.before = state.now();
            state.since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_counts_the_time_in_which_at_least_one_is_in_use() {
        let pass = |seconds| tokio::time::advance(Duration::from_secs(seconds));
        let time = Arc::default();
        let first = Use::begin(&time);
        pass(1).await;
        let second = Use::begin(&time);
        pass(2).await;
        drop(first);
        pass(4).await;
        assert_eq!(time.now(), Duration::from_secs(7));
        drop(second);
        pass(100).await;
        assert_eq!(time.now(), Duration::from_secs(7));
        let _third = Use::begin(&time);
        pass(8).await;
        assert_eq!(time.now(), Duration::from_secs(15));
    }
}
