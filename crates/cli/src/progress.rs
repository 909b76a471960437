//! The progress bar on standard error.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const TEMPLATE: &str = "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";

/// How often a bar is drawn, per second.
const DRAWS: u8 = 10;

/// A bar that is drawn when standard error is a terminal, and removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar for `total` bytes.
    pub(crate) fn new(what: &str, total: Option<u64>) -> Self {
        // Log lines and a bar would write over each other.
        let shown = io::stderr().is_terminal() && std::env::var_os(crate::log::VARIABLE).is_none();
        let target =
            if shown { ProgressDrawTarget::stderr_with_hz(DRAWS) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target).with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Says what it is about.
    pub(crate) fn name(&self, what: String) {
        self.0.set_message(what);
    }

    /// Does something that writes to standard error, with the bar out of the way.
    pub(crate) fn suspended(&self, write: impl FnOnce()) {
        self.0.suspend(write);
    }

    /// So many bytes are done. It may go back: what a failed attempt sent does not count.
    pub(crate) fn set(&self, bytes: u64) {
        self.0.set_position(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
