//! The concurrency probe of fast lines: finds how many parts in flight make an upload faster, from the bytes that leave.
//!
//! Answers come too late for that: on a slow line, minutes after the first byte.

use std::time::Duration;

use crate::transport::SendBuffer;

/// With so many an upload begins, where it may choose.
const FIRST: u16 = 8;
/// A rate that is counted from fewer bytes of each request says little.
const SAMPLE: u64 = 512 << 10;
/// Parts up to this size begin and end together, and have to be counted whole: else it is their rhythm that is measured.
const RHYTHMIC: u64 = 4 << 20;
/// How long bytes are counted at least.
const COUNTING: Duration = Duration::from_millis(100);
/// What is not decided yet is looked at this often, and ever more seldom while nothing leaves.
const AGAIN: Duration = Duration::from_millis(25);
const SELDOM: Duration = Duration::from_secs(1);
/// More in flight are worth it when they make it faster by this much, which shows at once when it is much, and else after
/// a while: new connections take their time to come to their rate.
const CLEAR_GAIN: f64 = 1.5;
const GAIN: f64 = 1.1;
const PATIENCE: Duration = Duration::from_millis(1500);
/// When it is tried again whether more are worth it by now; doubles each time.
const REST: Duration = Duration::from_secs(10);
const LONGEST_REST: Duration = Duration::from_secs(160);

/// How much of a part has left for certain, when so much of it has departed. What the transport may still hold, twice the usual
/// to be sure, says nothing about the line; it is made good bit by bit until the end, so that the end of a part is no leap.
pub(super) fn left_of_part(departed: u64, length: u64, buffer: SendBuffer) -> u64 {
    let held = buffer.usual.saturating_mul(2);
    match length.checked_sub(held) {
        None | Some(0) => 0,
        Some(beyond) => {
            let share = departed.saturating_sub(held).min(beyond) as f64 / beyond as f64;
            (share * length as f64) as u64
        }
    }
}

/// Doubles the parts in flight as long as that pays.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    most: u16,
    wanted: u16,
    stage: ProbeStage,
    looked: Mark,
    /// How long after that it is looked at again, at least.
    pause: Duration,
    rest: Duration,
    /// The last trial has shown that more are better.
    has_gained: bool,
}

#[derive(Clone, Copy, Debug)]
enum ProbeStage {
    /// Until more than these have left, nothing can be said.
    Waiting {
        bytes: u64,
    },
    /// It is being counted what `wanted` are good for.
    Counting {
        from: Mark,
    },
    /// It is being tried whether `wanted` are better.
    Trying(Trial),
    Resting {
        until: Duration,
    },
    /// As many fly as may, or as are of use.
    Done,
}

#[derive(Clone, Copy, Debug)]
struct Trial {
    /// Better than so many, which are good for so many bytes a second.
    fewer: u16,
    rate: f64,
    from: Mark,
    /// When those that are new had sent something too.
    settled: Option<Mark>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Duration,
    bytes: u64,
}

impl Mark {
    /// Bytes a second since, once so many have left and enough time has passed.
    fn rate(self, now: Self, much: u64) -> Option<f64> {
        let (time, bytes) = (now.at.saturating_sub(self.at), now.bytes.saturating_sub(self.bytes));
        (time >= COUNTING && bytes >= much).then(|| bytes as f64 / time.as_secs_f64())
    }
}

impl Probe {
    pub(super) fn new(most: u16) -> Self {
        Self {
            most,
            wanted: FIRST.min(most),
            stage: ProbeStage::Waiting { bytes: 0 },
            looked: Mark { at: Duration::ZERO, bytes: 0 },
            pause: Duration::ZERO,
            rest: REST,
            has_gained: false,
        }
    }

    /// Whether more were tried or not allowed, and nothing shows that as many as are wanted pay.
    pub(super) fn has_found_no_more(&self) -> bool {
        matches!(self.stage, ProbeStage::Resting { .. } | ProbeStage::Done) && !self.has_gained
    }

