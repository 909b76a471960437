//! Comparisons of files with the source, and what they prove.

use std::time::Duration;

use partwise_protocol::{machine::RequestId, upload::Comparison};

use super::{Asked, Books, Flight};

impl Books {
    /// A comparison begins.
    pub(crate) fn compares(&mut self, id: RequestId, now: Duration) {
        self.line.leaves(self.requests, now);
        let number = self.requests;
        let flight = Flight { asked: Asked::Content, number, length: 0, sent: 0, left_at: now };
        self.requests += 1;
        self.flights.insert(id, flight);
    }

    /// A comparison ends; false when the machine has given it up before.
    pub(crate) fn comparison_ends(
        &mut self,
        id: RequestId,
        file_id: &str,
        result: Option<&Comparison>,
        now: Duration,
    ) -> bool {
        let flight = self.flights.remove(&id);
        let was_running = flight.is_some();
        match (flight, result) {
            (Some(flight), None | Some(Comparison::Unknown)) => self.line.abandoned(flight.number),
            (Some(_), Some(_)) => self.line.answered(now),
            (None, _) => {}
        }
        match result {
            Some(Comparison::Equal) if was_running => drop(self.equal.insert(file_id.to_owned())),
            Some(Comparison::NotServed) if was_running => drop(self.not_served.insert(file_id.to_owned())),
            _ => {}
        }
        was_running
    }

    /// Whether this file is known to be ours although no answer said so.
    pub(crate) fn is_proven(&self, file_id: &str) -> bool {
        let is_only_equal = self.equal.len() == 1 && self.equal.contains(file_id);
        // Of an upload its time is enough where the content is not served.
        let has_upload_time = self.upload.is_some() && self.not_served.len() == 1;
        is_only_equal || (has_upload_time && self.not_served.contains(file_id))
    }
}
