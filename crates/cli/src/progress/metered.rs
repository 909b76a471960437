//! The display of a stream, which goes on while its caller waits for the stream or for its reader.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::{Display, meter::Meter, ticks};

/// Shows what comes of a stream until it is dropped. A task of its own draws, so the caller may block.
#[derive(Debug)]
pub(crate) struct Metered {
    shown: Arc<Mutex<Shown>>,
}

#[derive(Debug)]
struct Shown {
    /// `None` from the end on.
    display: Option<Display>,
    meter: Meter,
}

impl Shown {
    fn show(&mut self) {
        if let Some(display) = &mut self.display {
            display.show_now(self.meter.snapshot(Instant::now()));
        }
    }
}

impl Metered {
    /// Begins to show a stream that has not begun.
    pub(crate) fn new(display: Display) -> Self {
        let shown = Arc::new(Mutex::new(Shown { display: Some(display), meter: Meter::new() }));
        let weak = Arc::downgrade(&shown);
        tokio::spawn(async move {
            let mut ticks = ticks();
            loop {
                ticks.tick().await;
                let Some(shown) = weak.upgrade() else { return };
                lock(&shown).show();
            }
        });
        Self { shown }
    }

    /// Waits for the stream, which is stalled when that takes long.
    pub(crate) async fn waiting<T>(&self, stream: impl Future<Output = T>) -> T {
        lock(&self.shown).meter.wait(Some(Instant::now()));
        let came = stream.await;
        lock(&self.shown).meter.wait(None);
        came
    }

    /// Notes that the stream has begun, and its length if it tells one.
    pub(crate) fn begin(&self, total: Option<u64>) {
        lock(&self.shown).meter.begin(total);
    }

    /// Notes that so many more bytes have come and were passed on.
    pub(crate) fn add(&self, bytes: u64) {
        lock(&self.shown).meter.add(bytes);
    }

    /// Notes that all has come and was passed on.
    pub(crate) fn end(&self) {
        let mut shown = lock(&self.shown);
        shown.meter.end();
        shown.show();
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        // The task may hold the rest for a moment longer.
        lock(&self.shown).display = None;
    }
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}
