//! The comparison of what came with the file's object.

use std::time::Duration;

use partwise_models::File;

use super::{
    ContentCheck, DownloadAction, DownloadError, DownloadMachine, DownloadTask, DownloadWarning,
    WrongContent, attempt,
};
use crate::{
    error::ResponseError,
    machine::{Action, Now, RequestId},
    operations::{DownloadHead, OperationId, RetrieveFile},
    retry::Verdict,
    transport::{Failure, Repeat},
};

const REPEAT: Repeat = OperationId::RetrieveFile.repeat();

/// The content that comes, and the object that it is compared with.
#[derive(Debug, Default)]
pub(super) struct Look {
    check: Option<ContentCheck>,
    object: Object,
    /// When the request for the object left.
    left_at: Duration,
    /// When the last byte of the content came.
    completed: Option<Duration>,
    /// In a row.
    failures: u32,
    /// When the object is retrieved again after a failure.
    not_before: Duration,
}

#[derive(Debug, Default)]
enum Object {
    #[default]
    NotAsked,
    Asked(RequestId),
    /// `None` when the service does not give it.
    Known(Option<Box<File>>),
    /// It cannot be retrieved.
    Failed(DownloadError),
}

impl Look {
    /// All of the content comes, behind this head.
    pub(super) fn begin_whole(&mut self, head: &DownloadHead) {
        self.check = Some(ContentCheck::new(head));
    }

    /// A range of the content comes that begins at `first`.
    pub(super) fn begin_range(&mut self, head: &DownloadHead, first: u64) {
        if first == 0 || self.check.is_none() {
            self.check = Some(ContentCheck::new(head));
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.object, Object::Asked(_))
    }

    pub(super) fn is_asked(&self, id: RequestId) -> bool {
        matches!(self.object, Object::Asked(asked) if asked == id)
    }

    /// The request that is under way, if one is: it is not wanted any more.
    pub(super) fn abandon(&mut self) -> Option<RequestId> {
        let Object::Asked(id) = self.object else { return None };
        self.object = Object::NotAsked;
        Some(id)
    }

    /// Whether the content cannot be told to be the file without the object.
    fn is_required(&self) -> bool {
        self.check.as_ref().is_some_and(ContentCheck::requires_object)
    }

    /// Whether the object may still come.
    fn is_open(&self) -> bool {
        matches!(self.object, Object::NotAsked | Object::Asked(_))
    }

    /// When an object that is not required is not waited for any more.
    fn limit(&self) -> Option<Duration> {
        let completed = self.completed.filter(|_| self.is_open() && !self.is_required())?;
        Some(completed.saturating_add(ContentCheck::PATIENCE))
    }

    /// What came behind this head instead of the file, of which `known` bytes are the length: a page, unless the file began
    /// like one or is named like one, or another length than the one that the file's object has too.
    pub(super) fn foreign(
        &self,
        known: u64,
        length: Option<u64>,
        head: &DownloadHead,
    ) -> Option<WrongContent> {
        if length == Some(known) {
            return None;
        }
        let file = match &self.object {
            Object::Known(file) => file.as_deref(),
            _ => None,
        };
        let check = ContentCheck::new(head);
        let was_page = self.check.as_ref().is_some_and(ContentCheck::is_page);
        let is_page = check.is_page() && !was_page && !check.is_named_like_page(file);
        let is_contradicted = length.is_some() && file.and_then(|file| file.bytes) == Some(known);
        (is_page || is_contradicted).then(|| WrongContent {
            instead: check.page(),
            received: length.unwrap_or_default(),
            expected: Some(known),
            has_length: length.is_some(),
            is_after_content: true,
        })
    }

    /// The judgement of a content of this length, once it can be made.
    fn judge(&self, length: u64) -> Option<Result<Option<DownloadWarning>, WrongContent>> {
        let file = match &self.object {
            Object::NotAsked | Object::Asked(_) => return None,
            Object::Failed(_) if self.is_required() => return None,
            Object::Failed(_) => None,
            Object::Known(file) => file.as_deref(),
        };
        Some(match &self.check {
            Some(check) => check.judge(length, file),
            // All of it came in earlier runs.
            None => ContentCheck::of_length(length).judge(length, file),
        })
    }
}

impl DownloadMachine {
    /// The first bytes of the content: those of an answer that is written from byte 0 on, the [few](ContentCheck::BEGINNING) that
    /// are looked at. To be reported before the answer's end; they show a page or an error object that came instead of the file.
    pub fn handle_beginning(&mut self, id: RequestId, bytes: &[u8]) {
        let is_under_way = self.pending.iter().any(|pending| pending.id == id);
        if let Some(check) = self.look.check.as_mut().filter(|_| is_under_way) {
            check.read(bytes);
        }
    }

