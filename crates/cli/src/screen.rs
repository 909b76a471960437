//! Standard error: lines that stay, and below them at most one that changes.

use std::{
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use console::Term;
use tracing_subscriber::fmt::MakeWriter;

use crate::report::one_line;

/// The columns of a terminal that does not tell them, and of what is none.
const COLUMNS: usize = 80;

/// The line that changes, while there is one: everything else that is written to standard error goes above it.
static DRAWN: Mutex<Option<Drawn>> = Mutex::new(None);

struct Drawn {
    term: Term,
    line: String,
}

impl Drawn {
    fn write(&self) -> io::Result<()> {
        self.term.clear_line()?;
        self.term.write_str(&self.line)?;
        self.term.flush()
    }

    fn clear(&self) -> io::Result<()> {
        self.term.clear_line()?;
        self.term.flush()
    }
}

fn drawn() -> MutexGuard<'static, Option<Drawn>> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says one line; when standard error is gone there is nobody to tell. Control characters are made visible.
pub(crate) fn say(line: &str) {
    let _ = above(format!("{}\n", one_line(line)).as_bytes());
}

/// Draws the line that changes, in place of the one before. It must be no wider than [`columns`] and hold no control
/// characters.
pub(crate) fn draw(line: String) {
    let mut drawn = drawn();
    if drawn.as_ref().is_some_and(|drawn| drawn.line == line) {
        return;
    }
    let term = drawn.take().map_or_else(Term::buffered_stderr, |drawn| drawn.term);
    // When standard error is gone there is nobody to show it to.
    let _ = drawn.insert(Drawn { term, line }).write();
}

/// Removes the line that changes.
pub(crate) fn clear() {
    if let Some(drawn) = drawn().take() {
        let _ = drawn.clear();
    }
}

/// Removes the line that changes in a panic, which may have come while it was drawn.
pub(crate) fn clear_in_panic() {
    let drawn = DRAWN.try_lock().ok().and_then(|mut drawn| drawn.take());
    if let Some(drawn) = drawn {
        let _ = drawn.clear();
    }
}

/// The columns that a line may take. The last one stays free: some terminals wrap there.
pub(crate) fn columns() -> usize {
    let columns = Term::stderr().size_checked().map_or(COLUMNS, |(_, columns)| usize::from(columns));
    columns.saturating_sub(1)
}

fn above(lines: &[u8]) -> io::Result<()> {
    let drawn = drawn();
    if let Some(drawn) = &*drawn {
        drawn.clear()?;
    }
    io::stderr().write_all(lines)?;
    match &*drawn {
        Some(drawn) => drawn.write(),
        None => Ok(()),
    }
}

/// A writer of whole lines above the line that changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Above;

impl Write for Above {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        above(lines)?;
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
