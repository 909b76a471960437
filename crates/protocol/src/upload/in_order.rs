//! Parts of a source that cannot go back: each is ready in whole before its request leaves, so that no connection, and no other
//! transfer that waits for the outcome of a request, waits for the source.

use super::{
    RequestId, UploadAction, UploadError, UploadMachine, UploadTask,
    parts::{Part, Tries},
    state::UploadRoute,
};
use crate::{machine::Action, transport::SourceError};

/// The part that is sent next, where parts go in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct NextPart {
    /// The task that waits for the source.
    preparing: RequestId,
    pub(super) is_ready: bool,
    pub(super) part: Part,
    pub(super) tries: Tries,
}

impl UploadMachine {
    /// Waits for the source of this part.
    pub(super) fn prepare(&mut self, part: Part, tries: Tries) -> UploadAction {
        let id = self.pending.name();
        self.next_part = Some(NextPart { preparing: id, is_ready: false, part, tries });
        Action::Start { id, task: UploadTask::Prepare(part.range()) }
    }

    /// The part whose source is ready, which is to be sent now.
    pub(super) fn take_ready_part(&mut self) -> Option<NextPart> {
        self.next_part.take_if(|next| next.is_ready)
    }

    /// The source was waited for as [`UploadTask::Prepare`] asked: the range can be read, or why it cannot.
    ///
    /// A source that cannot be read ends the upload.
    pub fn handle_prepared(&mut self, id: RequestId, result: Result<(), SourceError>) {
        let Some(next) = self.next_part.as_mut().filter(|next| next.preparing == id && !next.is_ready) else {
            return;
        };
        match result {
            Ok(()) => next.is_ready = true,
            Err(error) => {
                self.give_back_next_part();
                self.end_gracefully(UploadError::of_source(error));
            }
        }
    }

    pub(super) fn is_preparing(&self, id: RequestId) -> bool {
        self.next_part.is_some_and(|next| next.preparing == id)
    }

    /// Sends the next part later, or never; its source is not waited for any more.
    pub(super) fn give_back_next_part(&mut self) {
        let Some(NextPart { preparing, is_ready, part, mut tries }) = self.next_part.take() else { return };
        if !is_ready {
            self.abandoned.push_back(preparing);
        }
        tries.sent -= 1;
        if let UploadRoute::Parts { parts, .. } = &mut self.route {
            parts.give_back(part, tries, Default::default());
        }
    }
}
