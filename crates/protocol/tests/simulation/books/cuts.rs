//! Where parts begin and end, and what a line that does not last leads to: smaller parts, and parts instead of one request.

use std::time::Duration;

use partwise_protocol::{
    transport::FailureKind,
    upload::{Parallel, RouteChoice},
};

use super::Books;
use crate::{
    patience::Setback,
    rules::{Rule, hold},
};

/// The smallest part that is cut where its size is left open.
const SMALLEST: u64 = 64 << 10;
/// So often a part, or a single request, is interrupted before it is cut.
const INTERRUPTIONS: u32 = 2;

impl Books {
    /// The single request has failed, when so much of its body had left.
    pub(super) fn post_failed(&mut self, kind: FailureKind, left: Option<u64>, length: u64) {
        let is_interruption = matches!(kind, FailureKind::Interrupted | FailureKind::Timeout);
        if is_interruption && left.is_some_and(|left| (1..length).contains(&left)) {
            self.posted = self.posted.map(|times| times + 1);
        }
    }

    /// Whether the file has to go in parts although it was sent in one request.
    pub(super) fn has_to_fall_back(&self) -> bool {
        let is_open = self.plan.route == RouteChoice::Automatic && self.plan.part_size.is_none();
        let is_large = self.length > SMALLEST.min(self.limit);
        is_open && is_large && !self.stays_single && self.posted.is_some_and(|times| times >= INTERRUPTIONS)
    }

    /// An upload is created: of a file that was sent in one request, only when the line does not last for that.
    pub(super) fn fell_back(&mut self, now: Duration) {
        let has_to = self.has_to_fall_back();
        if let Some(times) = self.posted.take() {
            self.fell_back = true;
            hold(Rule::FallsBack, has_to, || format!("after {times} interruptions"));
            let until = self.solo_until;
            hold(Rule::Backoff, until <= now, || {
                format!("the upload is created {:?} too early", until - now)
            });
        }
    }

    /// A part has failed, and may be cut anew once it was interrupted often enough.
    pub(super) fn part_interrupted(&mut self, start: u64, setback: Setback) {
        let Setback::Failed(kind) = setback else { return };
        // A sleep says nothing of the line.
        if kind == FailureKind::Source
            || self.is_of_sleep
            || (kind == FailureKind::Connect && self.is_of_service)
        {
            return;
        }
        let times = self.interruptions.entry(start).or_default();
        *times += 1;
        let length = self.ends[&start] - start;
        if *times >= INTERRUPTIONS && self.plan.part_size.is_none() && length > SMALLEST {
            // What is smaller may get through.
            self.failures.entry(start).or_default().since = 0;
        }
    }

    /// Says whether the next part is the smallest, since it finds out whether the service is back.
    pub(super) fn size_decides(&self) -> bool {
        self.line.is_away() && self.plan.part_size.is_none() && self.plan.parallel != Parallel::InOrder
    }

    /// The part at `start` finds out whether the service is back: none of those that could go as well is smaller.
    pub(super) fn is_smallest(&self, start: u64, ready: impl Iterator<Item = u64>) {
        let length_of = |start| self.ends[&start] - start;
        // The rest of what it was cut off is no part yet.
        let is_rest = |other: &u64| {
            *other == self.ends[&start] && self.interruptions.get(other) == Some(&INTERRUPTIONS)
        };
        for other in ready.filter(|other| !is_rest(other)) {
            let is_smaller = length_of(start) <= length_of(other);
            hold(Rule::SmallestFirst, is_smaller, || {
                format!("{start} goes before {other} of {}", length_of(other))
            });
        }
    }

    /// What goes again is the same range. A part that has not left before overlaps no other, and has the size that the plan
    /// asks for, or any that the service takes, unless another part or the end of the file comes first.
    pub(super) fn part_is_whole(&mut self, (start, end): (u64, u64)) {
        let is_there = |start: &u64| self.known.contains(start) || self.acknowledged.contains(start);
        let is_missing = self.ends.keys().take_while(|other| **other < start).any(|other| !is_there(other));
        let is_ready = self.prepared == Some((start, end));
        let is_allowed = self.plan.parallel != Parallel::InOrder || (!is_missing && is_ready);
        hold(Rule::InOrder, is_allowed, || {
            format!("{start} goes before it is ready, or before what lies before it")
        });
        let before = self.ends.range(..start).next_back().map_or(0, |(_, end)| *end);
        let next = self.ends.range(start..).next().map_or(self.length, |(start, _)| *start);
        let most = (start + self.plan.part_size.unwrap_or(self.limit)).min(next);
        let is_as_wanted = end == most || (self.plan.part_size.is_none() && (start + 1..most).contains(&end));
        let known = self.ends.get(&start).copied();
        let is_whole = known.map_or(before <= start && is_as_wanted, |known| known == end);
        hold(Rule::SameRange, is_whole, || {
            format!("{start}..{end} is no part: that ends at {known:?}, between {before} and {next}")
        });
        self.ends.insert(start, end);
    }

    /// A part leaves that may be the beginning of one that was interrupted: the rest waits for the same moment.
    pub(super) fn may_be_cut_anew(&mut self, (start, end): (u64, u64)) {
        if self.plan.part_size.is_some()
            || self.interruptions.get(&start).is_none_or(|times| *times < INTERRUPTIONS)
        {
            return;
        }
        self.interruptions.remove(&start);
        let Some(known) = self.ends.get(&start).copied().filter(|known| end < *known) else { return };
        self.ends.insert(start, end);
        self.ends.insert(end, known);
        self.begun.insert(end);
        self.interruptions.insert(end, INTERRUPTIONS);
        self.waiting
            .extend(self.waiting.get(&start).map(|until| (end, *until)).into_iter().collect::<Vec<_>>());
        self.failures.extend(
            self.failures.get(&start).map(|failures| (end, *failures)).into_iter().collect::<Vec<_>>(),
        );
    }
}
