//! What comes back: answers and failures, and what they lead to.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use partwise_models::{File, FileState, UnixSeconds, Upload, UploadStatus};

use super::{
    Comparison, Proof, Retry, UploadError, UploadMachine, Warning,
    clock::{CLOCK_SLACK, ClockOffset, Expiry, ServiceClock},
    connections::Connections,
    failed_attempt::FailedAttempt,
    parts::{Part, Tries},
    pending::{Asked, PendingRequest},
    reconcile::is_missing,
    registry::Identity,
    state::{OpenUpload, Stage, UploadRoute},
};
use crate::{
    Operation,
    machine::Now,
    operations::{
        Account, AddUploadPart, CancelUpload, CompleteUpload, CreateFile, CreateUpload, ListFiles,
        RetrieveFile,
    },
    retry::{Verdict, date_of},
    transport::{Failure, FailureKind, Repeat, may_have_arrived},
};

/// A service answered with success before it can have had what it answers for.
#[derive(Debug, thiserror::Error)]
#[error("the service answered before it had the whole request ({left} of {length} bytes)")]
struct TooEarly {
    left: u64,
    length: u64,
}

impl UploadMachine {
    pub(super) fn answered(
        &mut self,
        pending: PendingRequest,
        response: Response<Bytes>,
        left: Option<u64>,
        now: Now,
    ) {
        self.service.answered(now.monotonic);
        self.watch_sleep();
        if response.status().is_success() && !may_have_arrived(left, pending.length) {
            return self.answered_early(pending, response, left, now);
        }
        // What was said before this machine slept is not the time now.
        let is_late = self.service.has_slept_since(pending.begun_at);
        let date = date_of(response.headers()).filter(|_| !is_late);
        let clock = date.map(|date| ClockOffset::between(date, now));
        if let (Some(date), UploadRoute::Parts { upload: Some(upload), .. }) = (date, &mut self.route) {
            upload.clock.refresh(date, now);
        }
        let outcome = match pending.asked {
            Asked::Create => {
                let account = Account::of_headers(response.headers());
                CreateUpload::decode_response(response).map(|upload| self.created(upload, account, date, now))
            }
            Asked::Part { part, leg, .. } => AddUploadPart::decode_response(response)
                .map(|answer| self.taken(part, leg.answered(pending.departure(), now.monotonic), &answer)),
            Asked::Commit => match self.route {
                UploadRoute::Parts { .. } => {
                    CompleteUpload::decode_response(response).map(|upload| self.completed(upload))
                }
                UploadRoute::Single { .. } => {
                    CreateFile::decode_response(response).map(|file| self.made(file, Proof::Answer))
                }
            },
            Asked::List => ListFiles::decode_response(response)
                .map(|list| self.listed(pending.attempt, list, clock, now)),
            Asked::Object => match RetrieveFile::decode_response(response) {
                Err(error) if !is_missing(&error) => Err(error),
                object => {
                    self.retrieved(pending.attempt, object.ok(), now);
                    Ok(())
                }
            },
            Asked::Cancel => CancelUpload::decode_response(response).map(|upload| self.cancelled(&upload)),
            // The driver has to report a comparison; an answer says nothing of the content.
            Asked::Content => {
                self.compared(pending.attempt, &Comparison::Unknown, now);
                Ok(())
            }
        };
        match outcome {
            Ok(()) => {
                self.understood = true;
                self.service.understood();
                self.latest_failure = None;
            }
            Err(error) => self.attempt_failed(pending, error.into(), left, now),
        }
    }

    /// A success that came before the whole body had left is none: the service cannot have what it answers for.
    fn answered_early(
        &mut self,
        pending: PendingRequest,
        response: Response<Bytes>,
        left: Option<u64>,
        now: Now,
    ) {
        let left = left.unwrap_or_default();
        if let (Asked::Commit, UploadRoute::Single { .. }) = (pending.asked, &self.route) {
            if let Ok(file) = CreateFile::decode_response(response) {
                self.registration.answered_with(&file.id);
                let file = Box::new(file);
                return self.finish(Err(UploadError::AnsweredEarly { file, left, length: pending.length }));
            }
        }
        let failure =
            Failure::with_cause(FailureKind::Interrupted, TooEarly { left, length: pending.length });
        self.failed(pending, failure.with_left(left), now);
    }

    pub(super) fn failed(&mut self, pending: PendingRequest, failure: Failure, now: Now) {
        let left = failure.left;
        let failed = self.blamed(&pending, failure, now);
        self.attempt_failed(pending, failed, left, now);
    }

