//! Takes in what the driver did: hashes and stamps of the source, and requests whose transport counts nothing.

use bytes::Bytes;
use http::Response;

use super::{Comparison, Now, RequestId, SourceStamp, UploadError, UploadMachine, state::Hash};
use crate::{
    machine::Machine as _,
    transport::{Failure, SourceError, SourceRange},
};

impl UploadMachine {
    /// A request ended with an answer or a failure: for transports that do not count how much of a body has left, so that all of it
    /// may have arrived. Those that count call [`handle_response`](Self::handle_response).
    pub fn handle_sent(&mut self, id: RequestId, sent: Result<Response<Bytes>, Failure>, now: Now) {
        match sent {
            Ok(response) => self.handle_response(id, response, None, now),
            Err(failure) => self.handle_failure(id, failure, now),
        }
    }

    /// The source was hashed as [`UploadTask::Hash`](super::UploadTask::Hash) asked: its MD5, or why it could not be read.
    pub fn handle_hashed(&mut self, id: RequestId, digest: Result<[u8; 16], SourceError>) {
        if self.chores.hashing.take_if(|hashing| *hashing == id).is_none() {
            return;
        }
        match (self.hash, digest) {
            (Hash::Running, Ok(digest)) => self.hash = Hash::Known(digest),
            (Hash::Running, Err(error)) => self.end_gracefully(UploadError::of_source(error)),
            _ => {}
        }
    }

    /// The source was stamped as [`UploadTask::Stamp`](super::UploadTask::Stamp) asked.
    pub fn handle_stamped(&mut self, id: RequestId, stamp: Result<SourceStamp, SourceError>) {
        if self.chores.stamping.take_if(|stamping| *stamping == id).is_some() {
            self.stamped(stamp);
        }
    }

    /// Says that the driver does not do this task: it compares nothing, waits for no source, or takes no hashes or stamps, without
    /// which an upload fails that needs them.
    pub fn handle_unsupported(&mut self, id: RequestId, now: Now) {
        if self.chores.hashing == Some(id) {
            return self.handle_hashed(id, Err(SourceError::new("this driver takes no hashes")));
        }
        if self.chores.stamping == Some(id) {
            return self.handle_stamped(id, Err(SourceError::new("this driver takes no stamps")));
        }
        if self.is_preparing(id) {
            return self.handle_prepared(id, Ok(()));
        }
        self.handle_compared(id, Ok(Comparison::Unknown), now);
    }

    /// The whole source, as [`UploadTask::Hash`](super::UploadTask::Hash) names it.
    pub(super) fn whole(&self) -> SourceRange {
        SourceRange::new(0, self.source.length)
    }
}
