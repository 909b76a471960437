//! Rule 4, read independently: whether the service can be reached, and who may find out.

use std::{ops::RangeInclusive, time::Duration};

use partwise_protocol::transport::FailureKind;

use crate::rules::{Rule, hold};

const SECOND: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(crate) struct Line {
    answered_at: Option<Duration>,
    /// How often it began to fail.
    pub(crate) outages: u64,
    /// The first failure behind the last answer.
    pub(crate) since: Option<Duration>,
    away: Option<Away>,
    /// When this machine last woke.
    woke_at: Option<Duration>,
}

#[derive(Debug)]
struct Away {
    attempts: u32,
    /// The next attempt is not made before.
    from: Duration,
    /// The request that finds out, by its number, and when it left.
    probe: Option<(u64, Duration)>,
}

impl Away {
    fn is_probed_by(&self, number: u64) -> bool {
        self.probe.is_some_and(|(probe, _)| probe == number)
    }

    /// The same, and when that request left.
    fn probed_by(&mut self, number: u64) -> Option<(&mut Self, Duration)> {
        let (_, left_at) = self.probe.filter(|(probe, _)| *probe == number)?;
        Some((self, left_at))
    }
}

impl Line {
    /// A request leaves that is no cancel.
    pub(crate) fn leaves(&mut self, number: u64, now: Duration) {
        let Some(away) = &mut self.away else { return };
        hold(Rule::OneProbe, away.probe.is_none(), || {
            format!("request {number} leaves beside the one that finds out: {away:?}")
        });
        hold(Rule::OneProbe, now >= away.from, || {
            format!("request {number} leaves {:?} too early", away.from - now)
        });
        away.probe = Some((number, now));
    }

    /// Whether the service cannot be reached, and one request at a time finds out.
    pub(crate) fn is_away(&self) -> bool {
        self.away.is_some()
    }

    pub(crate) fn answered(&mut self, now: Duration) {
        *self =
            Self { answered_at: Some(now), outages: self.outages, woke_at: self.woke_at, ..Self::default() };
    }

    /// This machine has slept: the service is tried at once, and the waits begin anew.
    pub(crate) fn woke(&mut self, now: Duration) {
        self.woke_at = Some(now);
        if let Some(away) = &mut self.away {
            (away.attempts, away.from) = (0, away.from.min(now));
        }
    }

    /// Says whether this machine has slept since a request left.
    pub(crate) fn has_slept_since(&self, left_at: Duration) -> bool {
        self.woke_at.is_some_and(|woke| left_at < woke)
    }

    /// Nothing more comes of a request.
    pub(crate) fn abandoned(&mut self, number: u64) {
        if let Some((away, left_at)) = self.away.as_mut().and_then(|away| away.probed_by(number)) {
            (away.probe, away.from) = (None, left_at + shortest(away.attempts));
        }
    }

    /// A request has failed that left at some moment. Says whether that is the service's own failure.
    pub(crate) fn failed(
        &mut self,
        (number, left_at): (u64, Duration),
        kind: FailureKind,
        is_alone: bool,
        now: Duration,
    ) -> bool {
        let is_first = self.since.is_none();
        self.since.get_or_insert(now);
        self.outages += u64::from(is_first);
        match &mut self.away {
            Some(away) if away.is_probed_by(number) => {
                away.attempts += 1;
                (away.probe, away.from) = (None, now + shortest(away.attempts));
            }
            Some(_) => {}
            None if kind == FailureKind::Connect || is_alone || !is_first => {
                self.away = Some(Away { attempts: 1, from: now + shortest(1), probe: None });
            }
            None => {}
        }
        self.answered_at.is_none_or(|answered| answered < left_at)
    }

    /// The wait that a failure of the service leads to.
    pub(crate) fn wait(&self, now: Duration, longest_drawn: Duration) -> RangeInclusive<Duration> {
        match &self.away {
            // The exact moment is drawn; one that is past is that of an attempt under way.
            Some(away) => away.from.saturating_sub(now)..=LONGEST,
            None => Duration::ZERO..=longest_drawn,
        }
    }
}

fn shortest(attempts: u32) -> Duration {
    // Once in six attempts it is short, so that a line that is cut every few seconds does not cut each.
    if attempts > 0 && attempts % 6 == 0 {
        return 2 * SECOND;
    }
    (SECOND * attempts).min(LONGEST * 4 / 5)
}
