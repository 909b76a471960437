//! What the line carries, as far as acknowledgements show it.

use std::{collections::VecDeque, time::Duration};

use super::{
    cut::{AT_RISK, Situation, Sizes},
    parts::{Part, Parts, Whole},
};
use crate::{
    sizes::{Rates, Slots, bytes},
    transport::SendBuffer,
};

/// Connections count as interrupted for so long after the last time.
const INTERRUPTED: Duration = Duration::from_secs(120);
/// An upload has just begun for so long.
const BEGINNING: Duration = Duration::from_secs(6);
/// A longer wait counts as this much: most of it is the line.
const LONGEST_ANSWER: Duration = Duration::from_secs(4);
/// Acknowledgements that come this close together count as one.
const TOGETHER: Duration = Duration::from_millis(50);

/// What was seen of a line in this run.
#[derive(Clone, Debug, Default)]
pub(super) struct UplinkEstimate {
    /// What connections hold of the bytes that count as departed.
    pub(super) buffer: SendBuffer,
    /// What each connection carried last.
    slots: Slots,
    /// The same with the time that the answer took.
    with_answers: Slots,
    /// The largest part that was acknowledged.
    largest: u64,
    /// Bytes that were acknowledged when, over the last seconds.
    acknowledged: VecDeque<(Duration, u64)>,
    /// When the first part left.
    began: Option<Duration>,
    interrupted: Option<Duration>,
    /// The shortest of all times to an answer.
    answer: Option<Waited>,
}

/// A part's way: which connection takes it, as far as can be told, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leg {
    pub(super) slot: usize,
    pub(super) since: Duration,
    /// The number of connections is what it was then as long as this is the same.
    pub(super) epoch: u32,
}

/// A part's way that has ended with an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnsweredPart {
    pub(super) at: Duration,
    pub(super) took: Duration,
    pub(super) epoch: u32,
    slot: usize,
    waited: Waited,
}

/// The last of a part left after one moment, and by another one if it was seen to have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Departure {
    pub(super) after: Duration,
    pub(super) by: Option<Duration>,
}

/// The time from a part's departure to its answer.
#[derive(Clone, Copy, Debug)]
struct Waited {
    at_least: Duration,
    at_most: Duration,
}

impl Waited {
    fn min(self, other: Self) -> Self {
        Self { at_least: self.at_least.min(other.at_least), at_most: self.at_most.min(other.at_most) }
    }
}

impl Leg {
    /// It ends now.
    pub(super) fn answered(self, departure: Departure, now: Duration) -> AnsweredPart {
        let waited = Waited {
            at_least: departure.by.map_or(Duration::ZERO, |by| now.saturating_sub(by)),
            at_most: now.saturating_sub(departure.after),
        };
        AnsweredPart {
            slot: self.slot,
            epoch: self.epoch,
            at: now,
            took: now.saturating_sub(self.since).max(Duration::from_micros(1)),
            waited,
        }
    }
}

impl AnsweredPart {
    /// When the part began to leave.
    pub(super) fn left_at(&self) -> Duration {
        self.at.saturating_sub(self.took)
    }
}

/// One part in flight, and how much of it has left.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartInFlight {
    pub(super) part: Part,
    pub(super) leg: Leg,
    pub(super) sent: u64,
}

impl PartInFlight {
    /// Bytes of the part that have left.
    pub(super) fn left(&self) -> u64 {
        self.sent.min(self.part.len())
    }
}

impl UplinkEstimate {
    /// The way of the next part: a connection that is free takes it.
    pub(super) fn leg(since: Duration, epoch: u32, in_flight: &[PartInFlight]) -> Leg {
        let is_taken = |slot| in_flight.iter().any(|other| other.leg.slot == slot);
        Leg { slot: Slots::free(is_taken), since, epoch }
    }

    /// A part leaves.
    pub(super) fn begin(&mut self, leg: Leg) {
        self.began.get_or_insert(leg.since);
    }