    /// Whether as many fly as may, or as are of use.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, ProbeStage::Done)
    }

    /// How many parts may be in flight.
    pub(super) fn wanted(&self) -> u16 {
        self.wanted
    }

    /// `bytes` have left so far, `rest` parts are not acknowledged yet, and of those in flight the largest has so many bytes.
    pub(super) fn look(&mut self, at: Duration, bytes: u64, rest: usize, largest: u64) {
        self.note_look(at, bytes);
        let now = Mark { at, bytes };
        let much = self.much(largest);
        match self.stage {
            ProbeStage::Waiting { bytes: before } if bytes > before => {
                self.stage = ProbeStage::Counting { from: now };
            }
            ProbeStage::Resting { until } if at >= until => self.stage = ProbeStage::Counting { from: now },
            // What had left is taken back since its request failed.
            ProbeStage::Counting { from } if bytes < from.bytes => self.stage = ProbeStage::Waiting { bytes },
            ProbeStage::Counting { from } => {
                if let Some(rate) = from.rate(now, much) {
                    self.try_more(now, rate, rest);
                }
            }
            ProbeStage::Trying(trial) => self.judge(now, much, trial),
            ProbeStage::Waiting { .. } | ProbeStage::Resting { .. } | ProbeStage::Done => {}
        }
    }

    /// What was counted so far says nothing any more; the last number that is known to be good stays.
    pub(super) fn begin_anew(&mut self, at: Duration, bytes: u64) {
        self.note_look(at, bytes);
        if let ProbeStage::Trying(trial) = self.stage {
            self.wanted = trial.fewer;
        }
        if !matches!(self.stage, ProbeStage::Resting { .. }) {
            self.stage = ProbeStage::Waiting { bytes };
        }
    }

    fn note_look(&mut self, at: Duration, bytes: u64) {
        let is_idle = bytes == self.looked.bytes && !self.pause.is_zero();
        self.pause = if is_idle { (self.pause * 2).min(SELDOM) } else { AGAIN };
        self.looked = Mark { at, bytes };
    }

    /// So many bytes in all make every request send something that certainly leaves.
    fn much(&self, largest: u64) -> u64 {
        let each = if largest < RHYTHMIC { largest.max(SAMPLE) } else { SAMPLE };
        u64::from(self.wanted) * each
    }

    fn try_more(&mut self, now: Mark, rate: f64, rest: usize) {
        if self.wanted == self.most || rest <= usize::from(self.wanted) {
            self.stage = ProbeStage::Done;
            return;
        }
        let fewer = self.wanted;
        self.wanted = fewer.saturating_mul(2).min(self.most);
        self.stage = ProbeStage::Trying(Trial { fewer, rate, from: now, settled: None });
    }

    fn judge(&mut self, now: Mark, much: u64, trial: Trial) {
        let Trial { fewer, rate: before, from, settled } = trial;
        if now.bytes < settled.unwrap_or(from).bytes {
            self.stage = ProbeStage::Trying(Trial { from: now, settled: None, ..trial });
        } else if from.rate(now, much).is_some_and(|rate| rate >= before * CLEAR_GAIN) {
            self.take(now);
        } else if let Some(settled) = settled {
            let is_time = now.at >= from.at.saturating_add(PATIENCE);
            match settled.rate(now, 2 * much).filter(|_| is_time) {
                None => {}
                Some(rate) if rate >= before * GAIN => self.take(now),
                Some(_) => {
                    self.wanted = fewer;
                    self.has_gained = false;
                    self.give_rest(now.at);
                }
            }
        } else if from.rate(now, 2 * much).is_some() {
            self.stage = ProbeStage::Trying(Trial { settled: Some(now), ..trial });
        }
    }

    /// More pays.
    fn take(&mut self, now: Mark) {
        self.rest = REST;
        self.has_gained = true;
        self.stage = ProbeStage::Counting { from: now };
    }

    fn give_rest(&mut self, now: Duration) {
        self.stage = ProbeStage::Resting { until: now.saturating_add(self.rest) };
        self.rest = (self.rest * 2).min(LONGEST_REST);
    }

    /// The service is overloaded: the number that was being tried was too much.
    pub(super) fn overloaded(&mut self, now: Duration) {
        if let ProbeStage::Trying(trial) = self.stage {
            self.wanted = trial.fewer;
        }
        self.give_rest(now);
    }

    /// When to look next, whether anything is reported or not; `None` when nothing is to be found any more.
    pub(super) fn next_look(&self) -> Option<Duration> {
        let due = match self.stage {
            ProbeStage::Counting { from } | ProbeStage::Trying(Trial { from, .. }) => {
                from.at.saturating_add(COUNTING)
            }
            ProbeStage::Resting { until } => until,
            ProbeStage::Waiting { .. } => Duration::ZERO,
            ProbeStage::Done => return None,
        };
        Some(due.max(self.looked.at.saturating_add(self.pause)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MBIT: f64 = 1e6 / 8.0;
    const MIB: u64 = 1 << 20;
    const BUFFER: SendBuffer = SendBuffer::new(512 << 10, 4 << 20);

    /// A line: so many bytes a second on each connection and on all together, reached after a while.
    struct Line {
        each: f64,
        all: f64,
        ramp: Duration,
    }

    /// What the probe wants in the end, and how much of what `most` in flight would have sent has been sent.
    fn found(line: &Line, most: u16, parts: usize, seconds: u64) -> (u16, f64) {
        let step = Duration::from_millis(10);
        let mut probe = Probe::new(most);
        let (mut opened, mut bytes, mut best) = (Vec::new(), 0.0, 0.0);
        for tick in 0..seconds * 100 {
            let now = step * u32::try_from(tick).unwrap();
            opened.resize(usize::from(probe.wanted()).max(opened.len()), now);
            let reached = |since: &Duration| {
                line.each * (now.saturating_sub(*since).as_secs_f64() / line.ramp.as_secs_f64()).min(1.0)
            };
            let rate: f64 = opened.iter().take(probe.wanted().into()).map(reached).sum();
            bytes += rate.min(line.all) * step.as_secs_f64();
            best += (f64::from(most) * reached(&Duration::ZERO)).min(line.all) * step.as_secs_f64();
            probe.look(now, bytes as u64, parts, 64 << 20);
        }
        (probe.wanted(), bytes / best)
    }

    #[test]
    fn what_each_connection_limits_takes_as_many_as_may_be() {
        for (each, ramp) in [(5.0, 1), (50.0, 1), (400.0, 1), (400.0, 500), (50.0, 1000)] {
            let line = Line { each: each * MBIT, all: f64::INFINITY, ramp: Duration::from_millis(ramp) };
            let (wanted, share) = found(&line, 16, 1000, 60);
            assert_eq!(wanted, 16, "{each} Mbit/s after {ramp} ms");
            assert!(share > 0.8, "{share} at {each} Mbit/s after {ramp} ms");
        }
    }

    #[test]
    fn what_the_line_limits_is_not_shared_by_more_than_need_be() {
        for (all, seconds) in [(10.0, 38), (1000.0, 5), (30_000.0, 5)] {
            let line = Line { each: f64::INFINITY, all: all * MBIT, ramp: Duration::from_millis(1) };
            assert_eq!(found(&line, 16, 1000, seconds).0, 8, "{all} Mbit/s");
        }
    }

    /// The same with parts of this size, all of which begin together.
    fn found_in_parts(line: &Line, part: u64, seconds: u64) -> u16 {
        let mut probe = Probe::new(16);
        let (mut in_flight, mut acknowledged): (Vec<f64>, u64) = (Vec::new(), 0);
        for tick in 0..seconds * 100 {
            // Those in flight are not called back.
            in_flight.resize(usize::from(probe.wanted()).max(in_flight.len()), 0.0);
            let rate = line.each.min(line.all / in_flight.len() as f64);
            for sent in &mut in_flight {
                *sent += rate / 100.0;
            }
            in_flight.retain(|sent| {
                let is_there = *sent >= part as f64;
                acknowledged += if is_there { part } else { 0 };
                !is_there
            });
            let left: u64 = in_flight.iter().map(|sent| left_of_part(*sent as u64, part, BUFFER)).sum();
            probe.look(Duration::from_millis(10 * tick), acknowledged + left, 1000, part);
        }
        probe.wanted()
    }

    #[test]
    fn the_rhythm_of_parts_is_not_taken_for_a_rate() {
        // Smaller ones make it too rough: then there may be more in flight than pay, which costs nothing but connections.
        for part in [1 << 20, 2 << 20, 5 << 20, 64 << 20] {
            let line = |each, all| Line { each, all, ramp: Duration::from_millis(1) };
            let each = found_in_parts(&line(200.0 * MBIT, f64::INFINITY), part, 8);
            let all = found_in_parts(&line(f64::INFINITY, 1600.0 * MBIT), part, 8);
            assert_eq!((each, all), (16, 8), "parts of {part} bytes");
        }
    }

    #[test]
    fn the_probe_ends_where_more_do_not_pay_any_more() {
        let line = Line { each: 100.0 * MBIT, all: 1400.0 * MBIT, ramp: Duration::from_millis(1) };
        assert_eq!(found(&line, 64, 1000, 8).0, 16);
        let (wanted, share) = found(&line, 6, 1000, 8);
        assert!(wanted == 6 && share > 0.9, "{wanted} {share}");
    }

    #[test]
    fn what_the_transport_may_hold_of_a_part_has_not_left() {
        let of_16 = |mib: u64| left_of_part(mib << 20, 16 << 20, BUFFER);
        assert_eq!([0, 1, 16, 17].map(of_16), [0, 0, 16 << 20, 16 << 20]);
        assert_eq!(of_16(2), (16 << 20) / 15);
        assert_eq!([left_of_part(5, 10, BUFFER), left_of_part(MIB, MIB, BUFFER)], [0, 0]);
        assert_eq!(left_of_part(5, 10, SendBuffer::default()), 5);
    }

    #[test]
    fn a_few_parts_need_no_more_connections_than_they_are() {
        let line = Line { each: 100.0 * MBIT, all: f64::INFINITY, ramp: Duration::from_millis(1) };
        assert_eq!(found(&line, 16, 8, 8).0, 8);
        assert_eq!(found(&line, 1, 1000, 8).0, 1);
    }

    #[test]
    fn a_service_that_asks_for_patience_is_not_tried_with_more_for_a_while() {
        let mut probe = Probe::new(16);
        let seconds = Duration::from_secs;
        for (at, bytes) in [(0, 0), (1, 1), (2, 200)] {
            probe.look(seconds(at), bytes * MIB, 1000, 64 << 20);
        }
        assert_eq!(probe.wanted(), 16);
        probe.overloaded(seconds(3));
        assert_eq!((probe.wanted(), probe.next_look()), (8, Some(seconds(13))));
        probe.overloaded(seconds(4));
        assert_eq!((probe.wanted(), probe.next_look()), (8, Some(seconds(24))));
    }

    #[test]
    fn bytes_that_were_taken_back_begin_the_count_anew() {
        let mut probe = Probe::new(16);
        let seconds = Duration::from_secs;
        for (at, bytes) in [(0, 10), (1, 12), (2, 9), (3, 12), (4, 15), (5, 16)] {
            probe.look(seconds(at), bytes * MIB, 1000, 64 << 20);
            assert_eq!(probe.wanted(), if at < 5 { 8 } else { 16 }, "after {at} s");
        }
    }
}
