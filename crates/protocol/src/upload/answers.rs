//! What comes back: answers and failures, and what they lead to.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use partwise_models::{File, FileState, UnixSeconds, Upload, UploadStatus};

use super::{
    Comparison, Proof, Retry, UploadError, UploadMachine, Warning,
    clock::{CLOCK_SLACK, ClockOffset, Expiry, ServiceClock},
    connections::Connections,
    flights::{Asked, Flight},
    parts::{Part, Tries},
    reconcile::is_missing,
    registry::Identity,
    setback::Setback,
    state::{OpenUpload, Stage, Way},
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
        flight: Flight,
        response: Response<Bytes>,
        left: Option<u64>,
        now: Now,
    ) {
        self.service.answered(now.monotonic);
        self.watch_sleep();
        if response.status().is_success() && !may_have_arrived(left, flight.length) {
            return self.answered_early(flight, response, left, now);
        }
        // What was said before this machine slept is not the time now.
        let is_late = self.service.has_slept_since(flight.begun_at);
        let date = date_of(response.headers()).filter(|_| !is_late);
        let clock = date.map(|date| ClockOffset::between(date, now));
        if let (Some(date), Way::Parts { upload: Some(upload), .. }) = (date, &mut self.way) {
            upload.clock.refresh(date, now);
        }
        let outcome = match flight.asked {
            Asked::Create => {
                let account = Account::of_headers(response.headers());
                CreateUpload::decode_response(response).map(|upload| self.created(upload, account, date, now))
            }
            Asked::Part { part, leg, .. } => AddUploadPart::decode_response(response)
                .map(|answer| self.taken(part, leg.answered(flight.departure(), now.monotonic), &answer)),
            Asked::Commit => match self.way {
                Way::Parts { .. } => {
                    CompleteUpload::decode_response(response).map(|upload| self.completed(upload))
                }
                Way::Single { .. } => {
                    CreateFile::decode_response(response).map(|file| self.made(file, Proof::Answer))
                }
            },
            Asked::List => {
                ListFiles::decode_response(response).map(|list| self.listed(flight.attempt, list, clock, now))
            }
            Asked::Object => match RetrieveFile::decode_response(response) {
                Err(error) if !is_missing(&error) => Err(error),
                object => {
                    self.retrieved(flight.attempt, object.ok(), now);
                    Ok(())
                }
            },
            Asked::Cancel => CancelUpload::decode_response(response).map(|upload| self.cancelled(&upload)),
            // The driver has to report a comparison; an answer says nothing of the content.
            Asked::Content => {
                self.compared(flight.attempt, &Comparison::Unknown, now);
                Ok(())
            }
        };
        match outcome {
            Ok(()) => {
                self.understood = true;
                self.latest_failure = None;
            }
            Err(error) => self.set_back(flight, error.into(), left, now),
        }
    }

    /// A success that came before the whole body had left is none: the service cannot have what it answers for.
    fn answered_early(&mut self, flight: Flight, response: Response<Bytes>, left: Option<u64>, now: Now) {
        let left = left.unwrap_or_default();
        if let (Asked::Commit, Way::Single { .. }) = (flight.asked, &self.way) {
            if let Ok(file) = CreateFile::decode_response(response) {
                self.registration.answered_with(&file.id);
                let file = Box::new(file);
                return self.finish(Err(UploadError::AnsweredEarly { file, left, length: flight.length }));
            }
        }
        let failure = Failure::with_cause(FailureKind::Interrupted, TooEarly { left, length: flight.length });
        self.failed(flight, failure.with_left(left), now);
    }

    pub(super) fn failed(&mut self, flight: Flight, failure: Failure, now: Now) {
        let left = failure.left;
        let setback = self.blamed(&flight, failure, now);
        self.set_back(flight, setback, left, now);
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
        if let Way::Parts { upload: open, .. } = &mut self.way {
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
        match self.way {
            Way::Parts { .. } if self.has_to_be_proven(proof) => {
                self.committed = None;
                self.enter(Stage::Prove { file: Box::new(file), until: None });
            }
            Way::Parts { .. } => self.finish(Ok(file)),
            Way::Single { .. } => {
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

    /// Something was asked for in vain: again, another way, or the end.
    pub(super) fn set_back(&mut self, flight: Flight, setback: Setback, left: Option<u64>, now: Now) {
        self.understood |= setback.is_of_the_api();
        match flight.asked {
            Asked::Create => self.create_set_back(flight, setback, now),
            Asked::Part { part, tries, .. } => self.part_set_back(flight, part, tries, setback, now),
            Asked::Commit => {
                self.commit_set_back(flight, setback, left, now);
            }
            Asked::List | Asked::Object => self.search_set_back(flight, setback, now),
            Asked::Content => self.compared(flight.attempt, &Comparison::Unknown, now),
            Asked::Cancel => self.cancel_set_back(flight, setback, now),
        }
    }

    fn create_set_back(&mut self, flight: Flight, setback: Setback, now: Now) {
        if let Err(setback) = self.try_solo_again(flight, Repeat::Orphans, setback, now) {
            if !self.fall_back_to_single(&setback) {
                self.finish(Err(setback.into_error(flight.attempt.operation)));
            }
        }
    }

    fn part_set_back(&mut self, flight: Flight, part: Part, mut tries: Tries, setback: Setback, now: Now) {
        let Way::Parts { parts, .. } = &self.way else { return };
        let is_interruption = setback.is_interruption();
        let setback = setback.excused_once(&mut tries.excuse);
        let tries = parts.failed_again(tries, is_interruption, setback.is_away());
        if is_interruption {
            self.line.interrupted(now.monotonic);
            self.with_connections(Connections::interrupted);
        }
        // To an upload that is over, no part is sent again, whatever the status says.
        let is_told =
            matches!(setback.upload_status(), Some(UploadStatus::Expired | UploadStatus::Cancelled));
        let again = match is_told {
            true => None,
            false => self.judge(flight, Repeat::Orphans, tries.failures, &setback, now),
        };
        match again {
            Some(wait) => {
                if let Way::Parts { parts, .. } = &mut self.way {
                    parts.give_back(part, tries, now.monotonic.saturating_add(wait));
                }
            }
            None if self.is_over(&setback, now) => self.end_upload(setback, flight.attempt.operation, now),
            None => self.end_in_order(setback.into_error(flight.attempt.operation)),
        }
    }

    /// Plans the same request once more, or gives the setback back when that is not worth it.
    fn try_solo_again(
        &mut self,
        flight: Flight,
        repeat: Repeat,
        setback: Setback,
        now: Now,
    ) -> Result<(), Setback> {
        let setback = setback.excused_once(&mut self.solo.excuse);
        self.solo.failures += u32::from(!setback.is_away());
        match self.judge(flight, repeat, self.solo.failures, &setback, now) {
            Some(wait) => self.solo.not_before = now.monotonic.saturating_add(wait),
            None => return Err(setback),
        }
        Ok(())
    }

    /// How long to wait before the same request goes again; `None` when it does not.
    fn judge(
        &mut self,
        flight: Flight,
        repeat: Repeat,
        failures: u32,
        setback: &Setback,
        now: Now,
    ) -> Option<Duration> {
        let random = self.random.next();
        // Where a file may have been made, there is more to lose than time.
        let may_be_made = self.ambiguous && matches!(self.stage, Stage::Commit | Stage::Reconcile(_));
        let is_known = self.understood || may_be_made;
        let verdict = match setback {
            Setback::Away { outage: None, .. } => Verdict::Retry { wait: Duration::ZERO, hold_all: false },
            Setback::Away { .. } => {
                let wait = self.service.wait(&self.plan.retry, now.monotonic, random);
                Verdict::Retry { wait, hold_all: false }
            }
            _ if !is_known && failures > self.plan.retry.max_failures_before_contact => Verdict::GiveUp,
            Setback::Refused(error) => self.plan.retry.on_refused(repeat, failures, error, now, random),
            Setback::Failed(failure) => self.plan.retry.on_failure(repeat, failures, failure, random),
            // An answer broken on its way is like a broken connection, unless nothing there ever made sense.
            Setback::Garbled(_) if is_known => {
                let broken = Failure::new(FailureKind::Interrupted);
                self.plan.retry.on_failure(repeat, failures, &broken, random)
            }
            Setback::Garbled(_) => Verdict::GiveUp,
        };
        self.hold_if_overloaded(flight, setback, verdict, now);
        let Verdict::Retry { wait, .. } = verdict else { return None };
        self.count_again(flight, setback, wait);
        Some(wait)
    }

    fn count_again(&mut self, flight: Flight, setback: &Setback, wait: Duration) {
        let error = setback.clone().into_error(flight.attempt.operation);
        self.latest_failure = Some(Box::new(error));
        // What a run that ends does not send again is no retry of it.
        if self.stop.is_asked() {
            return;
        }
        self.count_retry(setback.retry(flight.attempt, wait), setback.is_overload());
    }

    /// A service that asks for patience gets it from everything that comes next, this request or another; one that asks for
    /// more than is kept to gets none. Returns the wait.
    fn hold_if_overloaded(
        &mut self,
        flight: Flight,
        setback: &Setback,
        verdict: Verdict,
        now: Now,
    ) -> Duration {
        let Setback::Refused(error) = setback else { return Duration::ZERO };
        // Of a run that ends, nothing is left to be held back.
        if !error.is_overload() || self.stop.is_asked() {
            return Duration::ZERO;
        }
        let wait = match verdict {
            Verdict::Retry { wait, .. } => wait,
            Verdict::GiveUp if error.retry.wait(now) > Some(self.plan.retry.max_hinted_wait) => {
                Duration::ZERO
            }
            Verdict::GiveUp => {
                let (failures, random) = (self.solo.failures.max(1), self.random.next());
                self.plan.retry.wait_after(error, failures, now, random)
            }
        };
        self.statistics.overloads += 1;
        let until = now.monotonic.saturating_add(wait);
        self.service.hold(until);
        if self.pace.hold(now.monotonic, until, flight.id, self.flights.next_id()) {
            self.with_connections(|connections| connections.overloaded(now.monotonic));
        }
        wait
    }

    /// The request that makes the file brought nothing that can be relied on. The rows are tried from top to bottom:
    ///
    /// | the attempt | known before | leads to |
    /// |---|---|---|
    /// | was certainly not executed, or its body had not left whole | | the same again, while the policy allows it, or in parts |
    /// | was rejected for good | nothing | the end: the service has made no file |
    /// | may have been executed: `complete` | nothing | the same once more: another answer shows more than the list |
    /// | anything else | | reconciling |
    fn commit_set_back(&mut self, flight: Flight, setback: Setback, left: Option<u64>, now: Now) {
        let operation = flight.attempt.operation;
        let is_single = matches!(self.way, Way::Single { .. });
        if setback.was_never_done() || !may_have_arrived(left, flight.length) {
            match self.try_solo_again(flight, Repeat::Orphans, setback.clone(), now) {
                Ok(()) => self.fall_back_to_parts(&setback, left, now),
                Err(setback) if self.ambiguous => {
                    self.cause_of_doubt = Some(Box::new(setback.into_error(operation)));
                    self.reconcile();
                }
                Err(setback) if self.is_over(&setback, now) => self.end_upload(setback, operation, now),
                Err(setback) => self.finish(Err(setback.into_error(operation))),
            }
            return;
        }
        match (self.ambiguous, setback.may_be_done()) {
            (false, false) if self.is_over(&setback, now) => self.end_upload(setback, operation, now),
            (false, false) if self.is_proven_by_md5() && setback.is_invalid() => {
                self.finish(Err(setback.into_unproven(operation)));
            }
            (false, false) => self.finish(Err(setback.into_error(operation))),
            (false, true) if !is_single => {
                self.ambiguous = true;
                // Once in any case, whatever the policy says of it: another try shows more than the list does.
                let wait = self.judge(flight, Repeat::Orphans, 1, &setback, now).unwrap_or_else(|| {
                    let wait = self.plan.retry.base_wait;
                    self.count_again(flight, &setback, wait);
                    wait
                });
                self.solo.not_before = now.monotonic.saturating_add(wait);
            }
            _ => {
                let wait = self.hold_if_overloaded(flight, &setback, Verdict::GiveUp, now);
                self.ambiguous = true;
                self.tell_retry(Retry { reconciles: true, ..setback.retry(flight.attempt, wait) });
                self.latest_failure = Some(Box::new(setback.clone().into_error(operation)));
                self.cause_of_doubt = Some(Box::new(setback.into_error(operation)));
                self.reconcile();
            }
        }
    }

    fn search_set_back(&mut self, flight: Flight, setback: Setback, now: Now) {
        if setback.is_invalid() && flight.asked == Asked::List && self.asks_for_less() {
            return;
        }
        if let Err(setback) = self.try_solo_again(flight, Repeat::Harmless, setback, now) {
            self.search_failed(setback.into_error(flight.attempt.operation));
        }
    }

    pub(super) fn unknown(&mut self, candidates: Option<Vec<File>>) {
        let upload_id = self.way.upload().map(|upload| upload.id.clone());
        let cause = self.cause_of_doubt.take();
        self.finish(Err(UploadError::CompletionUnknown { upload_id, candidates, cause }));
    }

    fn cancel_set_back(&mut self, flight: Flight, setback: Setback, now: Now) {
        let Stage::Cancel { file_possible, .. } = self.stage else { return };
        if let Err(setback) = self.try_solo_again(flight, Repeat::Harmless, setback, now) {
            // One that is completed is not open any more either.
            let confirmed = self.is_over(&setback, now) || setback.upload_status().is_some();
            self.finish(Err(UploadError::Cancelled { confirmed, file_possible }));
        }
    }
}
