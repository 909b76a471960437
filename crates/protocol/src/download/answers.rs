//! What answers, bytes and failures mean.

use std::time::Duration;

use http::StatusCode;

use super::{Delivery, DownloadError, DownloadMachine, PendingRange, RemoteContent, attempt};
use crate::{
    error::ResponseError,
    machine::{Now, RequestId},
    operations::{ContentRange, DownloadFile, DownloadHead, OperationId},
    retry::{Verdict, service_state::Excuse},
    transport::{Failure, FailureKind, Repeat},
};

const REPEAT: Repeat = OperationId::DownloadFile.repeat();

/// A failure as it was counted.
#[derive(Clone, Copy)]
struct CountedFailure {
    /// The request that failed.
    id: RequestId,
    /// How many there are in a row.
    failures: u32,
    /// Whether it is none of those that were counted before.
    is_new: bool,
}

impl DownloadMachine {
    /// The head of an answer has come. When its bytes are wanted, this says from which byte of the content on they are to be
    /// written; else the answer is to be dropped.
    pub fn handle_answer(
        &mut self,
        id: RequestId,
        answer: Result<DownloadHead, ResponseError>,
        now: Now,
    ) -> Option<u64> {
        let position = self.pending.iter().position(|pending| pending.id == id)?;
        self.service.answered(now.monotonic);
        match answer {
            Ok(head) => {
                self.is_understood = true;
                self.service.understood();
                match head.range {
                    Some(range) if self.delivery != Delivery::Whole => {
                        let from = self.accept_range(position, range, &head)?;
                        self.line.answered(&mut self.pending[position].leg, now.monotonic);
                        Some(from)
                    }
                    _ => self.accept_whole(position, head),
                }
            }
            Err(error) => {
                self.pending.swap_remove(position);
                self.refused(id, error, now);
                None
            }
        }
    }

    pub(super) fn written(&mut self, id: RequestId, bytes: u64) {
        let Some(pending) = self.pending.iter_mut().find(|pending| pending.id == id) else { return };
        let end = pending.rest.start.saturating_add(bytes);
        self.written.insert(pending.rest.start..end);
        pending.rest.start = end;
        let written = self.written.len();
        if written > self.furthest {
            self.furthest = written;
            self.failures = 0;
            self.excuse = Excuse::default();
            self.latest_failure = None;
            self.service.received();
        }
    }

    /// An answer has come to its end, and all its bytes were reported.
    pub fn handle_end(&mut self, id: RequestId, now: Now) {
        let Some(pending) = self.take(id) else { return };
        let is_short = match self.delivery {
            // A service may send less than it was asked for, but not less than it said.
            Delivery::Unknown | Delivery::Ranges => !pending.rest.is_empty(),
            Delivery::Whole => match &self.content {
                Some(content) => self.written.len() != content.length,
                None => {
                    self.content = Some(RemoteContent::new(self.written.len(), &DownloadHead::default()));
                    false
                }
            },
        };
        if is_short {
            self.failed(&pending, Failure::new(FailureKind::Interrupted), now);
        } else if self.delivery == Delivery::Ranges {
            self.line.came(pending.leg, pending.rest.start - pending.first, now.monotonic);
        }
    }

    pub(super) fn take(&mut self, id: RequestId) -> Option<PendingRange> {
        let position = self.pending.iter().position(|pending| pending.id == id)?;
        Some(self.pending.swap_remove(position))
    }

    fn accept_range(&mut self, position: usize, range: ContentRange, head: &DownloadHead) -> Option<u64> {
        let asked = &self.pending[position].rest;
        let is_asked_for = range.first == asked.start && range.last < asked.end;
        let is_whole_length = head.length.is_none_or(|length| length == range.len());
        let (Some(total), true, true) = (range.total, is_asked_for, is_whole_length) else {
            self.begin_whole();
            return None;
        };
        if self.is_foreign(Some(total), head) || self.is_another(Some(total), head) {
            return None;
        }
        self.content.get_or_insert_with(|| RemoteContent::new(total, head)).learn(head);
        self.delivery = Delivery::Ranges;
        self.look.begin_range(head, range.first);
        let rest = &mut self.pending[position].rest;
        rest.end = range.last + 1;
        Some(rest.start)
    }

    /// Everything comes, whatever was asked for.
    fn accept_whole(&mut self, position: usize, mut head: DownloadHead) -> Option<u64> {
        // It was asked for everything, and a part that does not have everything is of no use.
        if let Err(error) = DownloadFile::new(&self.plan.file_id).check(&head) {
            self.finish(Err(error.into()));
            return None;
        }
        head.length = head.length.or_else(|| head.range.map(ContentRange::len));
        if self.delivery != Delivery::Whole && self.is_foreign(head.length, &head) {
            return None;
        }
        // What comes whole is one content in itself, but what came before was of the one that is known.
        if self.delivery != Delivery::Whole && self.is_another(head.length, &head) {
            return None;
        }
        if self.delivery != Delivery::Whole && self.is_checkpoint_in_force() {
            // Nothing may be written over while a checkpoint says that it is there: everything is asked for after the next
            // one.
            self.begin_whole();
            return None;
        }
        let content = head.length.map(|length| RemoteContent::new(length, &head));
        self.look.begin_whole(&head);
        let mut pending = self.pending.swap_remove(position);
        self.begin_whole();
        pending.rest = 0..content.as_ref().map_or(u64::MAX, |content| content.length);
        self.content = content;
        self.pending.push(pending);
        Some(0)
    }