    fn created(&mut self, upload: Upload, account: Account, date: Option<UnixSeconds>, now: Now) {
        let clock = ServiceClock::shown(date.or(upload.created_at), now);
        let expires_at = match Expiry::of(&upload) {
            Expiry::At(moment) => Some(moment),
            Expiry::Never => None,
            Expiry::Nonsense => {
                self.warning = Some(Warning::ExpiryIgnored);
                None
            }
        };
        let created_at = upload.created_at.unwrap_or_else(|| {
            // A clock that is known to the second may be ahead of the moment when the upload was opened.
            UnixSeconds(clock.time(now).0.saturating_sub(CLOCK_SLACK))
        });
        self.registration.identify(Identity::Upload(upload.id.clone()));
        self.registration.begun(created_at);
        if let UploadRoute::Parts { upload: open, .. } = &mut self.route {
            *open = Some(Box::new(OpenUpload { id: upload.id, created_at, expires_at, clock, account }));
        }
        self.saver.change();
        self.enter(Stage::Send);
    }

    fn completed(&mut self, upload: Upload) {
        let is_completed =
            matches!(upload.status, None | Some(UploadStatus::Completed | UploadStatus::Other(_)));
        // Azure's documents show a file in answers of every status.
        match upload.file.filter(|_| is_completed) {
            Some(file) => self.made(file, Proof::Answer),
            // A success, but the answer does not say with which file.
            None => {
                self.ambiguous = true;
                self.reconcile();
            }
        }
    }

    /// The service has made a file; it counts only when it is what was sent.
    pub(super) fn made(&mut self, file: File, proof: Proof) {
        self.registration.answered_with(&file.id);
        let sent = self.source.length;
        if file.status == Some(FileState::Error) {
            return self.finish(Err(UploadError::ContentRejected { file: Box::new(file) }));
        }
        if file.bytes.is_some_and(|bytes| bytes != sent) {
            return self.finish(Err(UploadError::WrongSize { file: Box::new(file), sent }));
        }
        if proof != Proof::Answer {
            // It may be the file of another attempt than the last one.
            self.committed = None;
        }
        self.proof = Some(proof);
        match self.route {
            UploadRoute::Parts { .. } if self.has_to_be_proven(proof) => {
                self.committed = None;
                self.enter(Stage::Prove { file: Box::new(file), until: None });
            }
            UploadRoute::Parts { .. } => self.finish(Ok(file)),
            UploadRoute::Single { .. } => {
                self.statistics.bytes_acknowledged = sent;
                self.enter(Stage::Verify { file: Box::new(file), asked: false });
            }
        }
    }

    fn cancelled(&mut self, upload: &Upload) {
        let Stage::Cancel { file_possible, .. } = self.stage else { return };
        let is_cancelled = upload.status == Some(UploadStatus::Cancelled);
        let file_possible = file_possible && !is_cancelled;
        self.ambiguous = file_possible;
        self.finish(Err(UploadError::Cancelled { confirmed: true, file_possible }));
    }

    /// Handles a failed attempt: retry, fall back, or finish.
    pub(super) fn attempt_failed(
        &mut self,
        pending: PendingRequest,
        failed: FailedAttempt,
        left: Option<u64>,
        now: Now,
    ) {
        if failed.is_of_the_api() {
            self.understood = true;
            self.service.understood();
        }
        match pending.asked {
            Asked::Create => self.create_failed(pending, failed, now),
            Asked::Part { part, tries, .. } => self.part_failed(pending, part, tries, failed, now),
            Asked::Commit => {
                self.commit_failed(pending, failed, left, now);
            }
            Asked::List | Asked::Object => self.search_failed(pending, failed, now),
            Asked::Content => {
                self.latest_failure = Some(Box::new(failed.into_error(pending.attempt.operation)));
                self.compared(pending.attempt, &Comparison::Unknown, now);
            }
            Asked::Cancel => self.cancel_failed(pending, failed, now),
        }
    }

    fn create_failed(&mut self, pending: PendingRequest, failed: FailedAttempt, now: Now) {
        if let Err(failed) = self.try_solo_again(pending, Repeat::Orphans, failed, now) {
            if !self.fall_back_to_single(&failed) {
                self.finish(Err(failed.into_error(pending.attempt.operation)));
            }
        }
    }

