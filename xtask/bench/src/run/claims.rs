//! What is claimed, and whether it holds.

use serde::Serialize;

/// A figure with the most or the least that it may be.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Claim {
    pub(crate) text: String,
    pub(crate) measured: f64,
    pub(crate) bound: Bound,
    /// Whether the machine was too busy with other things to tell.
    pub(crate) noisy: bool,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Claim {
    pub(crate) fn new(text: impl Into<String>, measured: f64, bound: Bound, noisy: bool) -> Self {
        Self { text: text.into(), measured, bound, noisy }
    }

    pub(crate) fn holds(&self) -> bool {
        match self.bound {
            Bound::AtMost(limit) => self.measured <= limit,
            Bound::AtLeast(limit) => self.measured >= limit,
        }
    }

    /// In a word.
    pub(crate) fn verdict(&self) -> &'static str {
        match (self.holds(), self.noisy) {
            (true, _) => "holds",
            (false, true) => "too noisy to tell",
            (false, false) => "does not hold",
        }
    }
}
