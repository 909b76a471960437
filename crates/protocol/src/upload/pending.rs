//! The requests that are in flight.

use std::{collections::BTreeMap, time::Duration};

use super::{
    line::{Departure, Leg, PartInFlight},
    parts::{Part, Tries},
};
use crate::machine::{Attempt, RequestId};

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Create,
    Part {
        part: Part,
        tries: Tries,
        leg: Leg,
    },
    /// `complete`, or the single `POST /files`.
    Commit,
    List,
    /// The object of a candidate.
    Object,
    /// A comparison of a candidate's content with the source.
    Content,
    Cancel,
}

/// One request in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingRequest {
    pub(super) id: RequestId,
    pub(super) asked: Asked,
    pub(super) attempt: Attempt,
    /// The length of its body.
    pub(super) length: u64,
    /// Body bytes that have left.
    pub(super) sent: u64,
    /// Some of them have moved since that was last looked at.
    has_moved: bool,
    /// When it was last seen that some had.
    moved_at: Duration,
    /// When it was sent.
    pub(super) begun_at: Duration,
    /// When it was last seen that some had not left.
    leaving_at: Duration,
    /// When all of them were seen to have left.
    pub(super) left_at: Option<Duration>,
}

impl PendingRequest {
    /// Whether all of its body was seen to leave.
    pub(super) fn has_left(&self) -> bool {
        self.sent >= self.length
    }

    /// The departure of the last of its body, as far as it was seen.
    pub(super) fn departure(&self) -> Departure {
        Departure { after: self.leaving_at, by: self.left_at }
    }
}

/// All requests in flight, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct PendingRequests {
    next: u64,
    requests: BTreeMap<RequestId, PendingRequest>,
}

impl PendingRequests {
    pub(super) fn start(
        &mut self,
        asked: Asked,
        attempt: Attempt,
        length: u64,
        begun_at: Duration,
    ) -> RequestId {
        let id = self.name();
        self.requests.insert(
            id,
            PendingRequest {
                id,
                asked,
                attempt,
                length,
                sent: 0,
                has_moved: false,
                moved_at: begun_at,
                begun_at,
                leaving_at: begun_at,
                left_at: None,
            },
        );
        id
    }

    /// A name that was never given.
    pub(super) fn name(&mut self) -> RequestId {
        let id = RequestId(self.next);
        self.next += 1;
        id
    }

    /// Ends a request; `None` when the name is stale.
    pub(super) fn end(&mut self, id: RequestId) -> Option<PendingRequest> {
        self.requests.remove(&id)
    }

    /// Ends the first request, where there is one at a time.
    pub(super) fn end_only(&mut self) -> Option<PendingRequest> {
        self.requests.pop_first().map(|(_, pending)| pending)
    }

    /// Ends all requests.
    pub(super) fn end_all(&mut self) -> Vec<RequestId> {
        std::mem::take(&mut self.requests).into_keys().collect()
    }

    /// More bytes of a request have left. Returns how many have in all.
    pub(super) fn sent(&mut self, id: RequestId, bytes: u64) -> u64 {
        let Some(pending) = self.requests.get_mut(&id) else { return 0 };
        pending.has_moved = true;
        pending.sent = pending.sent.saturating_add(bytes);
        pending.sent
    }

    /// Notes which requests have moved by now.
    pub(super) fn note_moved(&mut self, now: Duration) {
        for pending in self.requests.values_mut().filter(|pending| pending.has_moved) {
            (pending.has_moved, pending.moved_at) = (false, now);
        }
    }

    /// Notes which requests have left by now, and which have not.
    pub(super) fn note_left(&mut self, now: Duration) {
        for pending in self.requests.values_mut() {
            match pending.has_left() {
                true => _ = pending.left_at.get_or_insert(now),
                false => pending.leaving_at = now,
            }
        }
    }

    /// Whether this is the name of a request that is or was in flight.
    pub(super) fn was_started(&self, id: RequestId) -> bool {
        id < self.next_id()
    }

    /// The name that the next request will get.
    pub(super) fn next_id(&self) -> RequestId {
        RequestId(self.next)
    }

    pub(super) fn is_pending(&self, asked: Asked) -> bool {
        self.requests.values().any(|pending| pending.asked == asked)
    }

    /// Whether any that was in flight at this moment has moved since.
    pub(super) fn moves_since(&self, moment: Duration) -> bool {
        self.requests.values().any(|pending| pending.begun_at < moment && pending.moved_at > moment)
    }

    pub(super) fn count(&self) -> usize {
        self.requests.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The request that makes the file.
    pub(super) fn commit(&self) -> Option<&PendingRequest> {
        self.requests.values().find(|pending| pending.asked == Asked::Commit)
    }

    /// The parts in flight.
    pub(super) fn parts(&self) -> impl Iterator<Item = PartInFlight> {
        self.requests.values().filter_map(|pending| match pending.asked {
            Asked::Part { part, leg, .. } => Some(PartInFlight { part, leg, sent: pending.sent }),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::OperationId;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_last_of_a_body_left_between_two_looks() {
        let attempt = Attempt::new(OperationId::AddUploadPart, 1);
        let mut requests = PendingRequests::default();
        let id = requests.start(Asked::Create, attempt, 10, SECOND);
        let departure = |requests: &PendingRequests| requests.requests[&id].departure();
        assert_eq!(departure(&requests), Departure { after: SECOND, by: None });
        requests.sent(id, 9);
        requests.note_left(SECOND * 2);
        assert_eq!(departure(&requests), Departure { after: SECOND * 2, by: None });
        // Until somebody looks, nobody knows.
        requests.sent(id, 1);
        assert_eq!(departure(&requests), Departure { after: SECOND * 2, by: None });
        requests.note_left(SECOND * 3);
        requests.note_left(SECOND * 4);
        assert_eq!(departure(&requests), Departure { after: SECOND * 2, by: Some(SECOND * 3) });
    }
}
