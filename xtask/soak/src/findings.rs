//! Everything that does not hold, by kind.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The number of examples kept of a kind.
const EXAMPLES: usize = 3;

/// The findings so far. One fault shows up many times, so findings of one kind are counted and the first ones kept.
#[derive(Debug)]
pub(crate) struct Findings {
    begin: Instant,
    kinds: Mutex<BTreeMap<String, Kind>>,
}

#[derive(Debug, Default)]
struct Kind {
    count: u64,
    examples: Vec<String>,
}

impl Findings {
    pub(crate) fn new() -> Self {
        Self { begin: Instant::now(), kinds: Mutex::default() }
    }

    /// Notes something that does not hold. `kind` says what, `example` where.
    pub(crate) fn note(&self, kind: impl Into<String>, example: impl Into<String>) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let (kind, seconds) = (kind.into(), self.begin.elapsed().as_secs_f64());
        if !kinds.contains_key(&kind) {
            eprintln!("{seconds:6.1} s: FOUND: {kind}");
        }
        let found = kinds.entry(kind).or_default();
        found.count += 1;
        if found.examples.len() < EXAMPLES {
            found.examples.push(format!("{seconds:.1} s: {}", example.into()));
        }
    }

    /// All kinds with their examples; `None` when there are none.
    pub(crate) fn report(&self) -> Option<String> {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let mut report = String::new();
        for (kind, found) in kinds.iter() {
            let _ = writeln!(report, "FOUND {} times: {kind}", found.count);
            for example in &found.examples {
                let _ = writeln!(report, "    {example}");
            }
        }
        (!report.is_empty()).then_some(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_of_one_kind_are_counted_and_the_first_are_kept() {
        let findings = Findings::new();
        assert_eq!(findings.report(), None);
        for number in 0..5 {
            findings.note("a file is lost", format!("file {number}"));
        }
        let report = findings.report().unwrap();
        assert!(report.starts_with("FOUND 5 times: a file is lost\n"), "{report}");
        assert!(report.contains("file 2") && !report.contains("file 3"), "{report}");
    }
}