    fn part_failed(
        &mut self,
        pending: PendingRequest,
        part: Part,
        mut tries: Tries,
        failed: FailedAttempt,
        now: Now,
    ) {
        let UploadRoute::Parts { parts, .. } = &self.route else { return };
        let is_interruption = failed.is_interruption();
        let failed = failed.excused_once(&mut tries.excuse);
        let tries = parts.failed_again(tries, is_interruption, failed.is_away());
        if is_interruption {
            self.line.interrupted(now.monotonic);
            self.with_connections(Connections::interrupted);
        }
        // To an upload that is over, no part is sent again, whatever the status says.
        let is_told = matches!(failed.upload_status(), Some(UploadStatus::Expired | UploadStatus::Cancelled));
        let again = match is_told {
            true => None,
            false => self.judge(pending, Repeat::Orphans, tries.failures, &failed, now),
        };
        match again {
            Some(wait) => {
                if let UploadRoute::Parts { parts, .. } = &mut self.route {
                    parts.give_back(part, tries, now.monotonic.saturating_add(wait));
                }
            }
            None if self.is_over(&failed, now) => self.end_upload(failed, pending.attempt.operation, now),
            None => self.end_gracefully(failed.into_error(pending.attempt.operation)),
        }
    }

    /// Plans the same request once more, or gives the failed attempt back when that is not worth it.
    fn try_solo_again(
        &mut self,
        pending: PendingRequest,
        repeat: Repeat,
        failed: FailedAttempt,
        now: Now,
    ) -> Result<(), FailedAttempt> {
        let failed = failed.excused_once(&mut self.solo.excuse);
        self.solo.failures += u32::from(!failed.is_away());
        match self.judge(pending, repeat, self.solo.failures, &failed, now) {
            Some(wait) => self.solo.not_before = now.monotonic.saturating_add(wait),
            None => return Err(failed),
        }
        Ok(())
    }

    /// How long to wait before the same request goes again; `None` when it does not.
    fn judge(
        &mut self,
        pending: PendingRequest,
        repeat: Repeat,
        failures: u32,
        failed: &FailedAttempt,
        now: Now,
    ) -> Option<Duration> {
        let random = self.random.next();
        // Where a file may have been made, there is more to lose than time.
        let may_be_made = self.ambiguous && matches!(self.stage, Stage::Commit | Stage::Reconcile(_));
        let is_known = self.understood || may_be_made;
        let verdict = match failed {
            FailedAttempt::Away { outage: None, .. } => {
                Verdict::Retry { wait: Duration::ZERO, hold_all: false }
            }
            FailedAttempt::Away { .. } => {
                let wait = self.service.wait(self.plan.retry_policy(), now.monotonic, random);
                Verdict::Retry { wait, hold_all: false }
            }
            _ if !is_known && failures > self.plan.retry_policy().max_failures_before_contact => {
                Verdict::GiveUp
            }
            FailedAttempt::Rejected(error) => {
                self.plan.retry_policy().on_rejection(repeat, failures, error, now, random)
            }
            FailedAttempt::Failed(failure) => {
                self.plan.retry_policy().on_failure(repeat, failures, failure, random)
            }
            // An answer broken on its way is like a broken connection, unless nothing there ever made sense.
            FailedAttempt::Garbled(_) if is_known => {
                let broken = Failure::new(FailureKind::Interrupted);
                self.plan.retry_policy().on_failure(repeat, failures, &broken, random)
            }
            FailedAttempt::Garbled(_) => Verdict::GiveUp,
        };
        self.hold_if_overloaded(pending, failed, verdict, now);
        let Verdict::Retry { wait, .. } = verdict else { return None };
        self.count_again(pending, failed, wait);
        Some(wait)
    }

    fn count_again(&mut self, pending: PendingRequest, failed: &FailedAttempt, wait: Duration) {
        let error = failed.clone().into_error(pending.attempt.operation);
        self.latest_failure = Some(Box::new(error));
        // What a run that ends does not send again is no retry of it.
        if self.stop.is_asked() {
            return;
        }
        self.count_retry(failed.retry(pending.attempt, wait), failed.is_overload());
    }

    /// An overloaded service holds back everything that comes next, this request or another; one that asks for
    /// more than is kept to gets none. Returns the wait.
    fn hold_if_overloaded(
        &mut self,
        pending: PendingRequest,
        failed: &FailedAttempt,
        verdict: Verdict,
        now: Now,
    ) -> Duration {
        let FailedAttempt::Rejected(error) = failed else { return Duration::ZERO };
        // Of a run that ends, nothing is left to be held back.
        if !error.is_overload() || self.stop.is_asked() {
            return Duration::ZERO;
        }
        let wait = match verdict {
            Verdict::Retry { wait, .. } => wait,
            Verdict::GiveUp if error.retry.wait(now) > Some(self.plan.retry_policy().max_hinted_wait) => {
                Duration::ZERO
            }
            Verdict::GiveUp => {
                let (failures, random) = (self.solo.failures.max(1), self.random.next());
                self.plan.retry_policy().wait_after(error, failures, now, random)
            }
        };
        self.statistics.overloads += 1;
        let until = now.monotonic.saturating_add(wait);
        self.service.hold(until);
        if self.pace.hold(now.monotonic, until, pending.id, self.pending.next_id()) {
            self.with_connections(|connections| connections.overloaded(now.monotonic));
        }
        wait
    }

