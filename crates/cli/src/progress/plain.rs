//! Lines for standard error that is no terminal.

use std::time::Duration;

use super::view::{Situation, View};
use crate::notices::LONG;

/// The time between lines while nothing changes.
const EVERY: Duration = Duration::from_secs(30);
/// A transfer that moves again is told after this time.
const MOVES: Duration = Duration::from_secs(1);

/// The line.
pub(super) fn line(view: &View<'_>) -> String {
    let percent = view.percent().map(|percent| format!("{percent}%"));
    let amount = Some(view.amount().long).filter(|amount| !amount.is_empty());
    let activity = match view.situation {
        Situation::Sending | Situation::Receiving => vec![view.rate(), view.time_left()],
        _ => vec![view.activity().into_iter().next().filter(|words| !words.is_empty())],
    };
    let mut words: Vec<_> = [percent, amount].into_iter().chain(activity).flatten().collect();
    if words.is_empty() {
        words.push(view.situation.kind().to_owned());
    }
    format!("{}: {}", view.name, words.join(", "))
}

/// The moments of the lines: every half minute, and for each state that lasts.
#[derive(Debug)]
pub(super) struct Cadence {
    /// The moment of the last line.
    told_at: Duration,
    /// Its state.
    told: &'static str,
    state: &'static str,
    state_since: Duration,
}

impl Cadence {
    /// Nothing is told of a transfer that moves and takes a moment.
    pub(super) fn new(now: Duration) -> Self {
        Self { told_at: now, told: "", state: "", state_since: now }
    }

    /// Says whether a line is due.
    pub(super) fn is_due(&mut self, situation: &Situation, now: Duration) -> bool {
        let state = situation.kind();
        if state != self.state {
            (self.state, self.state_since) = (state, now);
        }
        let lasting = now.saturating_sub(self.state_since).max(situation.lasting().unwrap_or_default());
        let is_due = *situation != Situation::Done
            && (now.saturating_sub(self.told_at) >= EVERY
                || (self.is_news(situation) && needed(situation).is_some_and(|needed| lasting >= needed)));
        if is_due {
            (self.told, self.told_at) = (state, now);
        }
        is_due
    }

    fn is_news(&self, situation: &Situation) -> bool {
        // That it moves is news only after a line that said that it does not.
        let has_told = !(self.told.is_empty() && situation.moves());
        has_told && situation.kind() != self.told
    }
}

/// The time that a state lasts before it is told; `None` for those that a line of their own tells as they begin.
fn needed(situation: &Situation) -> Option<Duration> {
    match situation {
        Situation::Sending | Situation::Receiving => Some(MOVES),
        Situation::Connecting
        | Situation::Stalled { .. }
        | Situation::Offline { .. }
        | Situation::Checking
        | Situation::Assembling { .. } => Some(LONG),
        Situation::RateLimited { .. }
        | Situation::Reconciling
        | Situation::Cancelling
        | Situation::Stopping
        | Situation::Done => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::samples::{SITUATIONS, downloading, sending};

    #[test]
    fn each_state_has_its_words() {
        let mut views = SITUATIONS.map(|situation| {
            let mut view = sending().in_situation(situation);
            view.is_kept = false;
            view
        });
        views[11] = downloading();
        insta::assert_snapshot!(views.map(|view| line(&view)).join("\n"), @"
        mid.jsonl: 0%, 0/287 MiB stored, connecting
        mid.jsonl: 31%, 89/287 MiB (62 stored), 9.8 MiB/s, 20 s left
        mid.jsonl: 31%, 89/287 MiB (62 stored), nothing has moved for 12 s
        mid.jsonl: 21%, 62/287 MiB stored, offline for 40 s: next attempt in 5 s
        mid.jsonl: 21%, 62/287 MiB stored, offline for 2 min 5 s: trying now
        mid.jsonl: 21%, 62/287 MiB stored, rate limited: continuing in 27 s
        mid.jsonl: 100%, 287/287 MiB, checking the content
        mid.jsonl: 100%, 287/287 MiB, the service is assembling the file (10 s)
        mid.jsonl: 100%, 287/287 MiB, looking for the file in the service's list
        mid.jsonl: 31%, 89/287 MiB (62 stored), cancelling on the service
        mid.jsonl: 31%, 89/287 MiB (62 stored), stopping
        file-abc123: 21%, 62/287 MiB written, 9.8 MiB/s, 20 s left
        mid.jsonl: 100%, 287/287 MiB
        ");
    }

    #[test]
    fn a_line_has_a_word_at_least() {
        let mut view = downloading();
        (view.total, view.there, view.rate, view.time_left) = (None, 0, None, None);
        assert_eq!(line(&view), "file-abc123: receiving");
        view.situation = Situation::Done;
        assert_eq!(line(&view), "file-abc123: done");
    }

    const OFFLINE: Situation = Situation::Offline { lasting: Duration::ZERO, next_attempt: None };

    /// The seconds of a minute in which a line is due, looked at four times a second.
    fn due(situation: impl Fn(f64) -> Situation) -> Vec<f64> {
        let mut cadence = Cadence::new(Duration::ZERO);
        let moments = (0..=260).map(|quarter| f64::from(quarter) / 4.0);
        moments.filter(|at| cadence.is_due(&situation(*at), Duration::from_secs_f64(*at))).collect()
    }

    #[test]
    fn what_moves_is_told_every_half_minute() {
        assert_eq!(due(|_| Situation::Sending), [30.0, 60.0]);
    }

    #[test]
    fn a_state_is_told_when_it_lasts_and_so_is_its_end() {
        let offline = |from: f64, to: f64| {
            move |at| if (from..to).contains(&at) { OFFLINE } else { Situation::Sending }
        };
        assert_eq!(due(offline(3.0, 7.0)), [30.0, 60.0], "too short");
        assert_eq!(due(offline(3.0, 20.0)), [8.0, 21.0, 51.0]);
    }

    #[test]
    fn a_state_that_comes_and_goes_is_no_flood() {
        let flickers = |at: f64| if at.fract() < 0.5 { OFFLINE } else { Situation::Sending };
        assert_eq!(due(flickers), [30.0, 60.0]);
    }

    #[test]
    fn what_has_lasted_is_told_at_once() {
        let stalled = Situation::Stalled { lasting: Duration::from_secs(10) };
        assert_eq!(due(|at| if at < 12.0 { Situation::Sending } else { stalled }), [12.0, 42.0]);
    }

    #[test]
    fn what_a_line_of_its_own_tells_is_not_told_again() {
        let limited = Situation::RateLimited { rest: Duration::from_secs(20) };
        assert_eq!(
            due(|at| if (2.0..22.0).contains(&at) { limited } else { Situation::Sending }),
            [30.0, 60.0]
        );
    }
}