    /// A part was acknowledged. Returns how long it was sent, without what the service
    /// takes to answer anything.
    pub(super) fn acknowledged(&mut self, answered: AnsweredPart, bytes: u64) -> Duration {
        let AnsweredPart { slot, at: now, took, waited, .. } = answered;
        self.answer = Some(self.answer.map_or(waited, |answer| answer.min(waited)));
        let sending = took.saturating_sub(self.answer(bytes as f64 / took.as_secs_f64()));
        self.slots.carried(slot, bytes, took, sending);
        self.with_answers.carried(slot, bytes, took, took);
        self.largest = self.largest.max(bytes);
        match self.acknowledged.back_mut() {
            // It counts as if it had come before, and so is forgotten sooner.
            Some((at, sum)) if now.saturating_sub(*at) < TOGETHER => *sum += bytes,
            _ => self.acknowledged.push_back((now, bytes)),
        }
        self.forget(now);
        sending
    }

    /// The time that the service takes to answer, as seen by a connection that carries so many bytes a second with its answers. A part
    /// that seems to have left and that the kernel still holds looks like a slow answer, unless the line carries more
    /// meanwhile than the kernel holds.
    fn answer(&self, rate: f64) -> Duration {
        let Some(Waited { at_least, at_most }) = self.answer else { return Duration::ZERO };
        let is_answer = at_most.as_secs_f64() * rate > self.buffer.usual as f64;
        (if is_answer { at_most } else { at_least }).min(LONGEST_ANSWER)
    }

    /// A part was interrupted on its way.
    pub(super) fn interrupted(&mut self, now: Duration) {
        self.interrupted = Some(now);
    }

    fn forget(&mut self, now: Duration) {
        let since = now.saturating_sub(AT_RISK);
        while self.acknowledged.front().is_some_and(|(at, _)| *at < since) {
            self.acknowledged.pop_front();
        }
    }

    /// Bytes a second that were acknowledged over the last twelve seconds, or since the first part left.
    pub(super) fn rate(&self, now: Duration) -> f64 {
        let since = self.began.unwrap_or(now).max(now.saturating_sub(AT_RISK));
        let bytes: u64 =
            self.acknowledged.iter().filter(|(at, _)| *at >= since).map(|(_, bytes)| bytes).sum();
        let time = now.saturating_sub(since);
        if time.is_zero() { 0.0 } else { bytes as f64 / time.as_secs_f64() }
    }

    /// How much of a part in flight has arrived, if its connection carries what it, or the others, carried before: of what has
    /// left, the kernel may still hold some. At first, all that has left.
    pub(super) fn arrived(&self, in_flight: PartInFlight, now: Duration) -> u64 {
        let rate = self.with_answers.of(in_flight.leg.slot).or_else(|| self.with_answers.usual(usize::MAX));
        let time = now.saturating_sub(in_flight.leg.since).as_secs_f64();
        let carried = rate.map_or(u64::MAX, |rate| (rate * time) as u64);
        carried.clamp(in_flight.left().saturating_sub(self.buffer.usual), in_flight.left())
    }

    /// Bytes of a part in flight that have not left, by what its connection carried before: the transport may hold up to
    /// [`SendBuffer::most`] more.
    fn unsent(&self, in_flight: PartInFlight, usual: f64, now: Duration) -> u64 {
        let time = now.saturating_sub(in_flight.leg.since).as_secs_f64();
        let carried = bytes(self.slots.of(in_flight.leg.slot).unwrap_or(usual) * time);
        in_flight.part.len()
            - carried.clamp(in_flight.left().saturating_sub(self.buffer.most), in_flight.left())
    }

    /// The seconds until the rest of a part in flight has left, and from then to its answer.
    fn busy(&self, in_flight: PartInFlight, usual: f64, now: Duration) -> (f64, f64) {
        let rate = self.slots.of(in_flight.leg.slot).unwrap_or(usual).max(1.0);
        let answer = self.answer(self.with_answers.of(in_flight.leg.slot).unwrap_or(usual)).as_secs_f64();
        let unsent = self.unsent(in_flight, usual, now);
        if unsent > 0 {
            return (unsent as f64 / rate, answer);
        }
        let time = now.saturating_sub(in_flight.leg.since).as_secs_f64();
        let waited = (time - in_flight.part.len() as f64 / rate).max(0.0);
        (0.0, (answer - waited).max(0.0))
    }

