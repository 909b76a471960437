//! What is claimed of uploads over lines.

use super::kinds::{CUTS, Kind, LARGE, NARROW, OUTAGE};
use super::{OURS, name};
use crate::line::Told;
use crate::run::claims::{Bound, Claim};
use crate::run::figures::{Figure, named};
use crate::run::runs::{Measured, OverLine, Run};

/// Of the ideal time, when all connections are reset every 45 s.
const TIME: f64 = 1.12;
/// Bytes on the line for each byte of the file.
const SENT: f64 = 1.08;
const FIRST_S: f64 = 5.0;
/// Connections over the narrow line, once the beginning is over.
const OPEN: f64 = 4.0;
const BEGINNING_S: u64 = 10;
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
    let claim = |text: &str, of: fn(&Run, &OverLine) -> f64, bound: Bound| {
        let text = format!("{text}: {}", kind.words);
        Claim::only_worse_by_noise(LIMITED, text, ours.and_then(|ours| figure(ours, of)), bound)
    };
    let mut claims = Vec::new();
    match kind.name {
        CUTS => {
            claims.push(claim("time over ideal", over_ideal, Bound::AtMost(TIME)));
            claims.push(claim("bytes sent for each of the file", sent, Bound::AtMost(SENT)));
            claims.push(claim("s to the first acknowledgement", first, Bound::AtMost(FIRST_S)));
        }
        NARROW => {
            claims.push(claim("connections open from 10 s on", open, Bound::AtMost(OPEN)));
        }
        OUTAGE => {
            claims.push(claim(
                "s from the line's return to the next byte",
                resumed,
                Bound::AtMost(RESUMED_S),
            ));
            claims.push(claim("bytes acknowledged for each of the file", acknowledged, Bound::AtLeast(1.0)));
        }
        LARGE => {
            let text = "bytes acknowledged for each sent, from 30 s on";
            claims.push(claim(text, acknowledged_of_sent, Bound::AtLeast(ACKNOWLEDGED)));
        }
        _ => {}
    }
    claims.push(claim("cut and not acknowledged, of what may be", widest, Bound::AtMost(CUT)));
    claims
}

/// Of a run; what did not come about is no matter of noise.
fn figure(ours: &Measured, of: fn(&Run, &OverLine) -> f64) -> Option<Figure> {
    let line = |run: &Run| run.line.as_ref().map_or(f64::NAN, |line| of(run, line));
    let figure = ours.figure(line);
    if figure.value.is_finite() { Some(figure) } else { Figure::steady(figure.value) }
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

/// The most at any second after the beginning.
fn open(_run: &Run, line: &OverLine) -> f64 {
    let open = line.told.samples.iter().filter(|sample| sample.at_s >= BEGINNING_S).map(|sample| sample.open);
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
