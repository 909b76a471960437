use std::fmt;

/// Says which of a series have which fault: the third, the first two, all of them. [`Faults`](super::Faults) count requests
/// by it; a proxy can count its connections.
///
/// Where several rules have a fault for the same one, the rule that was added first decides.
///
/// ```
/// use partwise_server::testing::Schedule;
///
/// let mut schedule = Schedule::new().nth(2, "cut").first(3, "slow");
/// let faults: Vec<_> = (0..4).map(|_| schedule.advance()).collect();
/// assert_eq!(faults, [Some("slow"), Some("cut"), Some("slow"), None]);
/// ```
#[derive(Clone)]
pub struct Schedule<F> {
    rules: Vec<Rule<F>>,
}

#[derive(Clone, Debug)]
struct Rule<F> {
    which: Which,
    fault: F,
    /// The number of those that came since the rule was added.
    seen: u64,
}

#[derive(Clone, Copy, Debug)]
enum Which {
    Nth(u64),
    First(u64),
    Every,
}

impl<F> Schedule<F> {
    /// A schedule without faults.
    #[must_use]
    pub const fn new() -> Self {
        Self { rules: Vec::new() }
    }

    /// Gives the `number`th this fault, counted from 1.
    #[must_use]
    pub fn nth(self, number: u64, fault: F) -> Self {
        self.with(Which::Nth(number), fault)
    }

    /// Gives the first `count` this fault.
    #[must_use]
    pub fn first(self, count: u64, fault: F) -> Self {
        self.with(Which::First(count), fault)
    }

    /// Gives all of them this fault.
    #[must_use]
    pub fn every(self, fault: F) -> Self {
        self.with(Which::Every, fault)
    }

    fn with(mut self, which: Which, fault: F) -> Self {
        self.rules.push(Rule { which, fault, seen: 0 });
        self
    }
}

impl<F: Clone> Schedule<F> {
    /// Counts one more of the series, and returns its fault.
    pub fn advance(&mut self) -> Option<F> {
        let mut found = None;
        for rule in &mut self.rules {
            rule.seen += 1;
            let is_hit = match rule.which {
                Which::Nth(number) => rule.seen == number,
                Which::First(count) => rule.seen <= count,
                Which::Every => true,
            };
            if is_hit && found.is_none() {
                found = Some(rule.fault.clone());
            }
        }
        found
    }
}

impl<F> Default for Schedule<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: fmt::Debug> fmt::Debug for Schedule<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.rules).finish()
    }
}
