//! A line between the client and a service.

use std::{collections::BTreeMap, time::Duration};

use partwise_protocol::machine::RequestId;
use partwise_testkit::dice::Dice;

pub(crate) const KIB: u64 = 1024;
pub(crate) const MIB: u64 = 1024 * KIB;
pub(crate) const GIB: u64 = 1024 * MIB;
/// A million bits a second, in bytes a second.
pub(crate) const MBIT: f64 = 1e6 / 8.0;

/// What a line carries, and what is wrong with it.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Bytes a second of all connections together, and of each one.
    pub(crate) all: f64,
    pub(crate) each: f64,
    /// How long a byte and the answer to it take together.
    pub(crate) round_trip: Duration,
    /// How long the service takes to acknowledge what it has.
    pub(crate) answer: Duration,
    /// All connections are cut so often.
    pub(crate) cut_every: Option<Duration>,
    /// From when on nothing moves, and for how long; what was sent before goes on after it.
    pub(crate) silence: Option<(Duration, Duration)>,
    /// So many bytes of a request count as sent before the line has carried them.
    pub(crate) held: u64,
    /// How unequally connections share what there is: 1 is equally.
    pub(crate) unfair: f64,
    /// How many times slower the first connection is than others.
    pub(crate) first_slower: f64,
    /// The rates after this moment are so many times those before.
    pub(crate) change: Option<(Duration, f64)>,
}

impl Line {
    /// A line that all connections share.
    pub(crate) fn shared(mbit: f64) -> Self {
        Self {
            all: mbit * MBIT,
            each: f64::INFINITY,
            round_trip: Duration::from_millis(40),
            answer: Duration::from_millis(5),
            cut_every: None,
            silence: None,
            held: 128 * KIB,
            unfair: 1.0,
            first_slower: 1.0,
            change: None,
        }
    }

    /// A line that carries as much on each connection, however many there are.
    pub(crate) fn each(mbit: f64) -> Self {
        Self { all: f64::INFINITY, each: mbit * MBIT, ..Self::shared(1.0) }
    }

    /// The machine itself.
    pub(crate) fn loopback() -> Self {
        Self { round_trip: Duration::from_micros(100), held: 2 * MIB, ..Self::shared(24_000.0) }
    }

    pub(crate) fn with_cuts(mut self, seconds: u64) -> Self {
        self.cut_every = Some(Duration::from_secs(seconds));
        self
    }

    /// Any line, so slow or fast that a file of some hundred mebibytes takes minutes at most.
    pub(crate) fn drawn(dice: &mut Dice) -> Self {
        let mbit = *dice.pick(&[1.0, 2.0, 4.0, 8.0, 16.0, 40.0, 100.0, 400.0, 1000.0, 10_000.0]);
        let mut line = match dice.chance(600) {
            true => Self::shared(mbit),
            false => Self { all: mbit * MBIT * *dice.pick(&[2.0, 8.0, 64.0]), ..Self::each(mbit) },
        };
        line.round_trip = Duration::from_millis(*dice.pick(&[1, 20, 40, 100, 300, 600]));
        line.answer = Duration::from_millis(*dice.pick(&[0, 5, 5, 50, 500, 2000, 5000]));
        line.held = *dice.pick(&[0, 16 * KIB, 128 * KIB, MIB, 4 * MIB]);
        line.unfair = *dice.pick(&[1.0, 1.0, 1.5, 4.0]);
        line.cut_every = dice.chance(300).then(|| Duration::from_secs(5 + dice.below(85)));
        line.silence = dice.chance(200).then(|| (dice.millis(60_000), dice.millis(20_000)));
        line.first_slower = *dice.pick(&[1.0, 1.0, 4.0]);
        line.change = dice.chance(200).then(|| (dice.millis(60_000), *dice.pick(&[0.05, 0.3, 3.0, 20.0])));
        line
    }

    /// What this line carries at most over so many connections at the beginning, in bytes a second.
    pub(crate) fn most(&self, connections: u16) -> f64 {
        self.all.min(self.each * f64::from(connections))
    }

    /// How many times slower than others this connection is.
    pub(crate) fn slower(&self, connection: usize) -> f64 {
        if connection == 0 { self.first_slower } else { 1.0 }
    }

    /// How many times the rates of the beginning there are now.
    pub(crate) fn factor(&self, at: Duration) -> f64 {
        self.change.filter(|(from, _)| at >= *from).map_or(1.0, |(_, factor)| factor)
    }

    /// Bytes a second on each of these requests' connections, from how greedy each is and which connection it has.
    pub(crate) fn rates(
        &self,
        at: Duration,
        requests: impl Iterator<Item = (RequestId, f64, usize)>,
    ) -> BTreeMap<RequestId, f64> {
        let mut rates = BTreeMap::new();
        if self.is_silent(at) {
            return rates;
        }
        let factor = self.factor(at);
        let (mut all, each) = (self.all * factor, self.each * factor);
        let mut open: Vec<_> =
            requests.map(|(id, share, connection)| (id, share, each / self.slower(connection))).collect();
        // What one cannot use is for the others.
        while !open.is_empty() {
            let shares: f64 = open.iter().map(|(_, share, _)| share).sum();
            let before = open.len();
            let left = all;
            open.retain(|(id, share, each)| {
                let is_full = left * share / shares >= *each;
                if is_full {
                    rates.insert(*id, *each);
                    all -= each;
                }
                !is_full
            });
            if open.len() == before {
                rates.extend(open.drain(..).map(|(id, share, _)| (id, left * share / shares)));
            }
        }
        rates
    }

    pub(crate) fn is_silent(&self, at: Duration) -> bool {
        self.silence.is_some_and(|(from, lasts)| at >= from && at < from + lasts)
    }

    /// The next moment at which something about the line changes.
    pub(crate) fn next_change(&self, after: Duration) -> Option<Duration> {
        let silence = self.silence.into_iter().flat_map(|(from, lasts)| [from, from + lasts]);
        let change = self.change.map(|(from, _)| from);
        let cut = self.next_cut(after);
        silence.chain(change).chain(cut).filter(|at| *at > after).min()
    }

    pub(crate) fn next_cut(&self, after: Duration) -> Option<Duration> {
        let every = self.cut_every?;
        let past = (after.as_nanos() / every.as_nanos()) as u32;
        Some(every * (past + 1))
    }
}
