//! The lines, and what is sent over each.

use std::time::Duration;

use crate::line::Span;
use crate::run::line_process::LineOptions;
use crate::run::scene::{GIB, MIB};

/// By how much all is less when only the bench itself is checked.
const SHRUNK: f64 = 16.0;
const LATENCY_MS: u64 = 40;
const MBIT: u64 = 1_000_000 / 8;
const MB: u64 = 1_000_000;
/// Lines of this rate keep no processor busy.
const SLOW: u64 = MB;

/// How much longer than ideal a run may take,
pub(super) const SLOWER: f64 = 1.25;
/// and how many seconds besides, before it is ended.
const GRACE_S: f64 = 15.0;
/// When peers are ended that do not get anywhere.
pub(super) const PEERS_S: f64 = 120.0;

/// A line, and a file to send over it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) words: &'static str,
    /// Bytes a second, of all connections together.
    rate: u64,
    pub(super) length: u64,
    cut_every_s: Option<f64>,
    away_s: Option<(f64, f64)>,
    /// Whether the network loses one packet in a hundred.
    pub(super) loses: bool,
    /// It is not waited for longer, so that only its beginning is seen.
    only_s: Option<f64>,
}

impl Kind {
    const fn shared(name: &'static str, words: &'static str, rate: u64, length: u64) -> Self {
        let (cut_every_s, away_s, loses, only_s) = (None, None, false, None);
        Self { name, words, rate, length, cut_every_s, away_s, loses, only_s }
    }

    /// The whole, without anything that goes wrong, but with the time for which the service cannot be reached.
    pub(super) fn ideal_s(&self) -> f64 {
        let away_s = self.away_s.map_or(0.0, |(from, until)| until - from);
        self.length as f64 / self.rate as f64 + away_s
    }

    /// Whether several can be measured at once.
    pub(super) fn is_slow(&self) -> bool {
        self.rate <= SLOW
    }

    /// How long it is waited for.
    pub(super) fn limit(&self, is_peer: bool) -> Duration {
        let limit = self.only_s.unwrap_or(self.ideal_s() * SLOWER + GRACE_S);
        Duration::from_secs_f64(if is_peer { limit.min(PEERS_S) } else { limit })
    }

    /// Whether it is meant to be sent to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.only_s.is_none()
    }

    pub(super) fn options(&self) -> LineOptions {
        let span = |(from, until)| Span {
            from: Duration::from_secs_f64(from),
            until: Duration::from_secs_f64(until),
        };
        LineOptions {
            rate: self.rate,
            latency_ms: LATENCY_MS,
            cut_every_s: self.cut_every_s,
            away: self.away_s.map(span),
        }
    }

    /// The same in a few seconds.
    pub(super) fn shrunk(self) -> Self {
        let less = |seconds: f64| seconds / SHRUNK;
        Self {
            length: self.length / SHRUNK as u64,
            cut_every_s: self.cut_every_s.map(less),
            away_s: self.away_s.map(|(from, until)| (less(from), less(until))),
            only_s: self.only_s.map(less),
            ..self
        }
    }
}

pub(super) const CUTS: &str = "cuts";
pub(super) const SLOWEST: &str = "1Mbit";
pub(super) const NARROW: &str = "8Mbit";
pub(super) const OUTAGE: &str = "outage";
pub(super) const LARGE: &str = "large";

/// All of them, in the order in which they are measured.
pub(super) const KINDS: [Kind; 8] = [
    Kind::shared(SLOWEST, "1 Mbit/s, 9 MiB", MBIT, 9 * MIB),
    Kind::shared(NARROW, "8 Mbit/s, 32 MiB", 8 * MBIT, 32 * MIB),
    Kind::shared("100Mbit", "100 Mbit/s, 256 MiB", 100 * MBIT, 256 * MIB),
    Kind::shared("1Gbit", "1 Gbit/s, 1 GiB", 1000 * MBIT, GIB),
    Kind {
        cut_every_s: Some(45.0),
        ..Kind::shared(CUTS, "1 MB/s, all connections reset every 45 s, 287 MiB", MB, 287 * MIB)
    },
    Kind {
        away_s: Some((10.0, 70.0)),
        ..Kind::shared(OUTAGE, "100 Mbit/s, away from 10 s to 70 s, 256 MiB", 100 * MBIT, 256 * MIB)
    },
    Kind {
        loses: true,
        ..Kind::shared("loss", "100 Mbit/s, 1 % of all packets lost, 256 MiB", 100 * MBIT, 256 * MIB)
    },
    Kind {
        only_s: Some(120.0),
        ..Kind::shared(LARGE, "5 MB/s, the first 120 s of 3 GB", 5 * MB, 3_000_000_000)
    },
];

/// Whether a line is measured without being named.
pub(super) fn is_unasked(kind: &Kind) -> bool {
    kind.name != LARGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_part_of_the_ideal_time() {
        let ideal = |name: &str| {
            let kind = KINDS.iter().find(|kind| kind.name == name).expect("a line");
            (kind.ideal_s().round(), kind.shrunk().ideal_s().round())
        };
        assert_eq!(ideal(OUTAGE), (81.0, 5.0));
        assert_eq!(ideal(CUTS), (301.0, 19.0));
    }
}
