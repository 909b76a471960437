//! Lines of the log that a burst of events shares.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    task::AbortHandle,
    time::{Instant, sleep_until},
};

/// The log has at most one line of a kind in this time.
pub(crate) const SAID_EVERY: Duration = Duration::from_secs(1);

/// Gathers what happens and says it in the log, at most one line a second. The first line comes at once, and nothing is lost:
/// the last line comes when the second is over, or when this is flushed or dropped.
pub(crate) struct Notice<T>(Arc<Inner<T>>);

struct Inner<T> {
    say: fn(T),
    state: Mutex<State<T>>,
}

struct State<T> {
    /// The events since the last line.
    unsaid: Option<T>,
    /// The moment from which the next line may stand in the log.
    quiet_until: Option<Instant>,
    /// The task that says the next line then.
    scheduled: Option<AbortHandle>,
}

impl<T> Clone for Notice<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Default + Send + 'static> Notice<T> {
    /// Nothing has happened yet.
    pub(crate) fn new(say: fn(T)) -> Self {
        let state = State { unsaid: None, quiet_until: None, scheduled: None };
        Self(Arc::new(Inner { say, state: Mutex::new(state) }))
    }

    /// Adds what happens. Wants a runtime around it.
    pub(crate) fn add(&self, add: impl FnOnce(&mut T)) {
        let mut state = self.lock();
        add(state.unsaid.get_or_insert_default());
        let now = Instant::now();
        match state.quiet_until.filter(|until| *until > now) {
            None => {
                state.quiet_until = Some(now + SAID_EVERY);
                drop(state);
                self.0.say();
            }
            // A runtime that ended has taken what it was to say with it.
            Some(until) if state.scheduled.as_ref().is_none_or(AbortHandle::is_finished) => {
                let later = self.clone();
                let saying = tokio::spawn(async move {
                    sleep_until(until).await;
                    later.lock().quiet_until = Some(Instant::now() + SAID_EVERY);
                    later.0.say();
                });
                state.scheduled = Some(saying.abort_handle());
            }
            Some(_) => {}
        }
    }

    /// Says what was not said yet, and leaves no task behind.
    pub(crate) fn flush(&self) {
        let scheduled = self.lock().scheduled.take();
        if let Some(scheduled) = scheduled {
            scheduled.abort();
        }
        self.0.say();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock()
    }
}

impl<T> Inner<T> {
    fn say(&self) {
        let unsaid = self.lock().unsaid.take();
        if let Some(unsaid) = unsaid {
            (self.say)(unsaid);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        self.say();
    }
}

#[cfg(test)]
mod tests {
    use tokio::{runtime::Handle, task::yield_now, time::advance};

    use super::*;

    thread_local! {
        static SAID: std::cell::RefCell<Vec<u32>> = const { std::cell::RefCell::new(Vec::new()) };
    }

    fn notice() -> Notice<u32> {
        Notice::new(|count| SAID.with_borrow_mut(|said| said.push(count)))
    }

    fn said() -> Vec<u32> {
        SAID.take()
    }

    fn happens(notice: &Notice<u32>, times: u32) {
        for _ in 0..times {
            notice.add(|count| *count += 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_has_one_line_and_none_is_lost() {
        let notice = notice();
        happens(&notice, 5);
        assert_eq!(said(), [1]);
        // Nothing happens any more.
        tokio::time::sleep(SAID_EVERY + Duration::from_millis(1)).await;
        assert_eq!(said(), [4]);
        happens(&notice, 3);
        assert!(said().is_empty(), "the line before is not a second old");
        tokio::time::sleep(SAID_EVERY + Duration::from_millis(1)).await;
        assert_eq!(said(), [3]);
        tokio::time::sleep(SAID_EVERY * 2).await;
        happens(&notice, 1);
        assert_eq!(said(), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_line_does_not_hold_the_end_up() {
        let notice = notice();
        happens(&notice, 3);
        notice.flush();
        assert_eq!(said(), [1, 2]);
        yield_now().await;
        yield_now().await;
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
        happens(&notice, 2);
        assert!(said().is_empty());
        advance(SAID_EVERY * 2).await;
        yield_now().await;
        yield_now().await;
        assert_eq!(said(), [2]);
        happens(&notice, 1);
        drop(notice);
    }

    #[test]
    fn a_line_of_a_runtime_that_ended_is_said_by_the_next_one() {
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().start_paused(true).build().unwrap()
        };
        let notice = notice();
        runtime().block_on(async { happens(&notice, 3) });
        assert_eq!(said(), [1]);
        runtime().block_on(async {
            happens(&notice, 1);
            sleep_until(Instant::now() + SAID_EVERY * 2).await;
        });
        assert_eq!(said(), [3]);
        drop(notice);
        assert!(said().is_empty());
    }
}
