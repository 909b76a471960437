//! What is claimed of uploads over lines.

use super::kinds::{CUTS, Kind, LARGE, NARROW, OUTAGE, SLOWEST};
use super::{OURS, name};
use crate::line::Told;
use crate::run::claims::{Bound, Claim};
use crate::run::figures::{Figure, named};
use crate::run::runs::{Measured, OverLine, Run};

/// Of the ideal time, when all connections are reset every 45 s.
const TIME: f64 = 1.12;
/// Bytes on the line for each byte that was acknowledged.
const SENT: f64 = 1.08;
const FIRST_S: f64 = 5.0;
/// Connections over the two slowest lines, once the beginning is over.
const OPEN_SLOWEST: f64 = 2.0;
const OPEN_NARROW: f64 = 4.0;
const BEGINNING_S: u64 = 10;
/// On the slowest line eight small parts take longer than that.
const SLOWEST_BEGINNING_S: u64 = 40;
/// From the return of the service to the next byte.
const RESUMED_S: f64 = 6.0;
/// Acknowledged bytes for each byte on the line.
const ACKNOWLEDGED: f64 = 0.85;
const ACKNOWLEDGED_FROM_S: u64 = 30;
/// Of what may be cut and not acknowledged.
const CUT: f64 = 1.0;

/// Why these figures may hold in noise.
const LIMITED: &str = "nothing makes a line of limited rate faster";

/// The claims about those lines that were measured.
pub(super) fn of(kinds: &[Kind], measured: &[Measured]) -> Vec<Claim> {
    kinds.iter().flat_map(|kind| of_line(kind, named(measured, &name(kind, OURS)))).collect()
}

fn of_line(kind: &Kind, ours: Option<&Measured>) -> Vec<Claim> {
    let words = |text: &str| format!("{text}: {}", kind.words);
    let time = |text: &str, of: Of, bound: Bound| {
        Claim::only_worse_by_noise(LIMITED, words(text), ours.and_then(|ours| timed(ours, of)), bound)
    };
    let count = |text: &str, of: Of, bound: Bound| {
        Claim::new(words(text), ours.and_then(|ours| counted(ours, of)), bound)
    };
    let mut claims = Vec::new();
    match kind.name {
        CUTS => {
            claims.push(time("time over ideal", over_ideal, Bound::AtMost(TIME)));
            claims.push(count("bytes sent for each acknowledged", sent, Bound::AtMost(SENT)));
            claims.push(time("s to the first acknowledgement", first, Bound::AtMost(FIRST_S)));
        }
        SLOWEST => {
            claims.push(count("connections open from 40 s on", open_slowest, Bound::AtMost(OPEN_SLOWEST)));
        }
        NARROW => {
            claims.push(count("connections open from 10 s on", open, Bound::AtMost(OPEN_NARROW)));
        }
        OUTAGE => {
            claims.push(time("s from the line's return to the next byte", resumed, Bound::AtMost(RESUMED_S)));
            claims.push(count("bytes acknowledged for each of the file", acknowledged, Bound::AtLeast(1.0)));
        }
        LARGE => {
            let text = "bytes acknowledged for each sent, from 30 s on";
            claims.push(count(text, acknowledged_of_sent, Bound::AtLeast(ACKNOWLEDGED)));
        }
        _ => {}
    }
    claims.push(count("cut and not acknowledged, of what may be", widest, Bound::AtMost(CUT)));
    claims
}

type Of = fn(&Run, &OverLine) -> f64;

/// A time. What did not come about is no matter of noise.
fn timed(ours: &Measured, of: Of) -> Option<Figure> {
    let figure = ours.figure(over_line(of));
    if figure.value.is_finite() { Some(figure) } else { Figure::steady(figure.value) }
}

/// Something that others who use the machine have no part in.
fn counted(ours: &Measured, of: Of) -> Option<Figure> {
    Figure::steady(ours.median(over_line(of)))
}

fn over_line(of: Of) -> impl Fn(&Run) -> f64 {
    move |run| run.line.as_ref().map_or(f64::NAN, |line| of(run, line))
}

fn over_ideal(run: &Run, line: &OverLine) -> f64 {
    line.over_ideal(run).unwrap_or(f64::INFINITY)
}

fn sent(_run: &Run, line: &OverLine) -> f64 {
    line.sent_per_byte()
}

fn first(_run: &Run, line: &OverLine) -> f64 {
    line.told.first_acknowledgement_s.unwrap_or(f64::INFINITY)
}

fn open(_run: &Run, line: &OverLine) -> f64 {
    most_open(line, BEGINNING_S)
}

fn open_slowest(_run: &Run, line: &OverLine) -> f64 {
    most_open(line, SLOWEST_BEGINNING_S)
}

