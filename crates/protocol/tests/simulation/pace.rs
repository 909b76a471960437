//! Rule 4, read independently of the crate: the window and the gate.

use std::time::Duration;

/// How many parts may fly, and from when on.
#[derive(Debug)]
pub(crate) struct Pace {
    parallel: u16,
    pub(crate) window: u16,
    pub(crate) gate: Duration,
    taken: u16,
    /// Refusals of requests that left before this one tell nothing new.
    heard_before: u64,
}

impl Pace {
    pub(crate) fn new(parallel: u16) -> Self {
        Self { parallel, window: parallel, gate: Duration::ZERO, taken: 0, heard_before: 0 }
    }

    /// The request that left as this one was refused by a service that asks for patience until then.
    pub(crate) fn overloaded(&mut self, until: Duration, number: u64, next: u64) {
        self.gate = self.gate.max(until);
        if number >= self.heard_before {
            self.heard_before = next;
            self.taken = 0;
            if self.window > 1 {
                self.window /= 2;
            }
        }
    }

    pub(crate) fn part_taken(&mut self) {
        self.taken += 1;
        if self.taken >= self.window && self.window < self.parallel {
            self.taken = 0;
            self.window += 1;
        }
        self.taken = self.taken.min(self.parallel);
    }
}
