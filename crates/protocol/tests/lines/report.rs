//! What is seen of an upload from outside.

use std::{collections::VecDeque, time::Duration};

use crate::line::MIB;

/// How long back the rate of a line is looked at.
const WINDOW: Duration = Duration::from_secs(12);

/// What one upload came to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// From the first part to the last acknowledgement.
    pub(crate) began: Option<Duration>,
    /// When the first part of this run left.
    began_run: Option<Duration>,
    pub(crate) ended: Duration,
    pub(crate) first_acknowledged: Option<Duration>,
    /// Bytes that the line has carried.
    pub(crate) carried: f64,
    pub(crate) acknowledged: u64,
    /// What was cut and is not acknowledged, now and at most.
    pub(crate) outstanding: u64,
    pub(crate) most_outstanding: u64,
    /// How many parts were acknowledged.
    pub(crate) parts: u64,
    /// How many parts flew when, whenever that changed.
    pub(crate) flying: Vec<(Duration, usize)>,
    /// By how much the invariant was broken most, in times of what is allowed.
    pub(crate) worst: f64,
    pub(crate) worst_at: Duration,
    /// The error that it ended with.
    pub(crate) failure: Option<String>,
    acknowledgements: VecDeque<(Duration, u64)>,
}

impl Report {
    /// A part is cut, of so many bytes, while so many others fly.
    pub(crate) fn cut(&mut self, at: Duration, bytes: u64, flying: usize) {
        self.began.get_or_insert(at);
        self.began_run.get_or_insert(at);
        self.outstanding += bytes;
        self.most_outstanding = self.most_outstanding.max(self.outstanding);
        let allowed = WINDOW.as_secs_f64() * self.rate(at) + ((flying as u64 + 1) * MIB) as f64;
        let times = self.outstanding as f64 / allowed;
        if times > self.worst {
            (self.worst, self.worst_at) = (times, at);
        }
    }

    pub(crate) fn acknowledge(&mut self, at: Duration, bytes: u64) {
        self.first_acknowledged.get_or_insert(at);
        self.acknowledged += bytes;
        self.parts += 1;
        self.outstanding -= bytes;
        self.acknowledgements.push_back((at, bytes));
    }

    /// The run is killed, and another goes on.
    pub(crate) fn killed(&mut self) {
        self.began_run = None;
        self.outstanding = 0;
        self.acknowledgements.clear();
    }

    pub(crate) fn flies(&mut self, at: Duration, count: usize) {
        self.flying.push((at, count));
    }

    /// Acknowledged bytes a second over the last twelve seconds, or since the first part of the run left.
    fn rate(&mut self, at: Duration) -> f64 {
        let since = self.began_run.unwrap_or_default().max(at.saturating_sub(WINDOW));
        while self.acknowledgements.front().is_some_and(|(then, _)| *then < since) {
            self.acknowledgements.pop_front();
        }
        let bytes: u64 = self.acknowledgements.iter().map(|(_, bytes)| bytes).sum();
        let time = (at - since).as_secs_f64();
        if time > 0.0 { bytes as f64 / time } else { 0.0 }
    }

    /// The most parts that flew at once from this moment of the upload on.
    pub(crate) fn most_flying_from(&self, since: Duration) -> usize {
        let from = self.began.unwrap_or_default() + since;
        let before = self.flying.iter().take_while(|(at, _)| *at <= from).last();
        let after = self.flying.iter().filter(|(at, _)| *at > from);
        after.chain(before).map(|(_, count)| *count).max().unwrap_or_default()
    }

    pub(crate) fn took(&self) -> Duration {
        self.ended.saturating_sub(self.began.unwrap_or_default())
    }

    /// The first acknowledgement after the first part has left.
    pub(crate) fn first(&self) -> Duration {
        self.first_acknowledged.unwrap_or(self.ended).saturating_sub(self.began.unwrap_or_default())
    }
}