    /// Ends the download, to be resumed, when what comes is not the file at all, of which a part is there: a page, or a length
    /// that the file's object contradicts.
    fn is_foreign(&mut self, length: Option<u64>, head: &DownloadHead) -> bool {
        let Some(content) = &self.content else { return false };
        let wrong = self.look.foreign(content.length, length, head);
        let is_foreign = wrong.is_some();
        if let Some(wrong) = wrong {
            self.finish(Err(DownloadError::WrongContent(wrong)));
        }
        is_foreign
    }

    /// Ends the download when the content is not the one that is known.
    fn is_another(&mut self, length: Option<u64>, head: &DownloadHead) -> bool {
        let difference = self.content.as_ref().and_then(|known| known.difference(length, head));
        let is_another = difference.is_some();
        if let Some(difference) = difference {
            self.finish(Err(DownloadError::Changed { difference }));
        }
        is_another
    }

    /// The service serves no ranges that could be used, so it is asked for everything.
    fn begin_whole(&mut self) {
        self.abandon_all();
        self.delivery = Delivery::Whole;
        self.written = super::Coverage::NOTHING;
    }

    fn refused(&mut self, id: RequestId, error: ResponseError, now: Now) {
        match error {
            ResponseError::Rejected(refusal) if refusal.status == StatusCode::RANGE_NOT_SATISFIABLE => {
                match &self.content {
                    // Of an empty file nothing can be asked for but everything.
                    None if self.delivery == Delivery::Unknown => self.begin_whole(),
                    Some(content) if self.delivery != Delivery::Whole => {
                        let difference = format!("it had {} bytes and has less", content.length);
                        self.finish(Err(DownloadError::Changed { difference }));
                    }
                    _ => self.finish(Err(DownloadError::Rejected(refusal))),
                }
            }
            ResponseError::Rejected(refusal) => {
                if refusal.is_of_the_api() {
                    self.is_understood = true;
                    self.service.understood();
                }
                let counted = self.count_failure(id);
                let random = self.random.next();
                let verdict =
                    self.plan.retry_policy().on_rejection(REPEAT, counted.failures, &refusal, now, random);
                self.follow(counted, verdict, DownloadError::Rejected(refusal), now.monotonic);
            }
            ResponseError::Garbled(garbled)
                if garbled.status == StatusCode::PARTIAL_CONTENT && self.delivery != Delivery::Whole =>
            {
                self.begin_whole();
            }
            ResponseError::Garbled(garbled) => self.finish(Err(DownloadError::Garbled(garbled))),
        }
    }

    pub(super) fn failed(&mut self, pending: &PendingRange, failure: Failure, now: Now) {
        // The service has answered with a redirect.
        self.is_understood |= failure.redirected_to.is_some();
        if let Some(wait) = self.away(pending.id, pending.leg.since, &failure, now) {
            self.pauses.push(now.monotonic.saturating_add(wait));
            self.tell_retry(
                attempt(pending.id, OperationId::DownloadFile),
                DownloadError::Failed(failure),
                wait,
            );
            if self.delivery == Delivery::Whole {
                self.begin_whole();
            }
            return;
        }
        let counted = self.count_failure(pending.id);
        let verdict =
            self.plan.retry_policy().on_failure(REPEAT, counted.failures, &failure, self.random.next());
        self.follow(counted, verdict, DownloadError::Failed(failure), now.monotonic);
    }

    /// Counts the failure of this request. What was under way together fails together when the network drops, and that is
    /// one failure.
    fn count_failure(&mut self, id: RequestId) -> CountedFailure {
        let is_new = id >= self.counted_before;
        if is_new {
            self.failures += 1;
            self.counted_before = RequestId(self.next_id);
        }
        CountedFailure { id, failures: self.failures.max(1), is_new }
    }

    fn follow(&mut self, counted: CountedFailure, verdict: Verdict, error: DownloadError, now: Duration) {
        let is_nobody_there =
            !self.is_understood && self.failures > self.plan.retry_policy().max_failures_before_contact;
        match verdict {
            _ if is_nobody_there => self.finish(Err(error)),
            Verdict::GiveUp => self.finish(Err(error)),
            Verdict::Retry { wait, hold_all } => {
                let mut until = now.saturating_add(wait);
                if counted.is_new {
                    self.again = until;
                } else if !hold_all {
                    // What failed together is asked for together again, or each would fail on its own.
                    until = self.again;
                }
                self.pauses.push(until);
                let failed = attempt(counted.id, OperationId::DownloadFile);
                self.tell_retry(failed, error, until.saturating_sub(now));
                if hold_all {
                    self.service.hold(until);
                }
                if self.delivery == Delivery::Whole {
                    self.begin_whole();
                }
            }
        }
    }
}
