//! What happens in a story, line by line, for whoever reads a failing seed.

use std::sync::{Arc, Mutex};

use crate::clocks::Clocks;

/// Kept only when somebody wants to read it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal(Option<Arc<Mutex<Vec<String>>>>);

impl Journal {
    pub(crate) fn kept() -> Self {
        Self(Some(Arc::default()))
    }

    /// `cargo test` shows the lines of tests that fail.
    pub(crate) fn write(&self, clocks: &Clocks, line: impl FnOnce() -> String) {
        let Some(lines) = &self.0 else { return };
        let line = format!("{:>12.3} {}", clocks.elapsed().as_secs_f64(), line());
        println!("{line}");
        lines.lock().unwrap().push(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.as_ref().map(|lines| lines.lock().unwrap().clone()).unwrap_or_default()
    }
}
