//! How many connections make an upload faster: found by trying more and fewer.
//!
//! On a fast line the bytes that leave show it within a moment ([`Probe`]). On a slow one they show what the kernel holds, and
//! only acknowledgements tell: there, each trial takes as long as a part or two.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{cut::SMALLEST, probe::Probe};

/// In bytes a second: a line that carries less over all connections is looked at by what is acknowledged from the start.
const SLOW: f64 = 2e6;
/// In bytes a second: more connections are tried when each of them would carry this much, and a line that carries less in all
/// is given two at once.
const WORTH_ONE: f64 = 250e3;
/// Where fewer carry so much less, it is not the line that limits them, but something that limits each.
const CLEARLY_LESS: f64 = 0.7;
/// Never fewer: while one waits for its answer, another sends.
const FEWEST: u16 = 2;
/// Parts that take less, or are smaller than any that the line asks for, say more about answers than about the line.
const LONG_ENOUGH: Duration = Duration::from_secs(1);
/// Connections that add less than this are not worth it.
const WORTH: f64 = 1.05;
/// The first parts, which are small, show less than the line carries: twice as many connections that are worth it show at
/// least this much more.
const CLEARLY_WORTH: f64 = 1.8;
/// A trial needs a part of each connection and so many in all, or after this time two of any.
const ENOUGH: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(12);
/// Connections that take turns seem to carry more than they do; together they carry no more than what is acknowledged, give or
/// take what is under way.
const GIVE_OR_TAKE: f64 = 1.1;
/// When another number is tried again; doubles each time that nothing better was found.
const REST: Duration = Duration::from_secs(10);
const LONGEST_REST: Duration = Duration::from_secs(160);

/// Looks for the number of connections.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    most: u16,
    evidence: Evidence,
    counted: Counted,
    /// What the first parts showed.
    first: Option<f64>,
}

#[derive(Clone, Debug)]
enum Evidence {
    /// By what leaves.
    Leaving(Probe),
    /// By what is acknowledged.
    Acknowledged(Search),
}

#[derive(Clone, Copy, Debug)]
struct Search {
    wanted: u16,
    /// What it was before, and how many bytes a second that was good for, while another number is tried.
    before: Option<(u16, f64)>,
    /// Nothing is tried until then.
    until: Duration,
    rest: Duration,
    /// Whether the next trial is with more.
    is_up_next: bool,
    /// Whether the last trial with fewer has shown that each connection has a limit of its own.
    is_each_limited: bool,
}

/// What the connections were good for since their number is what it is.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    /// Names the time since then.
    epoch: u32,
    since: Option<Duration>,
    parts: u32,
    bytes: u64,
    took: Duration,
}

impl Counted {
    fn begin_anew(&mut self) {
        *self = Self { epoch: self.epoch.wrapping_add(1), ..Self::default() };
    }

    /// Bytes a second of so many connections, once enough is known.
    fn rate(&self, connections: u16, now: Duration) -> Option<f64> {
        let is_long = self.since.is_some_and(|since| now.saturating_sub(since) >= PATIENCE);
        let needed = if is_long { 2 } else { u32::from(connections).max(ENOUGH) };
        (self.parts >= needed && !self.took.is_zero())
            .then(|| f64::from(connections) * self.bytes as f64 / self.took.as_secs_f64())
    }
}

/// A part that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct AcknowledgedPart {
    pub(super) bytes: u64,
    pub(super) took: Duration,
    /// The same without what any answer takes.
    pub(super) sending: Duration,
    /// Bytes a second that were acknowledged of all parts lately.
    pub(super) lately: f64,
    /// When it left: [`Connections::epoch`].
    pub(super) epoch: u32,
}

impl Connections {
    pub(super) fn new(most: u16) -> Self {
        Self { most, evidence: Evidence::Leaving(Probe::new(most)), counted: Counted::default(), first: None }
    }

    /// How many parts may be in flight.
    pub(super) fn wanted(&self) -> u16 {
        match &self.evidence {
            Evidence::Leaving(probe) => probe.wanted(),
            Evidence::Acknowledged(search) => search.wanted,
        }
    }

    /// Changes whenever their number does.
    pub(super) fn epoch(&self) -> u32 {
        self.counted.epoch
    }

    /// `left` bytes have left so far, `rest` parts are not acknowledged yet, and of those in flight the largest has so many
    /// bytes; `rate` bytes a second were acknowledged lately. `window` parts may be in flight.
    pub(super) fn look(
        &mut self,
        now: Duration,
        left: u64,
        rate: f64,
        (rest, largest): (usize, u64),
        window: u16,
    ) {
        let Evidence::Leaving(probe) = &mut self.evidence else { return };
        let before = probe.wanted();
        // Overload holds fewer in flight than are to be judged; of a slow line it is not what leaves that tells.
        if window != before || (rate > 0.0 && rate < SLOW) {
            probe.begin_anew(now, left);
        } else {
            probe.look(now, left, rest, largest);
        }
        if probe.wanted() != before {
            self.counted.begin_anew();
        }
    }