    /// Bytes that have to leave before all of `to_cut` can: those in flight that have not left, and those that connections would
    /// carry while they wait for their answers, if they get another part afterwards.
    fn ahead(&self, in_flight: &[PartInFlight], to_cut: u64, rates: Rates, now: Duration) -> u64 {
        let unsent: u64 = in_flight.iter().map(|other| self.unsent(*other, rates.usual, now)).sum();
        let end = to_cut.saturating_add(unsent) as f64 / rates.together.max(1.0);
        let waiting = in_flight.iter().filter_map(|other| {
            let (leaving, answer) = self.busy(*other, rates.usual, now);
            let rate = self.slots.of(other.leg.slot).unwrap_or(rates.usual);
            (leaving + answer < end).then(|| bytes(rate * answer))
        });
        unsent.saturating_add(waiting.sum())
    }

    /// Bytes a second that so many connections carried together, each with its last part.
    pub(super) fn carried(&self, window: u16) -> f64 {
        self.slots.known(usize::from(window)).sum()
    }

    /// What the size of the part follows from that this connection takes next, of so many that may be busy.
    pub(super) fn situation(
        &self,
        leg: Leg,
        in_flight: &[PartInFlight],
        window: u16,
        parts: &Parts,
        whole: Whole,
    ) -> Option<Situation> {
        let Sizes::ByLine { largest, parts: most_parts } = parts.sizes() else { return None };
        let is_within =
            |since: Option<Duration>, time| since.is_some_and(|at| leg.since.saturating_sub(at) < time);
        let (to_cut, ranges) = parts.to_cut();
        let others = in_flight.iter().map(|other| other.leg.slot);
        let rates = self.slots.rates(leg.slot, others, usize::from(window));
        Some(Situation {
            rates,
            largest_before: self.largest,
            largest,
            number: parts.numbered(),
            to_cut,
            // Of each range, a rest may be a part of its own.
            parts_left: most_parts.saturating_sub(parts.count()).saturating_sub(ranges),
            ahead: self.ahead(in_flight, to_cut, rates, leg.since),
            at_risk: parts.at_risk(),
            whole,
            busy: in_flight.len() + 1,
            acknowledged: self.rate(leg.since),
            is_short: is_within(self.began, BEGINNING) || is_within(self.interrupted, INTERRUPTED),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn answered(slot: usize, since: u32, at: u32, waited: u32) -> AnsweredPart {
        let leg = Leg { slot, since: SECOND * since, epoch: 0 };
        let left = SECOND * (at - waited);
        leg.answered(Departure { after: left, by: Some(left) }, SECOND * at)
    }

    fn line() -> UplinkEstimate {
        let mut line =
            UplinkEstimate { buffer: SendBuffer::new(512 << 10, 4 << 20), ..UplinkEstimate::default() };
        line.begin(Leg { slot: 1, since: SECOND * 10, epoch: 0 });
        line
    }

    #[test]
    fn the_rate_is_what_was_acknowledged_over_the_last_twelve_seconds_or_since_the_first_byte() {
        let mut line = line();
        assert_eq!(line.rate(SECOND * 10), 0.0);
        line.acknowledged(answered(0, 10, 12, 0), 100);
        assert_eq!(line.rate(SECOND * 12), 50.0);
        assert_eq!(line.rate(SECOND * 20), 10.0);
        line.acknowledged(answered(0, 12, 24, 0), 140);
        assert_eq!(line.rate(SECOND * 24), 20.0);
        assert_eq!(line.rate(SECOND * 30), 140.0 / 12.0);
        assert_eq!(line.rate(SECOND * 60), 0.0);
    }

    #[test]
    fn a_service_that_is_slow_to_answer_is_no_slow_line() {
        let mut line = line();
        line.acknowledged(answered(0, 10, 14, 2), 100);
        assert_eq!(line.slots.of(0), Some(50.0));
        // Once an answer came soon, waiting is the line's.
        line.acknowledged(answered(0, 14, 18, 0), 100);
        assert_eq!(line.slots.of(0), Some(25.0));
        line.acknowledged(answered(1, 14, 22, 7), 100);
        assert_eq!(line.slots.of(1), Some(12.5));
    }

    #[test]
    fn what_the_kernel_holds_of_a_part_does_not_make_a_line_faster_than_twice_what_it_is() {
        let mut line = line();
        line.acknowledged(answered(0, 10, 14, 4), 100);
        assert_eq!(line.slots.of(0), Some(50.0));
    }

    #[test]
    fn what_connections_carried_that_are_given_up_does_not_count() {
        let mut line = line();
        line.acknowledged(answered(0, 10, 14, 0), 100);
        line.acknowledged(answered(1, 10, 20, 0), 100);
        assert_eq!([2, 1, 0].map(|window| line.carried(window)), [35.0, 25.0, 0.0]);
    }

    #[test]
    fn an_answer_is_what_comes_later_than_what_the_kernel_holds() {
        const KIB: u64 = 1 << 10;
        // What was not seen to leave before its answer came may have left at any time since it began.
        let unseen = |slot, kib, millis| {
            let leg = Leg { slot, since: SECOND * 10, epoch: 0 };
            let departure = Departure { after: SECOND * 10, by: None };
            (leg.answered(departure, SECOND * 10 + Duration::from_millis(millis)), kib * KIB)
        };
        let carried = |parts: &[(AnsweredPart, u64)]| {
            let mut line = line();
            parts.iter().for_each(|(answered, bytes)| _ = line.acknowledged(*answered, *bytes));
            line.carried(2) / KIB as f64
        };
        // The first one came after 40 ms, so no answer takes longer; on a fast line, the second took 100 ms besides.
        let fast = carried(&[unseen(0, 256, 40), unseen(0, 4000, 140)]);
        assert!((fast - 40_000.0).abs() < 1.0, "{fast}");
        // On a slow one, the kernel may have held as much.
        let slow = carried(&[unseen(0, 256, 2000), unseen(0, 512, 4000)]);
        assert!((slow - 128.0).abs() < 1.0, "{slow}");
    }

    #[test]
    fn what_the_kernel_holds_and_waits_for_answers_comes_before_the_end() {
        const MIB: u64 = 1 << 20;
        let mut line = line();
        line.acknowledged(answered(0, 10, 12, 1), 10 * MIB);
        line.acknowledged(answered(1, 10, 12, 1), 10 * MIB);
        let part = Part { start: 0, end: 100 * MIB, number: 1 };
        let in_flight =
            |sent| [PartInFlight { part, leg: Leg { slot: 1, since: SECOND * 20, epoch: 0 }, sent }];
        let rates = Rates { own: None, usual: 0.0, together: (20 * MIB) as f64 };
        let ahead = |sent, to_cut| line.ahead(&in_flight(sent * MIB), to_cut * MIB, rates, SECOND * 22) / MIB;
        // It carries 10 MiB a second, of which what was handed to the kernel may be ahead or behind.
        assert_eq!([22, 18, 30].map(|sent| ahead(sent, 0)), [80, 82, 74]);
        // Its next part has to wait for an answer of a second, if there is one.
        assert_eq!([60, 90].map(|to_cut| ahead(22, to_cut)), [80, 80]);
        assert_eq!(ahead(22, 110), 90);
        // Of the answer to a part that has left, what is over does not count.
        let part = Part { start: 0, end: 15 * MIB, number: 1 };
        let waiting =
            [PartInFlight { part, leg: Leg { slot: 1, since: SECOND * 20, epoch: 0 }, sent: 15 * MIB }];
        assert_eq!(line.ahead(&waiting, 100 * MIB, rates, SECOND * 22) / MIB, 5);
        assert_eq!(line.ahead(&waiting, 100 * MIB, rates, SECOND * 30) / MIB, 0);
    }

    #[test]
    fn a_free_connection_takes_the_next_part() {
        let part = Part { start: 0, end: 1, number: 1 };
        let in_flight =
            [0, 2].map(|slot| PartInFlight { part, leg: Leg { slot, since: SECOND, epoch: 0 }, sent: 0 });
        assert_eq!(UplinkEstimate::leg(SECOND, 0, &in_flight).slot, 1);
        assert_eq!(UplinkEstimate::leg(SECOND, 0, &in_flight[..1]).slot, 1);
        assert_eq!(UplinkEstimate::leg(SECOND, 0, &[]).slot, 0);
    }
}
