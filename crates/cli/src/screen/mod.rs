//! Standard error: lines that stay, and below them at most one that changes. A thread writes them, so that nothing waits
//! for a reader that is slow.

mod queue;

use std::{
    io::{self, Write},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use console::Term;
use tracing_subscriber::fmt::MakeWriter;

use self::queue::{Change, Queue};
use crate::report::one_line;

/// The columns of a terminal that does not tell them, and of a file or pipe.
const COLUMNS: usize = 80;
/// A reader that has not taken everything within this time is not waited for while there is something to do.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same for the report at the end, which says what is kept and what to do.
const PATIENCE_AT_THE_END: Duration = Duration::from_secs(5);

static SCREEN: Screen = Screen {
    state: Mutex::new(State {
        queue: Queue::new(),
        has_writer: false,
        is_writing: false,
        is_behind: false,
        is_finished: false,
    }),
    changed: Condvar::new(),
    settled: Condvar::new(),
};

struct Screen {
    state: Mutex<State>,
    /// Something is to be written.
    changed: Condvar,
    /// All was written.
    settled: Condvar,
}

struct State {
    queue: Queue,
    has_writer: bool,
    is_writing: bool,
    /// Set while a reader that was waited for in vain has not taken everything.
    is_behind: bool,
    /// Set when nothing is said or drawn any more but the report.
    is_finished: bool,
}

impl State {
    fn is_settled(&self) -> bool {
        self.queue.is_empty() && !self.is_writing
    }
}

/// Says one line; when standard error is gone there is nobody to tell. Control characters are made visible.
pub(crate) fn say(line: &str) {
    let line = format!("{}\n", one_line(line));
    change(|state| {
        if !state.is_finished {
            state.queue.keep(line.into_bytes());
        }
    });
}

/// Says one line of progress, which is dropped when its reader is so slow that newer ones wait. It must hold no control
/// characters.
pub(crate) fn say_progress(line: String) {
    change(|state| {
        if !state.is_finished {
            state.queue.add_progress((line + "\n").into_bytes());
        }
    });
}

/// Draws the line that changes, in place of the one before. It must be no wider than [`columns`] and hold no control
/// characters.
pub(crate) fn draw(line: String) {
    change(|state| {
        if !state.is_finished {
            state.queue.draw(Some(line));
        }
    });
}

/// Removes the line that changes, and waits for that as [`flush`] does.
pub(crate) fn clear() {
    change(|state| state.queue.draw(None));
    flush();
}

/// Says nothing more but a [`report`]: the command has its result, and what still ends meanwhile is no news.
pub(crate) fn close() {
    change(|state| state.is_finished = true);
}

/// Says the last lines, above which the line that changes is removed, and waits for a moment until they are written.
pub(crate) fn report(lines: &str) {
    change(|state| {
        state.queue.draw(None);
        state.queue.keep_always(lines.as_bytes().to_vec());
    });
    settle(lock(), PATIENCE_AT_THE_END);
}

/// Waits for a moment until everything is written, so that standard output follows it where both are one terminal. A reader
/// that was waited for in vain is not waited for again until it has taken everything.
pub(crate) fn flush() {
    let state = lock();
    if !state.is_behind {
        settle(state, PATIENCE);
    }
}

/// Removes the line that changes for good, and waits for a moment until everything is written, at the end of the process.
pub(crate) fn finish() {
    change(|state| {
        state.is_finished = true;
        state.queue.draw(None);
    });
    flush();
}

/// The columns that a line may take. The last one stays free: some terminals wrap there.
pub(crate) fn columns() -> usize {
    let columns = Term::stderr().size_checked().map_or(COLUMNS, |(_, columns)| usize::from(columns));
    columns.saturating_sub(1)
}

fn lock() -> MutexGuard<'static, State> {
    SCREEN.state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn change(change: impl FnOnce(&mut State)) {
    let mut state = lock();
    change(&mut state);
    if state.is_settled() {
        return;
    }
    if !state.has_writer {
        state.has_writer = thread::Builder::new().name("standard error".to_owned()).spawn(write_all).is_ok();
    }
    if state.has_writer {
        SCREEN.changed.notify_one();
    } else if let Some(change) = state.queue.take() {
        // Where no thread can be had, a reader that is slow is waited for.
        change.write();
    }
}

fn settle(state: MutexGuard<'static, State>, patience: Duration) {
    let waited = SCREEN.settled.wait_timeout_while(state, patience, |state| !state.is_settled());
    let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
    state.is_behind |= waited.timed_out();
}

/// Writes what comes, until the process ends.
fn write_all() {
    loop {
        next().write();
    }
}

fn next() -> Change {
    let mut state = lock();
    loop {
        if let Some(change) = state.queue.take() {
            state.is_writing = true;
            return change;
        }
        (state.is_writing, state.is_behind) = (false, false);
        SCREEN.settled.notify_all();
        state = SCREEN.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

impl Change {
    /// Writes it at once. When standard error is gone there is nobody to tell.
    fn write(self) {
        let _ = self.try_write(&Term::buffered_stderr());
    }

    fn try_write(self, mut term: &Term) -> io::Result<()> {
        if self.clears {
            term.clear_line()?;
        }
        term.write_all(&self.lines)?;
        if let Some(line) = self.line {
            term.clear_line()?;
            term.write_str(&line)?;
        }
        term.flush()
    }
}

/// A writer of whole lines above the line that changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Above;

impl Write for Above {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        change(|state| state.queue.keep(lines.to_vec()));
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Above {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}
