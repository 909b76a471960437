//! Keeps track of what of a file is still to be sent, what is in flight, and what the service has.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use super::{
    cut::{SMALLEST, Sizes},
    stored::Stored,
};
use crate::{retry::service_state::Excuse, transport::SourceRange};

/// After so many interruptions a part may be cut anew: the line does not last for all of it.
const INTERRUPTIONS_UNTIL_SPLIT: u32 = 2;
/// Where sizes follow from the line, what is left counts as parts of this size.
const COUNTED_AS: u64 = 1 << 20;

/// The parts of one file.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    length: u64,
    sizes: Sizes,
    stored: Stored,
    /// What is neither with the service nor under way, by where it begins.
    left: BTreeMap<u64, Left>,
    /// How much of it was never cut.
    uncut: u64,
    /// How many parts are in flight or wait for their turn again.
    cut: usize,
    /// How often a part was cut, those included that an earlier run's checkpoint knew.
    numbered: u64,
    /// The size of the last one.
    last: u64,
    /// Only the lowest one is sent: the next ones follow when it is acknowledged.
    is_in_order: bool,
    /// When what was to be cut had to stay so, until something is acknowledged or comes back.
    held_at: Option<Duration>,
}

/// A range that is still to be sent, up to here.
#[derive(Clone, Copy, Debug)]
struct Left {
    end: u64,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Never cut.
    Uncut,
    /// A part, which goes again as it is.
    Part { number: u64, tries: Tries, not_before: Duration },
    /// What was a part, and may be cut anew, into pieces of at most this size.
    Split { most: u64, tries: Tries, not_before: Duration },
}

/// A part: a range of the file that goes in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) end: u64,
    /// For people: its position where all are of one size, else the how many-th it is that was cut; from 1.
    pub(super) number: u64,
}

impl Part {
    pub(super) fn range(self) -> SourceRange {
        SourceRange::new(self.start, self.end)
    }

    pub(super) fn len(self) -> u64 {
        self.end - self.start
    }
}

/// How often a part was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tries {
    /// How often it was sent in this run.
    pub(super) sent: u64,
    /// How often it failed since any part was acknowledged.
    pub(super) failures: u32,
    /// How often it was interrupted since it was cut.
    interruptions: u32,
    /// How many parts were acknowledged when it last failed.
    progress: usize,
    pub(super) excuse: Excuse,
}

impl Parts {
    /// All parts of a file, none of them with the service.
    pub(super) fn new(length: u64, sizes: Sizes) -> Self {
        Self::with_stored(length, sizes, Stored::default())
    }

    /// The parts as a checkpoint knows them.
    pub(super) fn with_stored(length: u64, sizes: Sizes, stored: Stored) -> Self {
        let gaps = stored.gaps(length);
        Self {
            uncut: gaps.iter().map(|gap| gap.end - gap.start).sum(),
            left: gaps
                .into_iter()
                .map(|gap| (gap.start, Left { end: gap.end, state: State::Uncut }))
                .collect(),
            numbered: stored.count() as u64,
            length,
            sizes,
            stored,
            cut: 0,
            last: 0,
            is_in_order: false,
            held_at: None,
        }
    }

    /// The same parts, of which only the lowest is ever sent, if so asked for.
    pub(super) fn in_order(self, is_in_order: bool) -> Self {
        Self { is_in_order, ..self }
    }

