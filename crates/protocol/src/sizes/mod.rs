//! How large the next piece of a file is that a connection is given: as large as it carries in a few seconds, and smaller towards
//! the end, so that all connections end together. A piece is a part of an upload or a range of a download.

mod slots;

use std::time::Duration;

pub(crate) use slots::{Rates, Slots};

/// Larger pieces lose too much when one fails; it is also the most that OpenAI takes as a part.
pub(crate) const LARGEST: u64 = 64 << 20;
/// What a connection carries in this time is one piece: long against an answer, short against what a cut may cost.
pub(crate) const LASTS: Duration = Duration::from_secs(4);
/// From one piece to the next, sizes grow by this factor at most.
const GROWTH: u64 = 16;
/// By how much pieces that may be as large as each other differ at most, and what spreads them evenly in between.
const STAGGERED: f64 = 0.25;
const GOLDEN: f64 = 0.618_033_988_749_894_9;
/// When the rest takes no longer than this, each connection takes its share of it: all end together. A little more than
/// the largest piece takes on a connection of 400 Mbit/s.
pub(crate) const LAST_ROUND: Duration = Duration::from_millis(1400);
/// Until then a piece takes this fraction of the time that the rest takes, so that whoever is slower than thought does
/// not hold the end up.
const SHARE_OF_THE_REST: f64 = 0.85;

/// What the size of the next piece follows from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PieceSizing {
    pub(crate) rates: Rates,
    /// The size while nothing is known.
    pub(crate) first: u64,
    /// The largest piece that got there, and the largest that may be.
    pub(crate) largest_before: u64,
    pub(crate) largest: u64,
    /// How many pieces there were before it.
    pub(crate) number: u64,
    /// Bytes that have to move before all is there: those that are not in flight, those that are and have not moved, and those that
    /// connections would move while they wait for answers.
    pub(crate) rest: u64,
    /// How long a piece is to take, and the least time that it takes towards the end: a shorter one spends too much of it
    /// waiting for its answer.
    pub(crate) lasts: Duration,
    pub(crate) shortest: Duration,
    /// When the rest takes no longer than this, it goes in one round. At most [`LAST_ROUND`], and less where a small piece costs
    /// little, which evens out what rates did not show.
    pub(crate) last_round: Duration,
}

impl PieceSizing {
    /// The size that it should have, as far as rates decide.
    pub(crate) fn size(&self) -> u64 {
        let Some(own) = self.rates.own else { return self.first };
        let most = GROWTH.saturating_mul(self.largest_before.max(self.first));
        let longest = self.lasts.as_secs_f64().min(self.largest as f64 / own.max(1.0));
        let towards_the_end = own.min(self.rates.usual) * self.time_towards_the_end(longest);
        bytes((own * self.lasts.as_secs_f64() * self.stagger()).min(towards_the_end)).min(most)
    }

    /// Pieces of one size would begin and end together for ever, and the line would rest while all of them wait for their
    /// answers.
    fn stagger(&self) -> f64 {
        1.0 - STAGGERED * (self.number as f64 * GOLDEN).fract()
    }

    /// How long the next piece may take for all to end together, in seconds, when none takes longer than `longest`.
    fn time_towards_the_end(&self, longest: f64) -> f64 {
        let rest = self.rest as f64 / self.rates.together.max(1.0);
        let time = if rest <= self.last_round.as_secs_f64() {
            rest
        } else if rest > longest && rest <= 2.0 * longest {
            // Two rounds, and no small one behind them.
            rest / 2.0
        } else {
            rest * SHARE_OF_THE_REST
        };
        time.max(self.shortest.as_secs_f64())
    }
}

/// Whole bytes, as many as there can be.
pub(crate) fn bytes(bytes: f64) -> u64 {
    bytes as u64
}
