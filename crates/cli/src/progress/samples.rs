//! Transfers in the midst, for tests.

use std::time::Duration;

use super::view::{Direction, Situation, View};

const MIB: u64 = 1 << 20;

/// One of each kind.
pub(super) const SITUATIONS: [Situation; 13] = [
    Situation::Connecting,
    Situation::Sending,
    Situation::Stalled { lasting: Duration::from_secs(12) },
    Situation::Offline { lasting: Duration::from_secs(40), next_attempt: Some(Duration::from_millis(4300)) },
    Situation::Offline { lasting: Duration::from_secs(125), next_attempt: None },
    Situation::RateLimited { rest: Duration::from_millis(26_100) },
    Situation::Checking,
    Situation::Assembling { lasting: Duration::from_secs(10) },
    Situation::Reconciling,
    Situation::Cancelling,
    Situation::Stopping,
    Situation::Receiving,
    Situation::Done,
];

/// An upload in parts.
pub(super) fn sending() -> View<'static> {
    View {
        name: "mid.jsonl",
        direction: Direction::Upload,
        total: Some(287 * MIB),
        there: 62 * MIB,
        in_flight: 27 * MIB,
        is_one_request: false,
        rate: Some(985 * MIB / 100),
        time_left: Some(Duration::from_millis(19_500)),
        situation: Situation::Sending,
        is_kept: true,
    }
}

/// A download to a file.
pub(super) fn downloading() -> View<'static> {
    View {
        name: "file-abc123",
        direction: Direction::Download,
        in_flight: 0,
        situation: Situation::Receiving,
        is_kept: false,
        ..sending()
    }
}

impl<'v> View<'v> {
    /// The same in another situation, with the numbers that it has there.
    pub(super) fn in_situation(mut self, situation: Situation) -> View<'v> {
        self.situation = situation;
        let total = self.total.unwrap_or(self.there);
        match situation {
            Situation::Connecting => (self.there, self.in_flight) = (0, 0),
            Situation::RateLimited { .. } | Situation::Offline { .. } => self.in_flight = 0,
            Situation::Assembling { .. } | Situation::Reconciling | Situation::Checking | Situation::Done => {
                (self.there, self.in_flight) = (total, 0);
            }
            _ => {}
        }
        if !situation.moves() {
            (self.rate, self.time_left) = (None, None);
        }
        self
    }
}
