//! The lines that standard error has not taken yet.

use std::{collections::VecDeque, mem};

/// Notices and log lines that wait; more are counted and dropped.
const MOST_KEPT: usize = 512;
/// Lines of progress that wait; a newer one takes the place of the oldest.
const MOST_PROGRESS: usize = 8;

/// Lines that stay, in the order in which they came, and the line that changes below them.
#[derive(Debug)]
pub(super) struct Queue {
    lines: VecDeque<QueuedLine>,
    /// Lines of progress among them.
    progress: usize,
    /// Lines that there was no room for.
    dropped: u64,
    /// The line that changes, as it is to be.
    wanted: Option<String>,
    /// The line that changes, as it was taken last.
    drawn: Option<String>,
}

#[derive(Debug)]
enum QueuedLine {
    Kept(Vec<u8>),
    Progress(Vec<u8>),
}

/// The next change of the screen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Set when there is a line that changes, which these lines go above.
    pub(super) clears: bool,
    /// Lines with their line breaks.
    pub(super) lines: Vec<u8>,
    /// The line that changes.
    pub(super) line: Option<String>,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self { lines: VecDeque::new(), progress: 0, dropped: 0, wanted: None, drawn: None }
    }

    /// Adds lines that are kept as long as there is room for them.
    pub(super) fn keep(&mut self, lines: Vec<u8>) {
        if self.lines.len() - self.progress < MOST_KEPT {
            self.keep_always(lines);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// Adds lines that are kept although there is no room for more.
    pub(super) fn keep_always(&mut self, lines: Vec<u8>) {
        self.count_dropped();
        self.lines.push_back(QueuedLine::Kept(lines));
    }

    /// Adds a line that is worth nothing once newer ones of its kind wait.
    pub(super) fn add_progress(&mut self, line: Vec<u8>) {
        if self.progress < MOST_PROGRESS {
            self.progress += 1;
        } else if let Some(oldest) =
            self.lines.iter().position(|line| matches!(line, QueuedLine::Progress(_)))
        {
            self.lines.remove(oldest);
        }
        self.lines.push_back(QueuedLine::Progress(line));
    }

    /// Replaces the line that changes.
    pub(super) fn draw(&mut self, line: Option<String>) {
        self.wanted = line;
    }

    /// Says whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0 && self.wanted == self.drawn
    }

    /// Takes all that waits; `None` when nothing does.
    pub(super) fn take(&mut self) -> Option<Change> {
        if self.is_empty() {
            return None;
        }
        self.count_dropped();
        self.progress = 0;
        let lines = self.lines.drain(..).flat_map(|line| match line {
            QueuedLine::Kept(bytes) | QueuedLine::Progress(bytes) => bytes,
        });
        let lines = lines.collect();
        let clears = mem::replace(&mut self.drawn, self.wanted.clone()).is_some();
        Some(Change { clears, lines, line: self.wanted.clone() })
    }

    /// Adds a line in place of those that were dropped.
    fn count_dropped(&mut self) {
        let line = match mem::take(&mut self.dropped) {
            0 => return,
            1 => "1 line is missing here: standard error was not read in time\n".to_owned(),
            many => format!("{many} lines are missing here: standard error was not read in time\n"),
        };
        self.lines.push_back(QueuedLine::Kept(line.into_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(queue: &mut Queue) -> Option<(bool, String, Option<String>)> {
        let Change { clears, lines, line } = queue.take()?;
        Some((clears, String::from_utf8(lines).expect("text"), line))
    }

    #[test]
    fn lines_keep_their_order_and_go_above_the_one_that_changes() {
        let mut queue = Queue::new();
        assert_eq!(taken(&mut queue), None);
        queue.draw(Some("1%".to_owned()));
        queue.keep(b"a\n".to_vec());
        queue.add_progress(b"b\n".to_vec());
        queue.keep(b"c\n".to_vec());
        assert_eq!(taken(&mut queue), Some((false, "a\nb\nc\n".to_owned(), Some("1%".to_owned()))));
        assert_eq!(taken(&mut queue), None, "the same line is not drawn again");
        queue.keep(b"d\n".to_vec());
        assert_eq!(taken(&mut queue), Some((true, "d\n".to_owned(), Some("1%".to_owned()))));
        queue.draw(None);
        assert_eq!(taken(&mut queue), Some((true, String::new(), None)));
        assert_eq!(taken(&mut queue), None);
    }

    #[test]
    fn of_progress_that_nobody_reads_the_newest_lines_wait() {
        let mut queue = Queue::new();
        queue.keep(b"first\n".to_vec());
        for number in 0..100 {
            queue.add_progress(format!("{number}\n").into_bytes());
        }
        let (_, lines, _) = taken(&mut queue).expect("lines");
        assert_eq!(lines, "first\n92\n93\n94\n95\n96\n97\n98\n99\n");
        queue.add_progress(b"100\n".to_vec());
        assert_eq!(taken(&mut queue).expect("a line").1, "100\n");
    }

    #[test]
    fn lines_that_there_is_no_room_for_are_counted() {
        let mut queue = Queue::new();
        for number in 0..MOST_KEPT + 3 {
            queue.keep(format!("{number}\n").into_bytes());
        }
        queue.keep_always(b"error\n".to_vec());
        let (_, lines, _) = taken(&mut queue).expect("lines");
        let last: Vec<_> = lines.lines().skip(MOST_KEPT - 1).collect();
        let missing = "3 lines are missing here: standard error was not read in time";
        assert_eq!(last, [&(MOST_KEPT - 1).to_string(), missing, "error"]);
        queue.keep(b"again\n".to_vec());
        assert_eq!(taken(&mut queue).expect("a line").1, "again\n");
    }
}