    /// A part was acknowledged while `window` might fly.
    pub(super) fn acknowledged(&mut self, now: Duration, part: AcknowledgedPart, window: u16) {
        let wanted = self.wanted();
        if window != wanted {
            return self.counted.begin_anew();
        }
        if part.epoch != self.counted.epoch || part.bytes < SMALLEST {
            return;
        }
        self.counted.since.get_or_insert(now.saturating_sub(part.took));
        self.counted.parts += 1;
        self.counted.bytes += part.bytes;
        self.counted.took += part.took;
        let Some(rate) = self.counted.rate(wanted, now) else { return };
        let rate = rate.min(part.lately * GIVE_OR_TAKE);
        match &mut self.evidence {
            Evidence::Leaving(probe) => {
                let is_long = part.sending >= LONG_ENOUGH;
                if !is_long {
                    self.first.get_or_insert(rate);
                } else if rate < SLOW
                    || probe.has_found_no_more()
                    || (probe.is_done() && self.rose_in_vain(rate))
                {
                    self.evidence = Evidence::Acknowledged(Search {
                        wanted,
                        before: None,
                        until: Duration::ZERO,
                        rest: REST,
                        is_up_next: false,
                        is_each_limited: false,
                    });
                    self.judge(now, rate);
                }
            }
            Evidence::Acknowledged(_) => self.judge(now, rate),
        }
    }

    /// What left has shown that more are better, and what is acknowledged shows that they were not.
    fn rose_in_vain(&self, rate: f64) -> bool {
        self.first.is_some_and(|first| rate < first * CLEARLY_WORTH)
    }

    fn judge(&mut self, now: Duration, rate: f64) {
        let most = self.most;
        let Evidence::Acknowledged(search) = &mut self.evidence else { return };
        let wanted = search.wanted;
        search.judge(now, rate, most);
        // What is known of a number grows old while it stays.
        if search.wanted != wanted || self.counted.parts >= 4 * u32::from(wanted) {
            self.counted.begin_anew();
        }
    }

    /// Connections broke: what flew meanwhile says little.
    pub(super) fn interrupted(&mut self) {
        self.counted.begin_anew();
    }

    /// What was counted so far says nothing any more.
    pub(super) fn begin_anew(&mut self, now: Duration, left: u64) {
        self.counted.begin_anew();
        match &mut self.evidence {
            Evidence::Leaving(probe) => probe.begin_anew(now, left),
            Evidence::Acknowledged(search) => search.give_up_trial(),
        }
    }

    /// The service is overloaded: the number that was being tried was too much.
    pub(super) fn overloaded(&mut self, now: Duration) {
        self.counted.begin_anew();
        match &mut self.evidence {
            Evidence::Leaving(probe) => probe.overloaded(now),
            Evidence::Acknowledged(search) => {
                search.give_up_trial();
                search.give_rest(now);
            }
        }
    }

    /// When to look next, whether anything is reported or not; `None` when nothing is to be found by looking.
    pub(super) fn next_look(&self) -> Option<Duration> {
        match &self.evidence {
            Evidence::Leaving(probe) => probe.next_look(),
            Evidence::Acknowledged(_) => None,
        }
    }
}

impl Search {
    /// `wanted` are good for so many bytes a second.
    fn judge(&mut self, now: Duration, rate: f64, most: u16) {
        match self.before.take() {
            None if now < self.until => return,
            None => {}
            Some((before, rate_before)) => {
                let is_more = self.wanted > before;
                let is_better = match is_more {
                    true => rate >= rate_before * WORTH,
                    // Among many slow connections chance is larger than what they may add.
                    false if rate_before < f64::from(before) * WORTH_ONE => {
                        rate >= rate_before * CLEARLY_LESS
                    }
                    false => rate * WORTH >= rate_before,
                };
                if !is_better {
                    self.is_each_limited = match is_more {
                        true => self.is_each_limited,
                        false => rate < rate_before * CLEARLY_LESS,
                    };
                    self.wanted = before;
                    self.is_up_next = !is_more;
                    // What fewer have just shown, more may make use of at once.
                    if !is_more && self.is_each_limited {
                        self.until = now;
                    } else {
                        self.give_rest(now);
                    }
                    return;
                }
                self.rest = REST;
                self.is_up_next = is_more;
                // Else many small losses would be a large one.
                let best = if is_more { rate } else { rate.max(rate_before) };
                return self.try_another(now, best, most);
            }
        }
        self.try_another(now, rate, most);
    }

    fn try_another(&mut self, now: Duration, rate: f64, most: u16) {
        let fewest = FEWEST.min(most);
        let more = self.wanted.saturating_mul(2).min(most);
        let is_worth_trying = self.is_each_limited || rate / f64::from(more) >= WORTH_ONE;
        let another = match self.is_up_next {
            true if is_worth_trying => more,
            true => self.wanted,
            false if rate < WORTH_ONE => fewest,
            false => (self.wanted / 2).max(fewest),
        };
        if another == self.wanted {
            self.is_up_next = !self.is_up_next;
            return self.give_rest(now);
        }
        self.before = Some((self.wanted, rate));
        self.wanted = another;
    }

    fn give_rest(&mut self, now: Duration) {
        self.until = now.saturating_add(self.rest);
        self.rest = (self.rest * 2).min(LONGEST_REST);
    }

    fn give_up_trial(&mut self) {
        if let Some((before, _)) = self.before.take() {
            self.wanted = self.wanted.min(before);
        }
    }
}
