//! How large the next part is: as large as it was asked for, or as large as the line carries in a few seconds.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::parts::Whole;
use crate::sizes::{LARGEST, LAST_ROUND, LASTS, PieceSizing, Rates, bytes};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// Files up to this size go in one request.
const SMALLEST_FOR_PARTS: u64 = 8 * MIB;
/// Smaller parts spend too much of their time waiting for the answer, even on the slowest line.
pub(super) const SMALLEST: u64 = 64 * KIB;
/// Cuts stay on whole pages.
const ALIGNMENT: u64 = 64 * KIB;
/// A file goes in parts when it is larger than what this divides it into, for each connection.
const FULL_PARTS_PER_CONNECTION: u64 = 4;

/// While nothing is known of a line: small enough that a line of 8 Mbit/s answers within seconds, over eight connections.
const FIRST: u64 = 256 * KIB;
/// How long a part is to take at first, while it is not known how many connections there are to be, and while connections are
/// being interrupted, which costs half a part on each.
const LASTS_FOR_NOW: Duration = Duration::from_secs(2);
/// Parts that take less than this spend too much of it waiting for their answers.
const SHORTEST: Duration = Duration::from_millis(150);

/// By how much too large the rest is taken: what several connections leave at the end, since their shares were too small, the last one
/// carries alone.
const GENEROUS: u64 = 64;

/// How much may be cut and not be acknowledged: what the line carries in this time, and a little for each connection.
pub(super) const AT_RISK: Duration = Duration::from_secs(12);
const AT_RISK_EACH: u64 = MIB;

/// Which sizes the parts of a file have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sizes {
    /// This size; the last one may be smaller.
    Equal(u64),
    /// What the line carries, up to this size, and so that there are at most so many parts.
    ByLine { largest: u64, parts: u64 },
}

impl Sizes {
    /// As the plan asks for it, within what the service takes.
    pub(super) fn of(part_size: Option<u64>, limit: u64, parts: u64) -> Self {
        match part_size {
            Some(size) => Self::Equal(size),
            None => Self::ByLine { largest: LARGEST.min(limit), parts },
        }
    }
}

/// What the size of the next part follows from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    pub(super) rates: Rates,
    /// The largest part that was acknowledged.
    pub(super) largest_before: u64,
    /// The largest that may be.
    pub(super) largest: u64,
    /// How many parts were cut before it.
    pub(super) number: u64,
    /// What was never cut or is to be cut anew, and how many parts may still be cut of it.
    pub(super) to_cut: u64,
    pub(super) parts_left: u64,
    /// Bytes that have to leave before all of `to_cut` can.
    pub(super) ahead: u64,
    /// What was cut and is not acknowledged.
    pub(super) at_risk: u64,
    /// What the part is cut off.
    pub(super) whole: Whole,
    /// How many connections are busy, this one included.
    pub(super) busy: usize,
    /// What was acknowledged over the last seconds.
    pub(super) acknowledged: f64,
    /// Whether the upload has just begun, or connections were interrupted lately.
    pub(super) is_short: bool,
}

impl Situation {
    /// The size of the next part; `None` when nothing may be cut before something is acknowledged.
    pub(super) fn size(&self) -> Option<u64> {
        let least = self.least();
        let size = self.piece().size().next_multiple_of(ALIGNMENT).clamp(least, self.largest);
        if let Some(most) = self.whole.pieces {
            // It is at risk already.
            return Some(size.min(most.max(least)));
        }
        let room = self.room();
        if size <= room {
            // What would be left is not worth a part of its own.
            let is_crumb = self.whole.length.saturating_sub(size) < size / 4;
            return Some(if is_crumb { self.whole.length.clamp(size, self.largest.min(room)) } else { size });
        }
        let room = room / ALIGNMENT * ALIGNMENT;
        // What nothing else waits for has to go on.
        if self.at_risk == 0 { Some(room.max(least)) } else { (room >= least).then_some(room) }
    }

    /// The size of a part that finds out whether the service can be reached again: nothing is known of the line but that it broke.
    /// `None` as for [`size`](Self::size).
    pub(super) fn size_of_probe(&self) -> Option<u64> {
        let least = self.least();
        let is_allowed = self.whole.pieces.is_some() || self.at_risk == 0 || self.room() >= least;
        is_allowed.then_some(least)
    }

    /// The least that a part may have, so that there are not too many of them.
    fn least(&self) -> u64 {
        let smallest = SMALLEST.min(self.largest);
        self.to_cut.div_ceil(self.parts_left.max(1)).clamp(smallest, self.largest)
    }

    fn piece(&self) -> PieceSizing {
        PieceSizing {
            rates: self.rates,
            first: FIRST,
            largest_before: self.largest_before,
            largest: self.largest,
            number: self.number,
            rest: self.rest(),
            lasts: if self.is_short { LASTS_FOR_NOW } else { LASTS },
            shortest: SHORTEST,
            last_round: LAST_ROUND,
        }
    }

    /// Bytes that have to leave, and a little more.
    fn rest(&self) -> u64 {
        let rest = self.to_cut.saturating_add(self.ahead);
        rest.saturating_add(rest / GENEROUS)
    }

    /// How much may be cut now.
    fn room(&self) -> u64 {
        let allowed = bytes(self.acknowledged * AT_RISK.as_secs_f64());
        allowed.saturating_add(AT_RISK_EACH.saturating_mul(self.busy as u64)).saturating_sub(self.at_risk)
    }
}

/// The size that a file of this length is cut by at first, as far as it is decided beforehand: one that is no larger goes in
/// one request.
pub(super) fn fitting_size(length: u64, parallel: u16, limit: u64) -> u64 {
    let largest = LARGEST.min(limit);
    let smallest = SMALLEST_FOR_PARTS.min(largest);
    let parts = match u64::from(parallel) {
        0 | 1 => length.div_ceil(largest).max(1),
        parallel => FULL_PARTS_PER_CONNECTION * parallel,
    };
    length.div_ceil(parts).min(largest).next_multiple_of(ALIGNMENT).clamp(smallest, largest)
}
