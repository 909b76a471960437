//! The progress bar on standard error.

use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::notices::Notices;

const TEMPLATE: &str = "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";

/// How often a bar is drawn, per second.
const DRAWS: u8 = 10;

/// A bar that is drawn when standard error is a terminal, and removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Bar {
    what: String,
    bar: ProgressBar,
}

impl Bar {
    /// A bar for `total` bytes, below what is told.
    pub(crate) fn new(what: &str, total: Option<u64>, notices: &Notices) -> Self {
        // Log lines and a bar would write over each other.
        let shown = io::stderr().is_terminal() && std::env::var_os(crate::log::VARIABLE).is_none();
        let target =
            if shown { ProgressDrawTarget::stderr_with_hz(DRAWS) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target).with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        notices.show_above(bar.clone());
        Self { what: what.to_owned(), bar }
    }

    /// Adds a few words to what it is about.
    pub(crate) fn note(&self, words: &str) {
        self.bar.set_message(format!("{} ({words})", self.what));
    }

    /// Writes a line to standard error, with the bar out of the way.
    pub(crate) fn say(&self, line: &str) {
        // When standard error is gone there is nobody to tell.
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr(), "{line}");
        });
    }

    /// So many bytes there will be, once that is known.
    pub(crate) fn set_total(&self, total: Option<u64>) {
        if let Some(total) = total.filter(|total| self.bar.length() != Some(*total)) {
            self.bar.set_length(total);
        }
    }

    /// So many bytes are done. It may go back: what a failed attempt sent does not count.
    pub(crate) fn set(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
