//! Which range is asked for next, and over which connection.

use std::{ops::Range, time::Duration};

use super::{
    Delivery, DownloadMachine,
    line::{DownlinkEstimate, FIRST, Leg, Missing},
};

impl DownloadMachine {
    /// The next request, if one is due.
    pub(super) fn next_range(&self, now: Duration) -> Option<Range<u64>> {
        let slots = match self.delivery {
            Delivery::Ranges => usize::from(self.plan.parallel.max(1)),
            Delivery::Unknown | Delivery::Whole => 1,
        };
        if self.gate(now).is_some() || self.pending.len() + self.pauses.len() >= slots {
            return None;
        }
        if self.delivery == Delivery::Whole {
            return (!self.is_checkpoint_in_force()).then_some(0..u64::MAX);
        }
        let Some(content) = &self.content else {
            return Some(0..self.plan.range_size.unwrap_or(FIRST).max(1));
        };
        let mut asked_for = self.written.clone();
        for pending in &self.pending {
            asked_for.insert(pending.rest.clone());
        }
        let gap = asked_for.first_gap(content.length)?;
        Some(match self.plan.range_size {
            Some(size) => gap.start..gap.end.min(gap.start.saturating_add(size.max(1))),
            None => {
                let missing = Missing { bytes: content.length - self.written.len(), window: slots };
                self.line.next(gap, self.leg(now).slot, self.taken(), missing)
            }
        })
    }

    /// The slots of what is in flight.
    fn taken(&self) -> impl ExactSizeIterator<Item = usize> {
        self.pending.iter().map(|pending| pending.leg.slot)
    }

    /// The way of a request that leaves now.
    pub(super) fn leg(&self, now: Duration) -> Leg {
        DownlinkEstimate::leg(now, |slot| self.taken().any(|taken| taken == slot))
    }
}