    /// The request that makes the file brought nothing that can be relied on. The rows are tried from top to bottom:
    ///
    /// | the attempt | known before | leads to |
    /// |---|---|---|
    /// | was certainly not executed, or its body had not left whole; the policy allows another | | the same again, or in parts |
    /// | the same, and the policy allows none | a file may have been made | reconciling |
    /// | the same, and says that the upload is over | nothing | starting over, if an earlier run began it; else the end |
    /// | the same | nothing | the end, with its error |
    /// | was not executed: rejected for good, or its source failed; says that the upload is over | nothing | as above |
    /// | was not executed | nothing | the end: the service has made no file |
    /// | may have been executed: `complete` | nothing | the same once more: another answer shows more than the list |
    /// | anything else | | reconciling |
    fn commit_failed(&mut self, pending: PendingRequest, failed: FailedAttempt, left: Option<u64>, now: Now) {
        let operation = pending.attempt.operation;
        let is_single = matches!(self.route, UploadRoute::Single { .. });
        if failed.was_never_done() || !may_have_arrived(left, pending.length) {
            match self.try_solo_again(pending, Repeat::Orphans, failed.clone(), now) {
                Ok(()) => self.fall_back_to_parts(&failed, left, now),
                Err(failed) if self.ambiguous => {
                    self.cause_of_doubt = Some(Box::new(failed.into_error(operation)));
                    self.reconcile();
                }
                Err(failed) if self.is_over(&failed, now) => self.end_upload(failed, operation, now),
                Err(failed) => self.end_without_file(failed.into_error(operation)),
            }
            return;
        }
        match (self.ambiguous, failed.may_be_done()) {
            (false, false) if self.is_over(&failed, now) => self.end_upload(failed, operation, now),
            (false, false) if self.is_proven_by_md5() && failed.is_invalid() => {
                self.end_without_file(failed.into_unproven(operation));
            }
            (false, false) => self.end_without_file(failed.into_error(operation)),
            (false, true) if !is_single => {
                self.ambiguous = true;
                // Once in any case, whatever the policy says of it: another try shows more than the list does.
                let wait = self.judge(pending, Repeat::Orphans, 1, &failed, now).unwrap_or_else(|| {
                    let wait = self.plan.retry_policy().base_wait;
                    self.count_again(pending, &failed, wait);
                    wait
                });
                self.solo.not_before = now.monotonic.saturating_add(wait);
            }
            _ => {
                let wait = self.hold_if_overloaded(pending, &failed, Verdict::GiveUp, now);
                self.ambiguous = true;
                self.tell_retry(Retry { reconciles: true, ..failed.retry(pending.attempt, wait) });
                self.latest_failure = Some(Box::new(failed.clone().into_error(operation)));
                self.cause_of_doubt = Some(Box::new(failed.into_error(operation)));
                self.reconcile();
            }
        }
    }

    /// Ends an upload of which the service has certainly made no file.
    fn end_without_file(&mut self, error: UploadError) {
        match self.route {
            UploadRoute::Parts { .. } => {
                self.take_back_announcement();
                self.end_gracefully(error);
            }
            UploadRoute::Single { .. } => self.finish(Err(error)),
        }
    }

    fn search_failed(&mut self, pending: PendingRequest, failed: FailedAttempt, now: Now) {
        if failed.is_invalid() && pending.asked == Asked::List && self.asks_for_less() {
            return;
        }
        if let Err(failed) = self.try_solo_again(pending, Repeat::Harmless, failed, now) {
            self.give_up_search(failed.into_error(pending.attempt.operation));
        }
    }

    pub(super) fn unknown(&mut self, candidates: Option<Vec<File>>) {
        let upload_id = self.route.upload().map(|upload| upload.id.clone());
        let cause = self.cause_of_doubt.take();
        self.finish(Err(UploadError::CompletionUnknown { upload_id, candidates, cause }));
    }

    fn cancel_failed(&mut self, pending: PendingRequest, failed: FailedAttempt, now: Now) {
        let Stage::Cancel { file_possible, .. } = self.stage else { return };
        if let Err(failed) = self.try_solo_again(pending, Repeat::Harmless, failed, now) {
            // One that is completed is not open any more either.
            let confirmed = self.is_over(&failed, now) || failed.upload_status().is_some();
            self.finish(Err(UploadError::Cancelled { confirmed, file_possible }));
        }
    }
}