/// The most at any second from then on.
fn most_open(line: &OverLine, from_s: u64) -> f64 {
    let open = line.told.samples.iter().filter(|sample| sample.at_s >= from_s).map(|sample| sample.open);
    open.max().map_or(f64::NAN, |open| open as f64)
}

fn resumed(_run: &Run, line: &OverLine) -> f64 {
    line.told.resumed_s.first().copied().unwrap_or(f64::INFINITY)
}

fn acknowledged(run: &Run, line: &OverLine) -> f64 {
    line.told.acknowledged as f64 / run.bytes as f64
}

/// The least at any second from then on.
fn acknowledged_of_sent(_run: &Run, line: &OverLine) -> f64 {
    let Told { samples, .. } = &line.told;
    let later = samples.iter().filter(|sample| sample.at_s >= ACKNOWLEDGED_FROM_S && sample.sent > 0);
    later.map(|sample| sample.acknowledged as f64 / sample.sent as f64).reduce(f64::min).unwrap_or(f64::NAN)
}

fn widest(_run: &Run, line: &OverLine) -> f64 {
    line.told.widest_cut.map_or(f64::NAN, crate::line::WidestCut::share)
}

#[cfg(test)]
mod tests {
    use super::super::kinds::KINDS;
    use super::*;
    use crate::line::{Sample, WidestCut};
    use crate::measure::Taken;
    use crate::run::claims::Verdict::{self, *};
    use crate::run::limited::End;

    /// What is claimed of a run over that line, which others disturbed.
    fn claimed(name: &str, run: impl FnOnce(&Kind) -> (Run, OverLine)) -> Vec<Claim> {
        let kind = KINDS.iter().find(|kind| kind.name == name).expect("a line");
        let (run, line) = run(kind);
        let run = Run { bytes: kind.length, others: 1.0, line: Some(line), ..run };
        of(&[*kind], &[Measured { name: super::name(kind, OURS), runs: vec![run] }])
    }

    fn verdicts(claims: &[Claim]) -> Vec<Verdict> {
        claims.iter().map(|claim| claim.verdict).collect()
    }

    fn line(end: End, told: Told) -> OverLine {
        OverLine { ideal_s: 300.0, is_whole: true, end, told }
    }

    fn took(wall_s: f64) -> Run {
        Run { taken: Taken { wall_s, ..Taken::default() }, ..Run::default() }
    }

    #[test]
    fn what_did_not_come_about_does_not_hold_however_noisy_it_was() {
        let stuck = |_: &Kind| (took(391.0), line(End::TooLong, Told { sent: 1, ..Told::default() }));
        let claims = claimed(CUTS, stuck);
        assert_eq!(verdicts(&claims), [DoesNotHold; 4]);
        assert!(claims[0].text.starts_with("time over ideal: 1 MB/s, "), "{claims:?}");

        let done = |acknowledged: u64, wall_s| {
            let told = Told {
                acknowledged,
                sent: acknowledged + 1,
                first_acknowledgement_s: Some(0.4),
                widest_cut: Some(WidestCut { at_s: 0.0, bytes: 1, limit: 1.0 }),
                ..Told::default()
            };
            (took(wall_s), line(End::Succeeded, told))
        };
        let claims = claimed(CUTS, |kind| done(kind.length, 330.0));
        assert_eq!(verdicts(&claims), [Holds; 4]);
        // Noise can make it slower, and cannot hide that bytes are missing.
        let claims = claimed(CUTS, |kind| done(kind.length, 340.0));
        assert_eq!(verdicts(&claims), [TooNoisy, Holds, Holds, Holds]);
        let claims = claimed(CUTS, |kind| done(kind.length - 1, 330.0));
        assert_eq!(verdicts(&claims), [DoesNotHold, Holds, Holds, Holds]);
    }

    #[test]
    fn the_beginning_of_a_narrow_line_does_not_count() {
        let sample = |at_s, open| Sample { at_s, open, sent: 0, acknowledged: 0, waiting: 0 };
        let opened = |open: u64| {
            let samples = vec![sample(9, 16), sample(10, open), sample(11, 2)];
            let told = Told { samples, ..Told::default() };
            claimed(NARROW, |_| (took(30.0), line(End::Succeeded, told)))[0].verdict
        };
        assert_eq!((opened(4), opened(5)), (Holds, DoesNotHold));
    }

    #[test]
    fn a_line_that_was_not_measured_is_said_to_be_so() {
        let claims = of(&KINDS, &[]);
        assert!(verdicts(&claims).iter().all(|verdict| *verdict == NotMeasured));
        assert!(claims.len() > KINDS.len());
    }
}