    /// The same file for another upload.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.length, self.sizes).in_order(self.is_in_order)
    }

    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }

    pub(super) fn stored(&self) -> &Stored {
        &self.stored
    }

    pub(super) fn is_complete(&self) -> bool {
        self.stored.bytes() == self.length
    }

    /// How often a part was cut.
    pub(super) fn numbered(&self) -> u64 {
        self.numbered
    }

    /// How much was never cut or is to be cut anew, in how many ranges.
    pub(super) fn to_cut(&self) -> (u64, u64) {
        let ranges = self.left.iter().filter(|(_, left)| !matches!(left.state, State::Part { .. }));
        ranges.fold((0, 0), |(bytes, count), (start, left)| (bytes + (left.end - start), count + 1))
    }

    /// How much was cut and is not acknowledged.
    pub(super) fn at_risk(&self) -> u64 {
        self.length - self.stored.bytes() - self.uncut
    }

    /// How many parts there are so far, those that wait to be cut anew left out.
    pub(super) fn count(&self) -> u64 {
        (self.stored.count() + self.cut) as u64
    }

    /// How many parts there will be; a guess where sizes follow from the line.
    pub(super) fn expected(&self) -> u64 {
        self.stored.count() as u64 + self.rest_of(|ranges, size| ranges.div_ceil(size))
    }

    /// How many parts are not acknowledged yet.
    pub(super) fn rest(&self) -> u64 {
        self.rest_of(|ranges, size| match self.sizes {
            Sizes::Equal(_) => ranges.div_ceil(size),
            Sizes::ByLine { .. } => ranges.div_ceil(COUNTED_AS),
        })
    }

    fn rest_of(&self, parts: impl Fn(u64, u64) -> u64) -> u64 {
        let size = match self.sizes {
            Sizes::Equal(size) => size,
            Sizes::ByLine { largest, .. } if self.last == 0 => largest,
            Sizes::ByLine { .. } => self.last,
        };
        let ranges = self.left.iter().filter(|(_, left)| !matches!(left.state, State::Part { .. }));
        self.cut as u64 + ranges.map(|(start, left)| parts(left.end - start, size.max(1))).sum::<u64>()
    }

    /// Takes the lowest part that may be sent now, and how often it was tried, this time included. `size` says how large a
    /// part is that has to be cut off a range; `None` when nothing may be cut now.
    pub(super) fn take_next(
        &mut self,
        now: Duration,
        size: impl FnOnce(&Self, Whole) -> Option<u64>,
    ) -> Option<(Part, Tries)> {
        self.held_at = None;
        let ready = |(_, left): &(&u64, &Left)| left.state.not_before() <= now;
        let (start, left) = self.eligible().find(ready).map(|(start, left)| (*start, *left))?;
        if let State::Part { .. } = left.state {
            return self.take(start);
        }
        let size = match self.sizes {
            Sizes::Equal(size) => Some(size),
            Sizes::ByLine { .. } => size(self, left.whole(start)),
        };
        if let Some(size) = size {
            self.cut_off(start, left, size);
            return self.take(start);
        }
        self.held_at = Some(now);
        let is_part = |left: &Left| matches!(left.state, State::Part { .. });
        let ready =
            self.eligible().find(|entry| ready(entry) && is_part(entry.1)).map(|(start, _)| *start)?;
        self.take(ready)
    }

    /// Takes the smallest part that may be sent now, of those that were sent before if there are any. Where all are of one size, it
    /// is the [next](Self::take_next).
    pub(super) fn take_smallest(
        &mut self,
        now: Duration,
        size: impl Fn(&Self, Whole) -> Option<u64>,
    ) -> Option<(Part, Tries)> {
        let of = |(start, left): &(&u64, &Left)| {
            let whole = left.whole(**start);
            match left.state {
                State::Uncut => None,
                State::Part { .. } => Some(whole.length),
                State::Split { .. } => size(self, whole).map(|size| size.min(whole.length)),
            }
        };
        let ready = self.eligible().filter(|(_, left)| left.state.not_before() <= now);
        let sizes = ready.filter_map(|entry| Some((of(&entry)?, *entry.0, *entry.1)));
        match (self.sizes, sizes.min_by_key(|(size, ..)| *size)) {
            (Sizes::Equal(_), _) | (_, None) => self.take_next(now, size),
            (Sizes::ByLine { .. }, Some((size, start, left))) => {
                self.held_at = None;
                if matches!(left.state, State::Split { .. }) {
                    self.cut_off(start, left, size);
                }
                self.take(start)
            }
        }
    }

    /// Makes a part of the beginning of a range.
    fn cut_off(&mut self, start: u64, Left { end: whole, state }: Left, size: u64) {
        let end = start.saturating_add(size).min(whole);
        let tries = match state {
            State::Uncut => {
                self.uncut -= end - start;
                Tries::default()
            }
            State::Part { tries, .. } | State::Split { tries, .. } => tries,
        };
        if end < whole {
            self.left.insert(end, Left { end: whole, state });
        }
        self.numbered += 1;
        let number = match self.sizes {
            Sizes::Equal(size) => start / size + 1,
            Sizes::ByLine { .. } => self.numbered,
        };
        self.last = end - start;
        self.cut += 1;
        let part = State::Part { number, tries, not_before: Duration::ZERO };
        self.left.insert(start, Left { end, state: part });
    }

    fn take(&mut self, start: u64) -> Option<(Part, Tries)> {
        let Left { end, state: State::Part { number, mut tries, .. } } = self.left.remove(&start)? else {
            return None;
        };
        tries.sent += 1;
        Some((Part { start, end, number }, tries))
    }

    /// When a part may be sent: at once, later, or never as far as is known now.
    pub(super) fn next_at(&self) -> Option<Duration> {
        let may_go = |left: &&Left| match (self.held_at, left.state) {
            (None, _) | (Some(_), State::Part { .. }) => true,
            // One that was ready then had its chance.
            (Some(held), State::Split { not_before, .. }) => not_before > held,
            (Some(_), State::Uncut) => false,
        };
        self.eligible().map(|(_, left)| left).filter(may_go).map(|left| left.state.not_before()).min()
    }

    /// Everything of which a part may be sent when its time has come, the lowest first.
    fn eligible(&self) -> impl Iterator<Item = (&u64, &Left)> {
        self.left.iter().take(if self.is_in_order { 1 } else { usize::MAX })
    }

    /// The service has this part.
    pub(super) fn acknowledge(&mut self, part: Part, id: &str) {
        // There may be room again.
        self.held_at = None;
        if self.stored.insert(part.start, part.len(), id) {
            self.cut -= 1;
        }
    }

    /// A part failed once more. Progress refills its budget, whether it flew meanwhile or waited.
    pub(super) fn failed_again(&self, tries: Tries, is_interruption: bool, is_excused: bool) -> Tries {
        let before = if tries.progress == self.stored.count() { tries.failures } else { 0 };
        let failures = before + u32::from(!is_excused);
        let interruptions = tries.interruptions + u32::from(is_interruption);
        Tries { failures, progress: self.stored.count(), interruptions, ..tries }
    }

    /// This part was not taken and goes again, not before `not_before`.
    pub(super) fn give_back(&mut self, part: Part, mut tries: Tries, not_before: Duration) {
        self.held_at = None;
        let is_split =
            tries.interruptions >= INTERRUPTIONS_UNTIL_SPLIT && matches!(self.sizes, Sizes::ByLine { .. });
        let state = if is_split {
            self.cut -= 1;
            let most = part.len().div_ceil(2).next_multiple_of(SMALLEST);
            tries.interruptions = 0;
            // A smaller piece may be what the line lasts for.
            if most < part.len() {
                tries.failures = 0;
            }
            State::Split { most, tries, not_before }
        } else {
            State::Part { number: part.number, tries, not_before }
        };
        self.left.insert(part.start, Left { end: part.end, state });
    }
}

/// What a part is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) length: u64,
    /// What was cut before, and lost by interruptions: it goes on in pieces of at most this size.
    pub(super) pieces: Option<u64>,
}

impl Left {
    fn whole(self, start: u64) -> Whole {
        let pieces = match self.state {
            State::Split { most, .. } => Some(most),
            State::Uncut | State::Part { .. } => None,
        };
        Whole { length: self.end - start, pieces }
    }
}

impl State {
    fn not_before(self) -> Duration {
        match self {
            Self::Uncut => Duration::ZERO,
            Self::Part { not_before, .. } | Self::Split { not_before, .. } => not_before,
        }
    }
}