    /// What came of a [`DownloadTask::Retrieve`].
    pub fn handle_retrieved(&mut self, id: RequestId, answer: Result<File, ResponseError>, now: Now) {
        if !self.look.is_asked(id) {
            return;
        }
        self.service.answered(now.monotonic);
        self.look.object = Object::NotAsked;
        let refusal = match answer {
            Ok(file) => {
                self.look.object = Object::Known(Some(Box::new(file)));
                return;
            }
            Err(ResponseError::Rejected(refusal)) => refusal,
            Err(error) => {
                self.look.object = Object::Failed(error.into());
                return;
            }
        };
        self.look.failures += 1;
        match self.plan.retry_policy().on_rejection(
            REPEAT,
            self.look.failures,
            &refusal,
            now,
            self.random.next(),
        ) {
            Verdict::Retry { wait, .. } => self.look_again(id, DownloadError::Rejected(refusal), wait, now),
            // A service that has no such object says nothing of the file; one that is overloaded may.
            Verdict::GiveUp if refusal.is_transient() => {
                self.look.object = Object::Failed(DownloadError::Rejected(refusal));
            }
            Verdict::GiveUp => self.look.object = Object::Known(None),
        }
    }

    pub(super) fn look_failed(&mut self, id: RequestId, failure: Failure, now: Now) {
        self.look.object = Object::NotAsked;
        if let Some(wait) = self.away(id, self.look.left_at, &failure, now) {
            return self.look_again(id, DownloadError::Failed(failure), wait, now);
        }
        self.look.failures += 1;
        match self.plan.retry_policy().on_failure(REPEAT, self.look.failures, &failure, self.random.next()) {
            Verdict::Retry { wait, .. } => self.look_again(id, DownloadError::Failed(failure), wait, now),
            Verdict::GiveUp => {
                self.latest_failure = Some(Box::new(DownloadError::Failed(failure.clone())));
                self.look.object = Object::Failed(DownloadError::Failed(failure));
            }
        }
    }

    fn look_again(&mut self, id: RequestId, error: DownloadError, wait: Duration, now: Now) {
        self.tell_retry(attempt(id, OperationId::RetrieveFile), error, wait);
        self.look.not_before = now.monotonic.saturating_add(wait);
    }

    /// Asks for the object, behind the first request for the content.
    pub(super) fn next_look(&mut self, now: Duration) -> Option<DownloadAction> {
        let is_due = now >= self.look.not_before && self.gate(now).is_none();
        let has_begun = self.next_id > 0 || self.is_complete();
        if !has_begun || !is_due || !matches!(self.look.object, Object::NotAsked) {
            return None;
        }
        let (id, attempt) = self.start(OperationId::RetrieveFile);
        self.look.object = Object::Asked(id);
        self.look.left_at = now;
        self.service.leaves(id, now);
        let operation = RetrieveFile::new(&self.plan.file_id);
        Some(Action::Start { id, task: DownloadTask::Retrieve { attempt, operation } })
    }

    /// When the object is asked for again, or is not waited for any more.
    pub(super) fn look_deadline(&self, now: Duration) -> Option<Duration> {
        let is_waiting = matches!(self.look.object, Object::NotAsked);
        let again = Some(self.look.not_before).filter(|moment| is_waiting && *moment > now);
        again.into_iter().chain(self.look.limit()).min()
    }

    /// Whether the download waits for the object, when everything came.
    pub(super) fn wants_look(&self) -> bool {
        self.look.is_open()
    }

    /// Ends the wait for an object that is not required, and the download when one that is required cannot be retrieved.
    pub(super) fn limit_look(&mut self, now: Duration) {
        if !self.is_complete() {
            self.look.completed = None;
            return;
        }
        self.look.completed.get_or_insert(now);
        if self.look.limit().is_some_and(|limit| now >= limit) {
            self.abandoned.extend(self.look.abandon());
            self.look.object = Object::Known(None);
        }
        if self.look.is_required() && matches!(self.look.object, Object::Failed(_)) {
            if let Object::Failed(error) = std::mem::replace(&mut self.look.object, Object::Known(None)) {
                self.finish(Err(error));
            }
        }
    }

    /// What came instead of the file, once everything came and that is known.
    pub(super) fn wrong_content(&self) -> Option<WrongContent> {
        self.judgement()?.err()
    }

    pub(super) fn warning(&self) -> Option<DownloadWarning> {
        self.judgement()?.ok()?
    }

    fn judgement(&self) -> Option<Result<Option<DownloadWarning>, WrongContent>> {
        let content = self.content.as_ref().filter(|_| self.is_complete())?;
        self.look.judge(content.length)
    }
}
