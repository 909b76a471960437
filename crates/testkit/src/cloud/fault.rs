//! What goes wrong, and when.

use std::time::Duration;

use partwise_server::testing::Schedule;

use super::{FakeCloud, request::Kind};

/// A fault of the store, or of the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers with this status, and does nothing.
    Reject(u16),
    /// Answers with this status and a `Retry-After`, and does nothing.
    RejectFor {
        /// The status.
        status: u16,
        /// The seconds to wait.
        seconds: u64,
    },
    /// Carries the request out, and answers with this status.
    FailAfterwards(u16),
    /// Loses the request: the connection ends, and nothing was done.
    LoseRequest,
    /// Carries the request out, and loses the answer: the connection ends.
    LoseAnswer,
    /// Waits before anything is done.
    Delay(Duration),
    /// Ends the connection after so many bytes of the answer's body, if it has more and is a success.
    Truncate(usize),
    /// Ignores the condition of a write.
    Overwrite,
    /// Checks the condition of a write, and writes a while later, whatever stands there then.
    LookThenWrite,
}

/// The faults of a store; the rule that was added first decides.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    kind: Option<Kind>,
    key: String,
    schedule: Schedule<Fault>,
}

/// The requests that a fault is for.
#[must_use]
#[derive(Debug)]
pub struct Requests<'a> {
    cloud: &'a FakeCloud,
    kind: Option<Kind>,
    key: String,
}

impl<'a> Requests<'a> {
    pub(super) fn new(cloud: &'a FakeCloud, kind: Option<Kind>) -> Self {
        Self { cloud, kind, key: String::new() }
    }

    /// Takes only those with this in their key, or in one of their keys.
    pub fn of(mut self, key: &str) -> Self {
        key.clone_into(&mut self.key);
        self
    }

    /// Gives the `number`th this fault, counted from 1.
    pub fn nth(self, number: u64, fault: Fault) {
        self.add(Schedule::new().nth(number, fault));
    }

    /// Gives the first `count` this fault.
    pub fn first(self, count: u64, fault: Fault) {
        self.add(Schedule::new().first(count, fault));
    }

    /// Gives all of them this fault.
    pub fn every(self, fault: Fault) {
        self.add(Schedule::new().every(fault));
    }

    fn add(self, schedule: Schedule<Fault>) {
        let Self { cloud, kind, key } = self;
        cloud.faults().0.push(Rule { kind, key, schedule });
    }
}

impl Faults {
    /// Counts a request, and returns its fault.
    pub(super) fn next(&mut self, kind: Kind, keys: &[String]) -> Option<Fault> {
        let mut found = None;
        let is_meant = |rule: &Rule| {
            rule.kind.is_none_or(|meant| meant == kind) && keys.iter().any(|key| key.contains(&rule.key))
        };
        for rule in self.0.iter_mut().filter(|rule| is_meant(rule)) {
            // Each rule counts, also behind one that decides.
            let fault = rule.schedule.advance();
            found = found.or(fault);
        }
        found
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
